//! How a handle calls scripts: the arguments that all have, and what is done about a shard that lacks a server's row.
//!
//! A shard's script sees its own slot only. Where it needs to know more, it changes nothing and says what it lacks: a
//! copy of a server's row, or what a server has in other shards. Both are fetched here and the script is called again.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use redis::Script;
use serde_json::{Map, Value};

use super::{
    answer::{Answer, Outcome, outcome},
    keys::{ShardName, name_base, servers_base, shard_base},
    link::Link,
    options::RedisOptions,
    scripts,
    view::ServerCache,
};
use crate::{
    adapter::{AdapterError, AdapterResult},
    clock::millis,
    model::{Epoch, RoomId, ServerId},
    registry::Rejection,
};

/// A name that a room's creator has taken counts this long, though no room has it yet.
const NAMING_MS: u64 = 60_000;

/// The largest time that is sent, in milliseconds: with the present one it still is a whole number in Lua.
const TIME_MAX: u64 = 1 << 51;

/// A script's arguments by their names.
pub(super) type Arguments = Map<String, Value>;

/// A script's arguments from a JSON object.
macro_rules! arguments {
    ($($json:tt)*) => {
        match serde_json::json!($($json)*) {
            serde_json::Value::Object(arguments) => arguments,
            _ => serde_json::Map::new(),
        }
    };
}
pub(super) use arguments;

/// A length of time as an argument.
pub(super) fn time(ms: u64) -> u64 {
    ms.min(TIME_MAX)
}

/// An epoch or another large number as an argument: Lua's numbers have 53 bits.
pub(super) fn number(number: u64) -> String {
    number.to_string()
}

