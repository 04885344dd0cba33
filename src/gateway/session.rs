//! What one connection is allowed and asks for; pure.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{DuplicateJoinPolicy, User};
use crate::{
    model::PlayerId,
    protocol::{
        AuthenticateInput, ErrorCode, GetRoomInfoInput, JoinRoomInput, ListRoomsInput, Packet, PacketError,
        ReconnectRoomInput, RoomMessage, call, message,
    },
};

/// What a packet leads to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Nothing, for this reason.
    Ignore(&'static str),
    /// Send this back.
    Reply(Packet),
    /// Send this back and end the connection: too much of what came was no packet.
    GiveUp(Option<Packet>),
    /// Something that takes a while; to be done in order.
    Call(Call),
}

/// What a player wants of the rooms.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    Join { id: Value, input: Box<JoinRoomInput> },
    Reconnect { id: Value, input: ReconnectRoomInput },
    Leave { id: Value },
    List { id: Value, input: ListRoomsInput },
    Info { id: Value, input: GetRoomInfoInput },
    Authenticate { id: Value, input: AuthenticateInput },
    Say(RoomMessage),
}

/// Sorts the packets of one connection.
#[derive(Debug)]
pub(super) struct Sorter {
    malformed: u32,
    malformed_max: u32,
}

impl Sorter {
    pub(super) fn new(malformed_max: u32) -> Self {
        Self { malformed: 0, malformed_max }
    }

    /// What a message from the player leads to. `in_rate` is whether it came within the rate.
    pub(super) fn sort(&mut self, decoded: Result<Packet, PacketError>, in_rate: bool) -> Action {
        match decoded {
            Ok(Packet::Heartbeat) if in_rate => Action::Reply(Packet::Heartbeat),
            Ok(Packet::Request { id, .. }) if !in_rate => {
                Action::Reply(error(id, ErrorCode::RateLimited, "too many packets: slow down, then try again"))
            }
            Ok(_) if !in_rate => Action::Ignore("rate"),
            Ok(Packet::Request { id, name, input }) => {
                request(id, &name, input).map_or_else(Action::Reply, Action::Call)
            }
            Ok(Packet::Message { name, data }) if name == message::ROOM_MESSAGE => match serde_json::from_value(data) {
                Ok(say) => Action::Call(Call::Say(say)),
                Err(_) => self.malformed(None, "a RoomMessage is {type, data}"),
            },
            // Other messages, and responses that nobody awaits, may be another version's: they are passed over.
            Ok(_) => Action::Ignore("no use"),
            Err(PacketError { id, problem }) => self.malformed(id, &problem),
        }
    }

    fn malformed(&mut self, id: Option<Value>, problem: &str) -> Action {
        self.malformed += 1;
        let reply = id.map(|id| error(id, ErrorCode::InvalidRequest, problem));
        match reply {
            reply if self.malformed > self.malformed_max => Action::GiveUp(reply),
            Some(reply) => Action::Reply(reply),
            None => Action::Ignore("malformed"),
        }
    }
}

fn request(id: Value, name: &str, input: Value) -> Result<Call, Packet> {
    Ok(match name {
        call::JOIN_ROOM => {
            let input: JoinRoomInput = parse(&id, input)?;
            if input.room_id.is_none() && input.room_type.is_none() {
                return Err(error(id, ErrorCode::InvalidRequest, "JoinRoom needs a roomType or a roomId"));
            }
            Call::Join { id, input: Box::new(input) }
        }
        call::RECONNECT_ROOM => Call::Reconnect { input: parse(&id, input)?, id },
        call::LEAVE_ROOM => Call::Leave { id },
        call::LIST_ROOMS => Call::List { input: parse(&id, input)?, id },
        call::GET_ROOM_INFO => Call::Info { input: parse(&id, input)?, id },
        call::AUTHENTICATE => Call::Authenticate { input: parse(&id, input)?, id },
        unknown => {
            let message = format!("there is no call {:?}", unknown.chars().take(64).collect::<String>());
            return Err(error(id, ErrorCode::NotFound, &message));
        }
    })
}

fn parse<T: DeserializeOwned>(id: &Value, input: Value) -> Result<T, Packet> {
    let input = if input.is_null() { Value::Object(serde_json::Map::new()) } else { input };
    serde_json::from_value(input).map_err(|wrong| error(id.clone(), ErrorCode::InvalidRequest, &wrong.to_string()))
}

