//! Records as Redis holds them, all text, and as everybody else knows them.

use std::collections::BTreeMap;

use super::answer::{Answer, Fields, field, optional, parsed};
use crate::{
    adapter::{AdapterError, AdapterResult},
    model::{
        Epoch, Metadata, MigrationStage, NodeId, PlayerId, RoomMigration, RoomRegistration, RoomState, RoomType,
        RoomTypeSpec, Seat, SeatGrant, SeatId, SeatState, ServerRegistration, ServerStatus, TokenHash,
    },
};

fn damaged(what: &str, problem: impl std::fmt::Display) -> AdapterError {
    AdapterError::Damaged(format!("{what} in Redis: {problem}"))
}

/// A value of the model from the one word that it is in JSON.
fn word<T: serde::de::DeserializeOwned>(fields: &Fields, name: &str) -> AdapterResult<T> {
    let text = field(fields, name)?;
    serde_json::from_value(text.into()).map_err(|error| damaged(name, error))
}

/// Attributes as an object of texts, each the JSON of one value: Lua's JSON changes numbers and empty lists, so values
/// never pass through it.
pub(super) fn metadata_text(metadata: &Metadata) -> BTreeMap<&str, String> {
    metadata.entries().iter().map(|(key, value)| (key.as_str(), value.to_string())).collect()
}

pub(super) fn json_text(value: &impl serde::Serialize) -> AdapterResult<String> {
    serde_json::to_string(value).map_err(|error| damaged("a value that is no JSON", error))
}

fn metadata(text: &str) -> AdapterResult<Metadata> {
    let texts: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| damaged("metadata", error))?;
    let values = texts.into_iter().map(|(key, text)| serde_json::from_str(&text).map(|value| (key, value)));
    let values: Result<Vec<(String, serde_json::Value)>, _> = values.collect();
    Ok(values.map_err(|error| damaged("metadata", error))?.into_iter().collect())
}

fn migration(fields: &Fields) -> AdapterResult<Option<RoomMigration>> {
    if !fields.contains_key("mig_stage") {
        return Ok(None);
    }
    Ok(Some(RoomMigration {
        from: parsed(fields, "mig_from")?,
        to: parsed(fields, "mig_to")?,
        stage: word::<MigrationStage>(fields, "mig_stage")?,
        version: parsed(fields, "mig_version")?,
        deadline_ms: parsed(fields, "mig_deadline")?,
    }))
}

/// A room from its fields.
pub(super) fn room(fields: &Fields) -> AdapterResult<RoomRegistration> {
    Ok(RoomRegistration {
        room_id: parsed(fields, "id")?,
        room_type: parsed(fields, "type")?,
        server_id: optional(fields, "owner")?,
        server_address: field(fields, "address")?.to_owned(),
        player_count: parsed(fields, "players")?,
        max_players: parsed(fields, "max")?,
        is_locked: field(fields, "locked")? == "1",
        metadata: metadata(field(fields, "meta")?)?,
        created_at: parsed(fields, "created")?,
        updated_at: parsed(fields, "updated")?,
        epoch: Epoch(parsed(fields, "epoch")?),
        state: word::<RoomState>(fields, "state")?,
        seat_count: parsed(fields, "seats")?,
        snapshot_version: optional(fields, "snap")?,
        options: field(fields, "options")?.to_owned(),
        migration: migration(fields)?,
    })
}

/// The number that rooms are ordered by, oldest first.
pub(super) fn room_number(fields: &Fields) -> AdapterResult<u64> {
    parsed(fields, "number")
}

fn token(hex: &str) -> Option<TokenHash> {
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (hex.len() == 64).then_some(TokenHash(hash))
}

pub(super) fn token_text(token: &TokenHash) -> String {
    let digits = |byte: u8| char::from_digit(byte.into(), 16).unwrap_or('0');
    token.0.iter().flat_map(|byte| [digits(byte >> 4), digits(byte & 15)]).collect()
}

/// A seat from its row: state, deadline, origin, token and player.
fn seat(seat_id: SeatId, row: &str) -> AdapterResult<Seat> {
    let parts: Vec<&str> = row.splitn(5, '|').collect();
    let [state, deadline, origin, hash, player] = parts[..] else {
        return Err(damaged("a seat", format!("it has {} parts", parts.len())));
    };
    let state = match state {
        "h" => SeatState::Held,
        "j" => SeatState::Joined,
        "a" => SeatState::Away,
        other => return Err(damaged("a seat", format!("its state is {other:?}"))),
    };
    Ok(Seat {
        seat_id,
        player_id: PlayerId::new(player)?,
        token: token(hash),
        state,
        deadline_ms: deadline.parse().map_err(|error| damaged("a seat's deadline", error))?,
        origin: origin.parse().map_err(|error| damaged("a seat's origin", error))?,
    })
}

/// A grant from the reply that has one.
pub(super) fn grant(answer: &mut Answer) -> AdapterResult<SeatGrant> {
    let created = answer.text()? == "1";
    let seat_id: SeatId = answer.number()?;
    let row = answer.text()?;
    Ok(SeatGrant { seat: seat(seat_id, &row)?, room: room(&answer.fields()?)?, created })
}

/// A server from its row; its counts are in the shards.
pub(super) fn server(server_id: &str, row: &Fields) -> AdapterResult<ServerRegistration> {
    Ok(ServerRegistration {
        server_id: server_id.parse()?,
        address: field(row, "address")?.to_owned(),
        port: parsed(row, "port")?,
        room_count: 0,
        player_count: 0,
        capacity: parsed(row, "capacity")?,
        status: word::<ServerStatus>(row, "status")?,
        last_heartbeat: parsed(row, "seen")?,
        metadata: metadata(field(row, "metadata")?)?,
        epoch: Epoch(parsed(row, "epoch")?),
        seat_count: 0,
        room_types: room_types(row)?,
        node_id: NodeId(parsed(row, "node")?),
    })
}

/// The types that a server's row says it serves.
pub(super) fn room_types(row: &Fields) -> AdapterResult<BTreeMap<RoomType, RoomTypeSpec>> {
    serde_json::from_str(field(row, "types")?).map_err(|error| damaged("a server's room types", error))
}
