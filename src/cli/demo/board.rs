//! What all bots know together: who sits where, what was acknowledged, who was disturbed.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// One bot's standing.
#[derive(Debug, Clone, Default)]
struct BotRecord {
    /// The room that it sits in at present.
    room_id: Option<String>,
    /// How often its connection ended without its doing.
    interruptions: u64,
    /// When it last took a seat.
    seated_at: Option<Instant>,
}

/// A bot in a room, at one moment.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) bot: usize,
    pub(super) room_id: String,
    pub(super) interruptions: u64,
}

#[derive(Debug, Default)]
struct State {
    bots: Vec<BotRecord>,
    gateways: Vec<String>,
    joins: u64,
    redirects: u64,
    /// Each room's acknowledged writes: by bot the highest value.
    acknowledged: BTreeMap<String, BTreeMap<String, u64>>,
    writes: u64,
    /// Why an attempt to join failed last.
    last_failure: String,
}

/// Shared by all bots and the demo.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
}

impl Board {
    pub(super) fn new(bots: usize, gateways: Vec<String>) -> Self {
        let bots = vec![BotRecord::default(); bots];
        Self { state: Mutex::new(State { bots, gateways, ..State::default() }) }
    }

    /// All gateways, beginning with another one for each `first`.
    pub(super) fn gateways(&self, first: usize) -> Vec<String> {
        let mut gateways = self.state.lock().gateways.clone();
        let count = gateways.len().max(1);
        gateways.rotate_left(first % count);
        gateways
    }

    /// From now on these are tried.
    pub(super) fn set_gateways(&self, gateways: Vec<String>) {
        self.state.lock().gateways = gateways;
    }

    /// A join succeeded.
    pub(super) fn count_join(&self) {
        self.state.lock().joins += 1;
    }

    /// A redirect was followed.
    pub(super) fn count_redirect(&self) {
        self.state.lock().redirects += 1;
    }

    /// An attempt to join failed.
    pub(super) fn failed(&self, problem: String) {
        self.state.lock().last_failure = problem;
    }

    /// A bot has a seat, a new one or its old one again.
    pub(super) fn seated(&self, bot: usize, room_id: &str) {
        if let Some(record) = self.state.lock().bots.get_mut(bot) {
            record.room_id = Some(room_id.to_owned());
            record.seated_at = Some(Instant::now());
        }
    }

    /// A bot's connection ended without its doing.
    pub(super) fn interrupted(&self, bot: usize) {
        if let Some(record) = self.state.lock().bots.get_mut(bot) {
            record.room_id = None;
            record.interruptions += 1;
        }
    }

    /// A bot's write came back to it.
    pub(super) fn acknowledged(&self, room_id: &str, key: &str, value: u64) {
        let mut state = self.state.lock();
        state.writes += 1;
        let latest = state.acknowledged.entry(room_id.to_owned()).or_default().entry(key.to_owned()).or_default();
        *latest = value.max(*latest);
    }

    /// Every bot that sits in a room.
    pub(super) fn seats(&self) -> Vec<Seat> {
        let state = self.state.lock();
        let seat = |(bot, record): (usize, &BotRecord)| {
            Some(Seat { bot, room_id: record.room_id.clone()?, interruptions: record.interruptions })
        };
        state.bots.iter().enumerate().filter_map(seat).collect()
    }

    /// How often one bot's connection ended without its doing.
    pub(super) fn interruptions(&self, bot: usize) -> u64 {
        self.state.lock().bots.get(bot).map_or(0, |record| record.interruptions)
    }

    /// Where one bot sits.
    pub(super) fn room_of(&self, bot: usize) -> Option<String> {
        self.state.lock().bots.get(bot)?.room_id.clone()
    }

    /// How many bots sit in a room.
    pub(super) fn seated_count(&self) -> usize {
        self.state.lock().bots.iter().filter(|bot| bot.room_id.is_some()).count()
    }

    /// Joins, redirects and acknowledged writes so far.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let state = self.state.lock();
        (state.joins, state.redirects, state.writes)
    }

    /// What was acknowledged in a room: by key the highest value.
    pub(super) fn acknowledged_in(&self, room_id: &str) -> BTreeMap<String, u64> {
        self.state.lock().acknowledged.get(room_id).cloned().unwrap_or_default()
    }

    /// Why an attempt to join failed last.
    pub(super) fn last_failure(&self) -> String {
        self.state.lock().last_failure.clone()
    }

    /// Of these bots, those that sit again, and the time from `since` until the last of them did.
    pub(super) fn back(&self, bots: &[usize], since: Instant) -> (usize, Option<Duration>) {
        let state = self.state.lock();
        let seated = bots.iter().filter_map(|bot| state.bots.get(*bot)).filter(|bot| bot.room_id.is_some());
        let times: Vec<Duration> = seated.filter_map(|bot| bot.seated_at).map(|at| at - since).collect();
        (times.len(), times.into_iter().max())
    }
}
