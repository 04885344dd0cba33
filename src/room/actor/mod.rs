//! The task that runs one room.
//!
//! ```text
//!  mailbox ─┐                       ┌─ hook (corked) ─ effects ─ lease? ─ flush to players
//!  ticks ───┼─ next item ─ lease? ──┤
//!  timers ──┤                       └─ ending? ─ leave/dispose or park ─ registry ─ gone
//!  registry answers ─┘
//! ```
//!
//! Hooks run one at a time; while one runs nothing else of the room does. What the registry must
//! be told or asked runs beside them as *work*, whose answers come back as items of the same loop.
//! The lease is compared inline before each item and again before anything leaves for a player.

mod arriving;
mod begin;
mod bereft;
mod command;
mod departing;
mod ending;
mod guard;
mod joining;
mod leaving;
mod timers;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

pub(crate) use arriving::{Origin, give_back};
pub(crate) use begin::Start;
pub(crate) use command::{Arrival, Effect, Return, RoomCommand, Stop, Way};
pub(crate) use departing::Departure;
use guard::guard;
use timers::{Timer, Timers};
use work::Done;
pub(crate) use work::is_loss;

use super::{
    Room, RoomContext, RoomError, RoomHandle,
    core::{Ended, RoomCore},
    services::Services,
};
use crate::model::{PlayerId, RoomUpdate, SeatId};

/// So many commands wait for a room at most; whoever sends more waits.
pub(crate) const MAILBOX_CAPACITY: usize = 1_024;

/// The other ends of what a room's handle holds.
pub(crate) struct Inlets {
    pub(crate) mailbox: mpsc::Receiver<RoomCommand>,
    pub(crate) effects: mpsc::UnboundedReceiver<Effect>,
    pub(crate) stop: watch::Receiver<Option<Stop>>,
}

/// A room and everything that its task keeps.
pub(crate) struct RoomActor {
    room: Box<dyn Room>,
    context: RoomContext,
    handle: RoomHandle,
    services: Arc<Services>,
    inlets: Inlets,
    timers: Timers,
    /// The registry's answers to come.
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// When the seats of players that are not connected fall free.
    away: BTreeMap<SeatId, Instant>,
    /// Seats whose players are coming back: the registry is being asked.
    returning: BTreeSet<SeatId>,
    /// What the registry is still to be told of the room.
    update: RoomUpdate,
    pending: Pending,
    /// Made by a call and not by a player: it stays until a player has been there.
    keeps_empty: bool,
    /// A restored room gives its players time to find it again, those too whose seats were not kept.
    kept_until: Option<Instant>,
    ending: Option<Ended>,
    /// Where it came from, until it runs.
    origin: Option<Origin>,
}

/// Which calls of the registry are under way; one of each kind at most.
#[derive(Default)]
struct Pending {
    update: bool,
    save: bool,
    vacancy: bool,
}

impl Pending {
    fn any(&self) -> bool {
        self.update || self.save || self.vacancy
    }
}

/// What a room does next.
enum Item {
    Stop(Stop),
    Effect(Effect),
    Done(Done),
    Timer(Timer),
    Command(RoomCommand),
}

impl RoomActor {
    pub(crate) fn new(
        room: Box<dyn Room>,
        context: RoomContext,
        handle: RoomHandle,
        services: Arc<Services>,
        inlets: Inlets,
    ) -> Self {
        let timers = Timers::new(handle.core().config.tick_rate, services.snapshot_interval);
        Self {
            room,
            context,
            handle,
            services,
            inlets,
            timers,
            work: FuturesUnordered::new(),
            away: BTreeMap::new(),
            returning: BTreeSet::new(),
            update: RoomUpdate::default(),
            pending: Pending::default(),
            keeps_empty: false,
            kept_until: None,
            ending: None,
            origin: None,
        }
    }

    /// Runs the room from its beginning to its end.
    pub(crate) async fn run(mut self, start: Start) {
        let ended = match self.begin(start).await {
            Ok(()) => self.serve().await,
            Err(ended) => ended,
        };
        self.end(ended).await;
    }

    async fn serve(&mut self) -> Ended {
        self.timers.start();
        loop {
            if let Err(ended) = self.settle().await {
                return ended;
            }
            let item = self.next().await;
            if let Item::Stop(stop) = item {
                return self.finish(stop).await;
            }
            if let Err(ended) = self.may_act().await {
                return ended;
            }
            self.core().outbox.cork();
            self.act(item).await;
        }
    }

    /// The last of what was asked of a room that goes on elsewhere.
    async fn finish(&mut self, stop: Stop) -> Ended {
        if stop == Stop::Park {
            // What came before the stop counts; nothing comes after it.
            self.inlets.mailbox.close();
            while let Some(command) = self.inlets.mailbox.recv().await {
                if let Err(ended) = self.may_act().await {
                    return ended;
                }
                self.core().outbox.cork();
                self.obey(command).await;
                if let Err(ended) = self.settle().await {
                    return ended;
                }
            }
        }
        stop.into()
    }

    /// Carries out what the last hook wanted, then lets out what it sent.
    async fn settle(&mut self) -> Result<(), Ended> {
        while let Ok(effect) = self.inlets.effects.try_recv() {
            self.apply(effect).await;
        }
        if let Some(ended) = self.ending.take() {
            return Err(ended);
        }
        self.may_act().await?;
        self.core().outbox.uncork();
        self.push_update();
        Ok(())
    }

