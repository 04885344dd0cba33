//! A room that does what its players say and writes down what was asked of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use roomraft::{
    model::PlayerId,
    room::{Player, Room, RoomContext, RoomError},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// What the probes of a test share.
#[derive(Clone, Default)]
pub(crate) struct Script {
    journal: Arc<Mutex<Vec<String>>>,
    pub(crate) created: Arc<AtomicUsize>,
    /// `on_create` waits for a permit, where there is one.
    pub(crate) gate: Option<Arc<Semaphore>>,
    pub(crate) fail_create: Arc<AtomicBool>,
    pub(crate) fail_restore: Arc<AtomicBool>,
    pub(crate) refuse_players: Arc<AtomicBool>,
    /// Whether there is a state to save.
    pub(crate) saves: bool,
}

impl Script {
    pub(crate) fn saving() -> Self {
        Self { saves: true, ..Self::default() }
    }

    pub(crate) fn gated() -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Self { gate: Some(Arc::clone(&gate)), ..Self::default() }, gate)
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        self.journal.lock().clone()
    }

    /// How often a line was written.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.journal.lock().iter().filter(|written| *written == line).count()
    }

    pub(crate) fn creations(&self) -> usize {
        self.created.load(Ordering::SeqCst)
    }

    fn note(&self, line: impl Into<String>) {
        self.journal.lock().push(line.into());
    }
}

/// The room.
pub(crate) struct Probe {
    script: Script,
    state: Value,
}

impl Probe {
    pub(crate) fn new(script: &Script) -> Self {
        Self { script: script.clone(), state: json!({ "written": Value::Null }) }
    }
}

#[async_trait]
impl Room for Probe {
    async fn on_create(&mut self, ctx: &mut RoomContext, options: Value) -> Result<(), RoomError> {
        self.script.created.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.script.gate {
            gate.acquire().await.map_err(|error| error.to_string())?.forget();
        }
        if self.script.fail_create.load(Ordering::SeqCst) {
            return Err("creation failed as told".into());
        }
        self.script.note(format!("create {} {options}", ctx.room_type()));
        Ok(())
    }

    async fn on_join(&mut self, ctx: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        if self.script.refuse_players.load(Ordering::SeqCst) {
            player.send("too-early", &json!(null));
            return Err("nobody is let in".into());
        }
        self.script.note(format!("join {} {}", player.id(), player.data()));
        player.send("welcome", &json!({ "players": ctx.player_count() }));
        Ok(())
    }

    async fn on_leave(&mut self, _: &mut RoomContext, player: &Player, reason: &str) -> Result<(), RoomError> {
        self.script.note(format!("leave {} {reason}", player.id()));
        Ok(())
    }

    async fn on_player_disconnected(&mut self, _: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        self.script.note(format!("disconnected {}", player.id()));
        Ok(())
    }

    async fn on_player_reconnected(&mut self, _: &mut RoomContext, player: &Player) -> Result<(), RoomError> {
        self.script.note(format!("reconnected {} {}", player.id(), player.data()));
        player.send("welcome-back", &self.state);
        Ok(())
    }

    async fn on_message(
        &mut self,
        ctx: &mut RoomContext,
        player: &Player,
        message_type: &str,
        data: Value,
    ) -> Result<(), RoomError> {
        match message_type {
            "say" => ctx.broadcast("said", &data, None),
            "whisper" => ctx.broadcast("said", &data, Some(player.id())),
            "bytes" => ctx.broadcast_binary(vec![7; 5].into(), None),
            "tell" => {
                let told = ctx.send(&named(&data["to"])?, "told", &data["what"]);
                player.send("told?", &json!(told));
            }
            "data" => player.set_data(data),
            "kick" => ctx.kick(&named(&data)?, "as told"),
            "quit" => player.leave("of its own"),
            "lock" => ctx.lock(),
            "unlock" => ctx.unlock(),
            "metadata" => ctx.set_metadata([("mode", data)].into_iter().collect()),
            "dispose" => ctx.dispose("as told"),
            "write" => self.state["written"] = data,
            "append" => match &mut self.state["appended"] {
                Value::Array(items) => items.push(data),
                first => *first = json!([data]),
            },
            "save" => {
                let version = ctx.save(self).await?;
                player.send("saved", &json!(version));
            }
            "wait" => {
                if let Some(gate) = &self.script.gate {
                    gate.acquire().await.map_err(|error| error.to_string())?.forget();
                }
            }
            "panic" => panic!("as told"),
            "fail" => return Err("failed as told".into()),
            other => return Err(RoomError::UnknownMessage(other.to_owned())),
        }
        Ok(())
    }

    async fn on_remote_message(
        &mut self,
        _: &mut RoomContext,
        message_type: &str,
        data: Value,
        player_id: Option<&PlayerId>,
    ) -> Result<(), RoomError> {
        let from = player_id.map_or("nobody", PlayerId::as_str);
        self.script.note(format!("remote {message_type} {data} {from}"));
        Ok(())
    }

    async fn on_tick(&mut self, _: &mut RoomContext, dt: f32) -> Result<(), RoomError> {
        self.script.note(format!("tick {:.0}", f64::from(dt) * 1_000.0));
        Ok(())
    }

    async fn on_dispose(&mut self, _: &mut RoomContext) -> Result<(), RoomError> {
        self.script.note("dispose");
        Ok(())
    }

    async fn on_error(&mut self, _: &mut RoomContext, error: &RoomError) {
        self.script.note(format!("error {error}"));
    }

    fn save(&self) -> Option<Value> {
        self.script.saves.then(|| self.state.clone())
    }

    async fn restore(&mut self, ctx: &mut RoomContext, state: Value) -> Result<(), RoomError> {
        if self.script.fail_restore.load(Ordering::SeqCst) {
            return Err("restoring failed as told".into());
        }
        self.script.note(format!("restore {} with {} players", state, ctx.player_count()));
        self.state = state;
        Ok(())
    }
}

fn named(name: &Value) -> Result<PlayerId, RoomError> {
    PlayerId::new(name.as_str().unwrap_or_default()).map_err(|error| error.to_string().into())
}