pub(super) fn error(id: Value, code: ErrorCode, message: &str) -> Packet {
    Packet::Error { id, code, message: message.to_owned() }
}

/// What a join does about the room that the player is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nothing is in the way.
    Enter,
    /// Leave that room first.
    LeaveFirst,
    /// Refuse: it is in a room.
    InRoom,
    /// Refuse: it has not said who it is.
    Stranger,
}

pub(super) fn admission(in_room: bool, policy: DuplicateJoinPolicy, user: Option<&User>, login: bool) -> Admission {
    match (in_room, policy) {
        _ if login && user.is_none() => Admission::Stranger,
        (true, DuplicateJoinPolicy::AutoLeave) => Admission::LeaveFirst,
        (true, DuplicateJoinPolicy::Reject) => Admission::InRoom,
        (false, _) => Admission::Enter,
    }
}

/// The id of a player that is nobody in particular.
pub(super) fn stranger_id(chance: u128) -> Option<PlayerId> {
    PlayerId::new(format!("p-{chance:032x}")).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sort(sorter: &mut Sorter, text: &str) -> Action {
        sorter.sort(Packet::decode(text.as_bytes()), true)
    }

    fn code(action: &Action) -> Option<&ErrorCode> {
        match action {
            Action::Reply(Packet::Error { code, .. }) | Action::GiveUp(Some(Packet::Error { code, .. })) => Some(code),
            _ => None,
        }
    }

    #[test]
    fn wrong_calls_have_their_codes() {
        let mut sorter = Sorter::new(9);
        let codes = [
            (r#"[0,1,"Fly",{}]"#, ErrorCode::NotFound),
            (r#"[0,1,"JoinRoom",{}]"#, ErrorCode::InvalidRequest),
            (r#"[0,1,"JoinRoom",{"roomType":7}]"#, ErrorCode::InvalidRequest),
            (r#"[0,1,"ReconnectRoom",{}]"#, ErrorCode::InvalidRequest),
            (r#"[0,1,"JoinRoom",5]"#, ErrorCode::InvalidRequest),
            ("[0,1]", ErrorCode::InvalidRequest),
        ];
        for (text, expected) in codes {
            assert_eq!(code(&sort(&mut sorter, text)), Some(&expected), "{text}");
        }
        assert_eq!(sort(&mut sorter, "[9]"), Action::Reply(Packet::Heartbeat));
    }

    #[test]
    fn too_much_that_is_no_packet_ends_the_connection() {
        let mut sorter = Sorter::new(2);
        assert_eq!(sort(&mut sorter, "nonsense"), Action::Ignore("malformed"));
        assert_eq!(sort(&mut sorter, r#"[3,"RoomMessage",7]"#), Action::Ignore("malformed"));
        assert_eq!(sort(&mut sorter, "nonsense"), Action::GiveUp(None));
    }

    #[test]
    fn above_the_rate_calls_are_told_and_messages_are_dropped() {
        let mut sorter = Sorter::new(2);
        let call = sorter.sort(Packet::decode(br#"[0,1,"ListRooms",{}]"#), false);
        assert_eq!(code(&call), Some(&ErrorCode::RateLimited));
        assert_eq!(sorter.sort(Packet::decode(br#"[3,"RoomMessage",{"type":"x"}]"#), false), Action::Ignore("rate"));
    }

    #[test]
    fn a_list_without_input_lists_everything() {
        let action = sort(&mut Sorter::new(2), r#"[0,"a","ListRooms",null]"#);
        assert_eq!(action, Action::Call(Call::List { id: json!("a"), input: ListRoomsInput::default() }));
    }

    #[test]
    fn a_second_join_follows_the_policy() {
        use DuplicateJoinPolicy::{AutoLeave, Reject};
        assert_eq!(admission(true, AutoLeave, None, false), Admission::LeaveFirst);
        assert_eq!(admission(true, Reject, None, false), Admission::InRoom);
        assert_eq!(admission(false, Reject, None, false), Admission::Enter);
        assert_eq!(admission(false, Reject, None, true), Admission::Stranger);
    }

    proptest! {
        #[test]
        fn every_message_leads_somewhere(texts in prop::collection::vec(r#"[\[\]{}0-9",a-zA-Z:]*"#, 0..20)) {
            let mut sorter = Sorter::new(5);
            for text in texts {
                let _ = sort(&mut sorter, &text);
            }
        }
    }
}
