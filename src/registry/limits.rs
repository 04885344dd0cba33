//! The size of what a registry takes: every limit, and its check.

use std::io;

use super::Rejection;
use crate::model::{Metadata, NewRoom, NewServer, RoomType, RoomTypeSpec, ServerUpdate};
use std::collections::BTreeMap;

/// The largest `options` of a room, in bytes of JSON text.
pub const OPTIONS_BYTES_MAX: usize = 16 * 1024;
/// The largest metadata of a server or room, in bytes of JSON text.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// The longest lock key, in bytes.
pub const LOCK_KEY_BYTES_MAX: usize = 512;
/// The most seats of one room.
pub const MAX_PLAYERS_MAX: u32 = 100_000;
/// The most candidates of one seat request.
pub const CANDIDATES_MAX: usize = 8;
/// The most releases in one command.
pub const RELEASES_MAX: usize = 4096;
/// The most rooms that one claim of orphans is given; the caller asks again.
pub const CLAIMED_ROOMS_MAX: usize = 256;
/// The largest snapshot that any configuration allows, in bytes.
pub const SNAPSHOT_BYTES_MAX: usize = 16 * 1024 * 1024;

const ROOM_TYPES_MAX: usize = 256;
const ADDRESS_BYTES_MAX: usize = 512;
const REASON_BYTES_MAX: usize = 1024;
const HOLD_MS_MAX: u64 = 10 * 60 * 1000;

type Check = Result<(), Rejection>;

fn invalid(problem: String) -> Check {
    Err(Rejection::Invalid(problem))
}

fn at_most(what: &str, bytes: usize, limit: usize) -> Check {
    if bytes > limit {
        return invalid(format!("{what} has {bytes} bytes, at most {limit} are allowed: send less"));
    }
    Ok(())
}

pub(crate) fn server(server: &NewServer) -> Check {
    if server.address.is_empty() {
        return invalid("the server's address is empty: give the host that players reach it by".to_owned());
    }
    at_most("the server's address", server.address.len(), ADDRESS_BYTES_MAX)?;
    metadata("the server's metadata", &server.metadata)?;
    room_types(&server.room_types)
}

pub(crate) fn server_update(update: &ServerUpdate) -> Check {
    if let Some(attributes) = &update.metadata {
        metadata("the server's metadata", attributes)?;
    }
    update.room_types.as_ref().map_or(Ok(()), room_types)
}

fn room_types(types: &BTreeMap<RoomType, RoomTypeSpec>) -> Check {
    if types.len() > ROOM_TYPES_MAX {
        let count = types.len();
        return invalid(format!("{count} room types, at most {ROOM_TYPES_MAX} are allowed: define fewer per server"));
    }
    types.iter().try_for_each(|(room_type, spec)| {
        max_players(spec.max_players)?;
        metadata(&format!("the metadata of room type {room_type}"), &spec.metadata)
    })
}

pub(crate) fn room(room: &NewRoom) -> Check {
    max_players(room.max_players)?;
    metadata("the room's metadata", &room.metadata)?;
    options(&room.options)
}

pub(crate) fn options(text: &str) -> Check {
    at_most("the room's options", text.len(), OPTIONS_BYTES_MAX)
}

pub(crate) fn max_players(count: u32) -> Check {
    if count == 0 || count > MAX_PLAYERS_MAX {
        return invalid(format!("max_players is {count}: choose 1 to {MAX_PLAYERS_MAX}"));
    }
    Ok(())
}

pub(crate) fn metadata(what: &str, metadata: &Metadata) -> Check {
    if metadata.is_empty() {
        return Ok(());
    }
    let mut counter = ByteCounter(0);
    match serde_json::to_writer(&mut counter, metadata) {
        Ok(()) => at_most(what, counter.0, METADATA_BYTES_MAX),
        Err(error) => invalid(format!("{what} cannot be written as JSON ({error}): send plain values")),
    }
}

pub(crate) fn lock_key(key: &str) -> Check {
    if key.is_empty() {
        return invalid("the lock key is empty: give it a name".to_owned());
    }
    at_most("the lock key", key.len(), LOCK_KEY_BYTES_MAX)
}

pub(crate) fn lock_ttl(ttl_ms: u64) -> Check {
    if ttl_ms == 0 {
        return invalid("the lock's time is 0: give it at least 1 ms".to_owned());
    }
    Ok(())
}

pub(crate) fn hold(hold_ms: u64) -> Check {
    if hold_ms == 0 || hold_ms > HOLD_MS_MAX {
        return invalid(format!("hold_ms is {hold_ms}: choose 1 to {HOLD_MS_MAX}"));
    }
    Ok(())
}

pub(crate) fn offer(ttl_ms: u64) -> Check {
    if ttl_ms == 0 || ttl_ms > HOLD_MS_MAX {
        return invalid(format!("ttl_ms of an offer is {ttl_ms}: choose 1 to {HOLD_MS_MAX}"));
    }
    Ok(())
}

pub(crate) fn candidates(count: usize) -> Check {
    if count > CANDIDATES_MAX {
        return invalid(format!("{count} candidate servers, at most {CANDIDATES_MAX} are allowed: send the best"));
    }
    Ok(())
}

pub(crate) fn releases(count: usize) -> Check {
    if count > RELEASES_MAX {
        return invalid(format!("{count} releases, at most {RELEASES_MAX} are allowed: send them in parts"));
    }
    Ok(())
}

pub(crate) fn claimed_types(count: usize) -> Check {
    if count > ROOM_TYPES_MAX {
        return invalid(format!("{count} room types in a claim, at most {ROOM_TYPES_MAX} are allowed: claim in parts"));
    }
    Ok(())
}

pub(crate) fn snapshot(bytes: usize) -> Check {
    at_most("the snapshot", bytes, SNAPSHOT_BYTES_MAX)
}

/// A reason is for people: one that is too long is cut, not refused.
pub(crate) fn reason(text: &str) -> String {
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

struct ByteCounter(usize);

impl io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
