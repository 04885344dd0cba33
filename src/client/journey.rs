//! The decisions on the way to a seat: where to dial, what to ask, when to pause, when to give up.
//!
//! ```text
//!            +------------------- Pause <---- every known address failed
//!            v                                   ^
//! start --> Dial --connected--> Ask --answered--> Arrived
//!            ^  \--lost--------/ |  \--refused for good--> GiveUp
//!            +---redirect--------+
//! ```
//! Pure: time comes in as a `Duration` since any one moment, and jitter as a number. It ends always:
//! redirects in a row are bounded, and all else by the deadline, since every round of failures is
//! followed by a pause.

use std::time::Duration;

use super::ClientError;
use crate::protocol::{ErrorCode, JoinRoomInput, JoinRoomOutput};

/// What bounds a journey.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) hops_max: u32,
    pub(crate) deadline: Duration,
    pub(crate) backoff_min: Duration,
    pub(crate) backoff_max: Duration,
    /// 0 to 1000: by how much pauses are stretched, so that clients do not come back in step.
    pub(crate) jitter_permille: u32,
}

/// What the server is asked on arrival.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    /// Nothing: being connected is enough.
    Nothing,
    /// A seat.
    Join(JoinRoomInput),
    /// The seat of a session.
    Reconnect {
        /// The session's token.
        token: String,
        /// Where a server has sent it, and nobody was.
        unreachable: Option<String>,
    },
}

impl Ask {
    /// The seat of a session.
    pub(crate) const fn reconnect(token: String) -> Self {
        Self::Reconnect { token, unreachable: None }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Leave the connection, connect here.
    Dial(String),
    /// Ask on the connection.
    Ask(Ask),
    /// Come back at this time.
    Pause(Duration),
    /// The goal is reached; with the answer where something was asked.
    Arrived(Option<JoinRoomOutput>),
    /// It is over.
    GiveUp(ClientError),
}

/// One way to a goal.
#[derive(Debug)]
pub(crate) struct Journey {
    limits: Limits,
    known: Vec<String>,
    goal: Ask,
    ask: Ask,
    next: usize,
    failures: u32,
    hops: u32,
    /// Where a server has sent it last.
    sent_to: Option<String>,
    /// The last such address at which nobody could be asked.
    unreachable: Option<String>,
    started: Duration,
    /// What went wrong last, for the report.
    problem: String,
}

impl Journey {
    /// A journey to `goal`; `known` are tried in their order and must not be empty.
    pub(crate) fn new(known: Vec<String>, goal: Ask, limits: Limits, now: Duration) -> Self {
        Self {
            limits,
            known,
            ask: goal.clone(),
            goal,
            next: 0,
            failures: 0,
            hops: 0,
            sent_to: None,
            unreachable: None,
            started: now,
            problem: "nothing was tried".to_owned(),
        }
    }

    /// The first step from no connection.
    pub(crate) fn dial(&mut self) -> Step {
        let Some(address) = self.known.get(self.next) else { return Step::GiveUp(ClientError::NoAddresses) };
        self.next = (self.next + 1) % self.known.len();
        Step::Dial(address.clone())
    }

    /// The first step after so many connections in a row that ended soon: from the second on, a pause,
    /// so that a server that takes connections only to drop them is not stormed.
    pub(crate) fn dial_after(&mut self, short_connections: u32, now: Duration) -> Step {
        match short_connections {
            0 | 1 => self.dial(),
            many => Step::Pause(now.saturating_add(backoff(many - 1, &self.limits)).min(self.end())),
        }
    }

    /// The first known address is the one connected to: others come first now.
    pub(crate) fn skip_first(&mut self) {
        self.next = 1 % self.known.len().max(1);
    }

    /// The first step where a server has said itself where to go.
    pub(crate) fn follow(&mut self, address: String, now: Duration) -> Step {
        if self.hops >= self.limits.hops_max {
            return Step::GiveUp(ClientError::TooManyRedirects { hops_max: self.limits.hops_max });
        }
        if let Some(over) = self.over(now) {
            return over;
        }
        self.hops += 1;
        self.sent_to = Some(address.clone());
        Step::Dial(address)
    }

