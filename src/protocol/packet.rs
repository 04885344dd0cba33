//! One packet: a JSON array whose first element says what it is.

use serde_json::{Value, json};

use super::ErrorCode;

const REQUEST: u64 = 0;
const RESPONSE: u64 = 1;
const ERROR: u64 = 2;
const MESSAGE: u64 = 3;
const HEARTBEAT: u64 = 9;

/// What is said in one message of the WebSocket.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// `[0, id, name, input]`: a call.
    Request {
        /// Chosen by the client, unique among its open calls: a number or a string, given back as it came.
        id: Value,
        /// The call.
        name: String,
        /// Its input.
        input: Value,
    },
    /// `[1, id, output]`: a call's answer.
    Response {
        /// The call's.
        id: Value,
        /// The answer.
        output: Value,
    },
    /// `[2, id, code, message]`: a call's failure.
    Error {
        /// The call's.
        id: Value,
        /// What kind of failure.
        code: ErrorCode,
        /// The same for people.
        message: String,
    },
    /// `[3, name, data]`: a word that needs no answer.
    Message {
        /// Its name.
        name: String,
        /// Its content.
        data: Value,
    },
    /// `[9]`: a sign of life.
    Heartbeat,
}

/// Text that is no packet.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("not a packet: {problem}")]
pub struct PacketError {
    /// The call that it was meant to be, where that can be read.
    pub id: Option<Value>,
    /// What is wrong.
    pub problem: String,
}

impl Packet {
    /// Reads one packet; anything at all may be in the text.
    ///
    /// # Errors
    /// [`PacketError`] with the call's id, where one can be read.
    pub fn decode(text: &[u8]) -> Result<Self, PacketError> {
        let value: Value = serde_json::from_slice(text).map_err(|error| nothing(format!("no JSON: {error}")))?;
        let Value::Array(parts) = value else { return Err(nothing("no array".to_owned())) };
        let mut parts = parts.into_iter();
        let kind = parts.next().and_then(|kind| kind.as_u64());
        match kind {
            Some(REQUEST) => {
                let id = id(parts.next())?;
                let Some(Value::String(name)) = parts.next() else { return Err(broken(id, "a call needs a name")) };
                Ok(Self::Request { id, name, input: parts.next().unwrap_or(Value::Null) })
            }
            Some(RESPONSE) => Ok(Self::Response { id: id(parts.next())?, output: parts.next().unwrap_or(Value::Null) }),
            Some(ERROR) => {
                let id = id(parts.next())?;
                let Some(Value::String(code)) = parts.next() else { return Err(broken(id, "an error needs a code")) };
                let Ok(code) = code.parse();
                let message = parts.next().and_then(|message| message.as_str().map(str::to_owned)).unwrap_or_default();
                Ok(Self::Error { id, code, message })
            }
            Some(MESSAGE) => {
                let Some(Value::String(name)) = parts.next() else {
                    return Err(nothing("a message needs a name".to_owned()));
                };
                Ok(Self::Message { name, data: parts.next().unwrap_or(Value::Null) })
            }
            Some(HEARTBEAT) => Ok(Self::Heartbeat),
            _ => Err(PacketError { id: id(parts.next()).ok(), problem: "its first element names no kind".to_owned() }),
        }
    }

    /// Its text.
    pub fn encode(&self) -> String {
        match self {
            Self::Request { id, name, input } => json!([REQUEST, id, name, input]),
            Self::Response { id, output } => json!([RESPONSE, id, output]),
            Self::Error { id, code, message } => json!([ERROR, id, code.name(), message]),
            Self::Message { name, data } => json!([MESSAGE, name, data]),
            Self::Heartbeat => json!([HEARTBEAT]),
        }
        .to_string()
    }
}

fn id(value: Option<Value>) -> Result<Value, PacketError> {
    match value {
        Some(id @ (Value::Number(_) | Value::String(_))) => Ok(id),
        _ => Err(nothing("an id is a number or a string".to_owned())),
    }
}

fn nothing(problem: String) -> PacketError {
    PacketError { id: None, problem }
}

fn broken(id: Value, problem: &str) -> PacketError {
    PacketError { id: Some(id), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_row_of_the_table_has_its_text() {
        let request = Packet::Request { id: json!(7), name: "JoinRoom".to_owned(), input: json!({ "roomType": "a" }) };
        assert_eq!(request.encode(), r#"[0,7,"JoinRoom",{"roomType":"a"}]"#);
        let error = Packet::Error { id: json!(7), code: ErrorCode::RateLimited, message: "slower".to_owned() };
        assert_eq!(error.encode(), r#"[2,7,"RATE_LIMITED","slower"]"#);
        assert_eq!(Packet::Heartbeat.encode(), "[9]");
    }

    #[test]
    fn what_is_no_packet_says_so_and_keeps_the_call() {
        for text in ["", "{}", "[", "[3]", "[3,4]", "[0,null,\"x\"]", "[9999999999999999999999]"] {
            assert_eq!(Packet::decode(text.as_bytes()).expect_err(text).id, None);
        }
        for text in ["[0,7]", "[0,7,8]", "[8,7]", "[2,7]"] {
            assert_eq!(Packet::decode(text.as_bytes()).expect_err(text).id, Some(json!(7)), "{text}");
        }
        assert_eq!(Packet::decode(b"[9]"), Ok(Packet::Heartbeat));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn packet() -> impl Strategy<Value = Packet> {
        let id = || prop_oneof![any::<u32>().prop_map(Value::from), "[a-z]{1,8}".prop_map(Value::from)];
        prop_oneof![
            (id(), ".*", value()).prop_map(|(id, name, input)| Packet::Request { id, name, input }),
            (id(), value()).prop_map(|(id, output)| Packet::Response { id, output }),
            (id(), "[A-Z_]{1,20}", ".*").prop_map(|(id, code, message)| {
                let Ok(code) = code.parse();
                Packet::Error { id, code, message }
            }),
            (".*", value()).prop_map(|(name, data)| Packet::Message { name, data }),
            Just(Packet::Heartbeat),
        ]
    }

    proptest! {
        #[test]
        fn a_packet_survives_its_text(packet in packet()) {
            prop_assert_eq!(Packet::decode(packet.encode().as_bytes()), Ok(packet));
        }

        #[test]
        fn any_bytes_at_all_are_a_packet_or_an_error(bytes: Vec<u8>, text in r#"[\[\]{}0-9",a-z:]*"#) {
            let _ = Packet::decode(&bytes);
            let _ = Packet::decode(text.as_bytes());
        }
    }
}
