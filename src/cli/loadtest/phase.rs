//! The two phases: callers whose players join and leave, and pairs of players who talk.
//!
//! Every caller does one thing after another, so no time is that of something that waited for its
//! turn; what a caller cannot do in time is not done at all.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{TALKING, player::Player, tally::Tally, trouble::Trouble};
use crate::{
    model::{Metadata, RoomType},
    protocol::{JoinQuery, JoinRoomInput},
};

/// The pause after something failed.
const PAUSE: Duration = Duration::from_millis(50);
/// Time between two looks at connections that nobody calls on.
const TEND_TIME: Duration = Duration::from_secs(1);
/// A turn of a player on one connection: its leave, and its join.
const TURN_PACKETS: u32 = 2;
/// The attribute that keeps a pair's room to itself.
const ATTRIBUTE: &str = "loadtest";

/// What the callers of one phase share.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) room_type: RoomType,
    pub(super) tally: Arc<Tally>,
    pub(super) seconds: Duration,
    pub(super) stop: CancellationToken,
    /// Of each message's text.
    pub(super) message_bytes: usize,
}

/// One caller: its number and its players.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) number: usize,
    pub(super) players: Vec<Player>,
}

/// Has each caller bring in one player after another; each stays until the others of its caller had
/// their turn. Gives the callers, and how long it took.
pub(super) async fn joins(callers: Vec<Caller>, task: Arc<Task>) -> (Vec<Caller>, Duration) {
    let began = Instant::now();
    let working: JoinSet<Caller> =
        callers.into_iter().map(|caller| caller.join_and_leave(Arc::clone(&task), began)).collect();
    (working.join_all().await, began.elapsed())
}

/// Has the first two players of each caller send each other messages through a room of their own, one
/// at a time. Gives the callers, and how long it took without the way into the rooms.
pub(super) async fn messages(callers: Vec<Caller>, task: Arc<Task>) -> (Vec<Caller>, Duration) {
    let entering: JoinSet<Caller> = callers
        .into_iter()
        .map(|mut caller| {
            let task = Arc::clone(&task);
            async move {
                caller.players.truncate(TALKING);
                if let Err(trouble) = caller.enter(&task).await {
                    task.tally.failed(&trouble);
                }
                caller
            }
        })
        .collect();
    let callers = entering.join_all().await;
    let began = Instant::now();
    let talking: JoinSet<Caller> = callers.into_iter().map(|caller| caller.talk(Arc::clone(&task), began)).collect();
    (talking.join_all().await, began.elapsed())
}

impl Task {
    fn goes_on(&self, began: Instant) -> bool {
        began.elapsed() < self.seconds && !self.stop.is_cancelled()
    }
}

impl Caller {
    /// Has its players leave. A seat whose connection is gone needs no leave.
    pub(super) async fn leave(&mut self, tally: &Tally) {
        for player in &mut self.players {
            if let Err(trouble) = player.leave().await {
                tally.failed(&trouble);
            }
        }
    }

    async fn join_and_leave(mut self, task: Arc<Task>, began: Instant) -> Self {
        let input = JoinRoomInput { room_type: Some(task.room_type.clone()), ..JoinRoomInput::default() };
        let mut tended_at = began;
        for turn in 0.. {
            if tended_at.elapsed() > TEND_TIME {
                self.tend(&task.tally);
                tended_at = Instant::now();
            }
            let index = turn % self.players.len().max(1);
            let Some(player) = self.players.get_mut(index) else { break };
            player.pace(TURN_PACKETS).await;
            if !task.goes_on(began) {
                break;
            }
            if let Err(trouble) = player.leave().await {
                task.tally.failed(&trouble);
            }
            match player.join(input.clone()).await {
                Ok(joined) => {
                    task.tally.record(joined.took);
                    if joined.hops > 0 {
                        task.tally.redirected();
                    }
                }
                Err(trouble) => {
                    task.tally.failed(&trouble);
                    sleep(PAUSE).await;
                }
            }
        }
        self.leave(&task.tally).await;
        self
    }

    fn tend(&mut self, tally: &Tally) {
        for player in &mut self.players {
            if let Err(trouble) = player.tend() {
                tally.failed(&trouble);
            }
        }
    }

    /// Takes two seats in a room that nobody else is sent to.
    async fn enter(&mut self, task: &Task) -> Result<(), Trouble> {
        for player in &mut self.players {
            player.leave().await?;
        }
        let [first, second] = self.players.as_mut_slice() else { return Ok(()) };
        let word = format!("{:016x}-{}", rand::random::<u64>(), self.number);
        let query = Some(JoinQuery { metadata: Metadata::from_iter([(ATTRIBUTE, word)]) });
        let input = JoinRoomInput { room_type: Some(task.room_type.clone()), query, ..JoinRoomInput::default() };
        let joined = first.join(input).await?;
        second.join(JoinRoomInput { room_id: Some(joined.room_id), ..JoinRoomInput::default() }).await?;
        first.settle();
        second.settle();
        Ok(())
    }

    async fn talk(mut self, task: Arc<Task>, began: Instant) -> Self {
        let text = "x".repeat(task.message_bytes);
        let mut number = 0;
        while let Err(trouble) = self.exchange(&task, began, &text, &mut number).await {
            task.tally.failed(&trouble);
            loop {
                sleep(PAUSE).await;
                if !task.goes_on(began) {
                    break;
                }
                match self.enter(&task).await {
                    Ok(()) => break,
                    Err(trouble) => task.tally.failed(&trouble),
                }
            }
        }
        self.leave(&task.tally).await;
        self
    }

    /// One message after another, by turns from the one to the other and back.
    async fn exchange(&mut self, task: &Task, began: Instant, text: &str, number: &mut u64) -> Result<(), Trouble> {
        let [first, second] = self.players.as_mut_slice() else { return Ok(()) };
        let (mut sender, mut receiver) = (first, second);
        loop {
            sender.pace(1).await;
            if !task.goes_on(began) {
                return Ok(());
            }
            *number += 1;
            let sent_at = Instant::now();
            sender.say(*number, text).await?;
            receiver.hear(*number).await?;
            task.tally.record(sent_at.elapsed());
            std::mem::swap(&mut sender, &mut receiver);
        }
    }
}