    /// The connection stands.
    pub(crate) fn on_connected(&self) -> Step {
        match &self.ask {
            Ask::Nothing => Step::Arrived(None),
            // Whoever knows of nowhere else may wait for the room, rather than send it there again.
            Ask::Reconnect { token, .. } => {
                Step::Ask(Ask::Reconnect { token: token.clone(), unreachable: self.unreachable.clone() })
            }
            ask @ Ask::Join(_) => Step::Ask(ask.clone()),
        }
    }

    /// The server answered.
    pub(crate) fn on_answered(&mut self, output: JoinRoomOutput, now: Duration) -> Step {
        let JoinRoomOutput::Redirect { redirect, room_id, reservation } = output else {
            return Step::Arrived(Some(output));
        };
        if let Ask::Join(input) = &self.ask {
            self.ask = Ask::Join(JoinRoomInput {
                room_id: Some(room_id),
                reservation,
                reservations: true,
                player_data: input.player_data.clone(),
                // Where the seat is lost on the way, another one is looked for as the first was.
                place: input.place.clone(),
                round_trips: input.round_trips.clone(),
                ..JoinRoomInput::default()
            });
        }
        self.follow(redirect, now)
    }

    /// The server said no.
    pub(crate) fn on_refused(&mut self, code: ErrorCode, message: String, now: Duration) -> Step {
        if is_passing(&code) {
            self.on_lost(&format!("{code}: {message}"), now)
        } else {
            Step::GiveUp(ClientError::Refused { code, message })
        }
    }

    /// No connection, or no answer on it. What was redirected to is given up for the first goal.
    pub(crate) fn on_lost(&mut self, problem: &str, now: Duration) -> Step {
        problem.clone_into(&mut self.problem);
        if let Some(over) = self.over(now) {
            return over;
        }
        self.ask = self.goal.clone();
        self.hops = 0;
        self.unreachable = self.sent_to.take().or_else(|| self.unreachable.take());
        self.failures = self.failures.saturating_add(1);
        let addresses = u32::try_from(self.known.len()).unwrap_or(u32::MAX).max(1);
        if self.failures.is_multiple_of(addresses) {
            let round = self.failures / addresses;
            Step::Pause(now.saturating_add(self.pause(round, now)).min(self.end()))
        } else {
            self.dial()
        }
    }

    /// A pause is over.
    pub(crate) fn on_paused(&mut self, now: Duration) -> Step {
        self.over(now).unwrap_or_else(|| self.dial())
    }

    /// The pause after a round. It does not exceed a quarter of the time that has passed, so that
    /// whoever waits for a failover comes back soon after it, however many rounds it took.
    fn pause(&self, round: u32, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.started);
        let backoff_max = self.limits.backoff_max.min((passed / 4).max(self.limits.backoff_min));
        backoff(round, &Limits { backoff_max, ..self.limits.clone() })
    }

    /// When it ends at the latest.
    pub(crate) const fn end(&self) -> Duration {
        self.started.saturating_add(self.limits.deadline)
    }

    fn over(&self, now: Duration) -> Option<Step> {
        let after = now.saturating_sub(self.started);
        (now >= self.end()).then(|| Step::GiveUp(ClientError::DeadlinePassed { after, problem: self.problem.clone() }))
    }
}

/// Whether another attempt, later or elsewhere, may do.
pub(crate) const fn is_passing(code: &ErrorCode) -> bool {
    matches!(code, ErrorCode::Unavailable | ErrorCode::RateLimited | ErrorCode::Timeout | ErrorCode::ConnectionClosed)
}

/// The pause after round 1, 2 and so on: doubled each time up to the maximum, of which jitter takes up to a half.
pub(crate) fn backoff(round: u32, limits: &Limits) -> Duration {
    let doubled = limits.backoff_min.saturating_mul(1_u32.checked_shl(round.saturating_sub(1)).unwrap_or(u32::MAX));
    let full = doubled.min(limits.backoff_max).max(limits.backoff_min).max(Duration::from_millis(1));
    full / 2 + full / 2 * limits.jitter_permille.min(1000) / 1000
}

#[cfg(test)]
#[path = "journey_tests.rs"]
mod tests;