    /// Goes on only while the server's lease runs; a room whose server has lost it waits, and does nothing.
    async fn may_act(&mut self) -> Result<(), Ended> {
        loop {
            // A server that has registered again has a lease again, but not the rooms of before.
            if let Some(stop @ Stop::Abandon(_)) = &*self.inlets.stop.borrow() {
                return Err(stop.clone().into());
            }
            if self.services.tenure.may_act() {
                return Ok(());
            }
            tokio::select! {
                () = self.services.tenure.renewed() => {}
                stop = abandoned(&mut self.inlets.stop) => return Err(stop.into()),
            }
        }
    }

    async fn next(&mut self) -> Item {
        if self.core().player_count() > 0 || self.keeps_empty || !self.core().config.auto_dispose {
            self.timers.vacancy = None;
        }
        self.timers.grace =
            self.away.iter().filter(|(seat, _)| !self.returning.contains(seat)).map(|(_, due)| *due).min();
        let Inlets { mailbox, effects, stop } = &mut self.inlets;
        tokio::select! {
            biased;
            stop = stopped(stop) => Item::Stop(stop),
            item = async {
                // Without an order here: a room whose ticks take too long still reads its mailbox.
                tokio::select! {
                    Some(effect) = effects.recv() => Item::Effect(effect),
                    Some(done) = self.work.next(), if !self.work.is_empty() => Item::Done(done),
                    timer = self.timers.next() => Item::Timer(timer),
                    Some(command) = mailbox.recv() => Item::Command(command),
                }
            } => item,
        }
    }

    async fn act(&mut self, item: Item) {
        match item {
            Item::Stop(stop) => self.ending = Some(stop.into()),
            Item::Effect(effect) => self.apply(effect).await,
            Item::Done(done) => self.done(done).await,
            Item::Timer(Timer::Tick(dt)) => {
                let outcome = guard(self.room.on_tick(&mut self.context, dt)).await;
                self.check(outcome).await;
            }
            Item::Timer(Timer::Snapshot) => self.save_if_changed().await,
            Item::Timer(Timer::Grace) => self.grace_over().await,
            Item::Timer(Timer::Vacancy) => self.ask_vacancy(),
            Item::Command(command) => self.obey(command).await,
        }
    }

    async fn obey(&mut self, command: RoomCommand) {
        match command {
            RoomCommand::Join(arrival) => self.arrive(*arrival).await,
            RoomCommand::Reconnect(back) => self.ask_return(*back),
            RoomCommand::Disconnected { player_id, connection } => self.disconnected(&player_id, connection).await,
            RoomCommand::Leave { player_id, reason, done } => {
                self.remove(&player_id, &reason).await;
                // Whoever asked may have gone meanwhile.
                let _ = done.send(());
            }
            RoomCommand::Message { player_id, message_type, data } => {
                self.hear(&player_id, &message_type, data).await;
            }
            RoomCommand::Forwarded(item) => self.catch_up(item).await,
            RoomCommand::Remote { message_type, data, player_id } => self.remote(&message_type, data, player_id).await,
            RoomCommand::Save { reply } => {
                let outcome = self.save_now().await;
                let _ = reply.send(outcome);
            }
            RoomCommand::Depart(departure) => self.depart(*departure).await,
        }
    }

    async fn hear(&mut self, player_id: &PlayerId, message_type: &str, data: serde_json::Value) {
        let Some(player) = self.core().player(player_id) else { return };
        let outcome = guard(self.room.on_message(&mut self.context, &player, message_type, data)).await;
        self.check(outcome).await;
    }

    async fn remote(&mut self, message_type: &str, data: serde_json::Value, player_id: Option<PlayerId>) {
        let hook = self.room.on_remote_message(&mut self.context, message_type, data, player_id.as_ref());
        let outcome = guard(hook).await;
        self.check(outcome).await;
    }

    async fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Remove { player_id, reason } => self.kick(&player_id, &reason).await,
            Effect::Lost { reason } => self.ending = Some(Ended::Lost(reason)),
            Effect::Dispose { reason } => self.ending = Some(Ended::Disposed(reason)),
            Effect::Update(update) => self.update = work::merged(std::mem::take(&mut self.update), update),
        }
    }

    /// Hands a hook's failure to `on_error`; after a panic the room ends.
    async fn check(&mut self, outcome: Result<(), RoomError>) {
        let Err(error) = outcome else { return };
        let (room, context) = (&mut self.room, &mut self.context);
        let told = &error;
        let hook = Box::pin(async move {
            room.on_error(context, told).await;
            Ok(())
        });
        let handled = guard(hook).await;
        let fatal = [Some(&error), handled.as_ref().err()].into_iter().flatten().find(|error| error.is_fatal());
        if let Some(fatal) = fatal {
            tracing::error!(room = %self.core().room_id, error = %fatal, "a room ends by its own fault");
            self.ending = Some(Ended::Disposed(fatal.to_string()));
        }
    }

    fn core(&self) -> &RoomCore {
        self.handle.core()
    }
}

/// The wish that the room end; pending until there is one.
async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(Option::is_some).await.ok().and_then(|stop| stop.clone()) {
        Some(stop) => stop,
        None => std::future::pending().await,
    }
}

/// The wish that the room end at once, without a last word.
async fn abandoned(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(|stop| matches!(stop, Some(Stop::Abandon(_)))).await.ok().and_then(|stop| stop.clone()) {
        Some(stop) => stop,
        None => std::future::pending().await,
    }
}

impl From<Stop> for Ended {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Dispose(reason) => Self::Disposed(reason),
            Stop::Park => Self::Parked,
            Stop::Abandon(reason) => Self::Lost(reason),
        }
    }
}