/// A name for one call, so that a repetition is known as one.
pub(super) fn call_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A handle without its subscriptions.
pub(super) struct Core {
    pub(super) options: RedisOptions,
    pub(super) link: Mutex<Option<Link>>,
    pub(super) cache: ServerCache,
    /// The servers that were registered through this handle.
    pub(super) own_servers: Mutex<BTreeMap<ServerId, Epoch>>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(options: RedisOptions) -> Self {
        Self {
            options,
            link: Mutex::new(None),
            cache: ServerCache::default(),
            own_servers: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn link(&self) -> AdapterResult<Link> {
        self.link.lock().clone().ok_or(AdapterError::Disconnected)
    }

    pub(super) async fn call(
        &self,
        script: &Script,
        base: &str,
        call: &Arguments,
        extra: &[u8],
    ) -> AdapterResult<Outcome> {
        let mut call = call.clone();
        call.insert("channel".to_owned(), self.options.events_channel().into());
        if let Some(now_ms) = self.options.clock.manual_ms() {
            call.insert("now".to_owned(), now_ms.into());
        }
        let text = Value::Object(call).to_string();
        let reply = self.link()?.script(script, base, &[text.into_bytes(), extra.to_vec()]).await?;
        outcome(reply)
    }

    /// Calls a script of the servers' slot.
    pub(super) async fn servers_call(&self, call: &Arguments) -> AdapterResult<Answer> {
        match self.call(&scripts::SERVERS, &servers_base(&self.options.prefix), call, &[]).await? {
            Outcome::Done(answer) => Ok(answer),
            other => Err(AdapterError::Damaged(format!("the servers' script asks for more: {other:?}"))),
        }
    }

    async fn shard_step(
        &self,
        script: &Script,
        shard: &ShardName,
        call: &mut Arguments,
        extra: &[u8],
    ) -> AdapterResult<Outcome> {
        call.insert("shard".to_owned(), shard.as_str().into());
        call.insert("room_ttl".to_owned(), number(time(millis(self.options.room_ttl))).into());
        self.call(script, &shard_base(&self.options.prefix, shard), call, extra).await
    }

    /// Calls a script of one shard that needs to know nothing beside it.
    pub(super) async fn shard_plain(
        &self,
        script: &Script,
        shard: &ShardName,
        mut call: Arguments,
    ) -> AdapterResult<Answer> {
        match self.shard_step(script, shard, &mut call, &[]).await? {
            Outcome::Done(answer) => Ok(answer),
            other => Err(AdapterError::Damaged(format!("a script asks for more than it may: {other:?}"))),
        }
    }

    /// Calls a script of one shard; gives none where no room of the shard fits. What the script had to be told is in
    /// its arguments afterwards.
    pub(super) async fn shard_call_maybe(
        &self,
        script: &Script,
        shard: &ShardName,
        call: &mut Arguments,
        extra: &[u8],
    ) -> AdapterResult<Option<Answer>> {
        let mut fetched: Vec<String> = Vec::new();
        loop {
            match self.shard_step(script, shard, call, extra).await? {
                Outcome::Done(answer) => return Ok(Some(answer)),
                Outcome::Nothing => return Ok(None),
                Outcome::Stale(server_id) => {
                    let again = fetched.contains(&server_id);
                    self.fetch_copy(shard, call, &server_id, again).await?;
                    fetched.push(server_id);
                }
                Outcome::Counts(server_id) => self.tell_counts(shard, call, &server_id).await?,
            }
        }
    }

    /// Calls a script of one shard.
    pub(super) async fn shard_call(
        &self,
        script: &Script,
        shard: &ShardName,
        mut call: Arguments,
        extra: &[u8],
    ) -> AdapterResult<Answer> {
        let answer = self.shard_call_maybe(script, shard, &mut call, extra).await?;
        answer.ok_or_else(|| AdapterError::Damaged("a script of a shard gave nothing".to_owned()))
    }

    /// Copies a server's row into a shard that lacks it. Where that was of no use it says why.
    async fn fetch_copy(&self, shard: &ShardName, call: &Arguments, server_id: &str, again: bool) -> AdapterResult<()> {
        let server_id = ServerId::new(server_id)?;
        let unknown = || AdapterError::from(Rejection::ServerUnknown(server_id.clone()));
        let epoch = self.copy_into(shard, &server_id).await?.ok_or_else(unknown)?;
        let is_caller = call.get("caller").and_then(Value::as_str) == Some(server_id.as_str());
        let named = call.get("epoch").and_then(Value::as_str).and_then(|text| text.parse().ok());
        match named {
            Some(named) if is_caller && Epoch(named) != epoch => Err(AdapterError::Fenced { present: epoch }),
            _ if again => Err(unknown()),
            _ => Ok(()),
        }
    }

    /// The shard where a room is, if it exists.
    pub(super) async fn shard_of(&self, room_id: &RoomId) -> AdapterResult<Option<ShardName>> {
        if let Some(shard) = ShardName::in_room_id(room_id) {
            return Ok(Some(shard));
        }
        let mut get = redis::cmd("GET");
        get.arg(format!("{}shard", name_base(&self.options.prefix, room_id)));
        match self.link()?.query(&get).await? {
            redis::Value::BulkString(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                Ok(text.rsplit_once('|').map(|(shard, _)| ShardName::stored(shard)))
            }
            _ => Ok(None),
        }
    }

    /// The shard of a room that must exist.
    pub(super) async fn known_shard_of(&self, room_id: &RoomId) -> AdapterResult<ShardName> {
        let shard = self.shard_of(room_id).await?;
        shard.ok_or_else(|| Rejection::RoomUnknown(room_id.clone()).into())
    }

    /// Takes a name for a room to be in this shard.
    pub(super) async fn take_name(&self, room_id: &RoomId, shard: &ShardName) -> AdapterResult<()> {
        let base = name_base(&self.options.prefix, room_id);
        let mut call = arguments!({ "shard": shard.as_str() });
        for _ in 0..2 {
            let Outcome::Done(mut answer) = self.call(&scripts::NAMES, &base, &call, &[]).await? else { break };
            let (present, now_ms) = (answer.text()?, answer.number::<u64>()?);
            let Some((other, since)) = present.rsplit_once('|') else { break };
            if other == shard.as_str() {
                return Ok(());
            }
            let since: u64 = since.parse().unwrap_or_default();
            let other = ShardName::stored(other);
            if since.saturating_add(NAMING_MS) > now_ms || self.room_in(&other, room_id).await?.is_some() {
                break;
            }
            call.insert("replace".to_owned(), present.into());
        }
        Err(Rejection::RoomExists(room_id.clone()).into())
    }
}
