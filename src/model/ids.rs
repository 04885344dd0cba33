//! Newtypes at the edges: an id that exists has been checked.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name from outside that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct InvalidId {
    what: &'static str,
    problem: String,
}

/// The longest id in bytes.
const ID_BYTES_MAX: usize = 128;

fn check(what: &'static str, text: &str) -> Result<(), InvalidId> {
    let problem = if text.is_empty() {
        "must not be empty".to_owned()
    } else if text.len() > ID_BYTES_MAX {
        format!("has {} bytes, at most {ID_BYTES_MAX} are allowed", text.len())
    } else if text.chars().any(|c| c.is_control() || c == '{' || c == '}') {
        "must not contain control characters or braces".to_owned()
    } else {
        return Ok(());
    };
    Err(InvalidId { what, problem })
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 128 bytes of UTF-8 without control characters and braces. Cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`InvalidId`] where it is empty, too long, or has control characters or braces.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                check($what, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;
            fn try_from(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// The unique name of a game server.
    ServerId, "server id"
);
text_id!(
    /// The unique name of a room, given by the registry: unique in the cluster by construction.
    RoomId, "room id"
);
text_id!(
    /// The name of a kind of room, such as `arena`.
    RoomType, "room type"
);
text_id!(
    /// A player's id; it stays the same across reconnects, wherever the room moves.
    PlayerId, "player id"
);

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// What granted a registration or an ownership: the command's index, as the registry counts them; on Redis a
    /// counter of its own.
    ///
    /// It only grows. Every later write of that owner names it, and a write with an older one is fenced.
    Epoch
);
number_id!(
    /// Proof of holding a lock, and a fencing token: of two holders of one key the later has the larger token.
    LockToken
);
number_id!(
    /// The id of a Raft member: random, made at first start, never reused with an empty disk. 0 off the raft backend.
    NodeId
);

/// The id of one seat of a room, chosen by whoever reserves it; on the wire the `reservation`, 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatId(pub u128);

impl SeatId {
    /// A new random id; 128 bits, so it cannot be guessed.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SeatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SeatId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(id) if digits => Ok(Self(id)),
            _ => Err(InvalidId { what: "reservation", problem: "must be 32 hexadecimal digits".to_owned() }),
        }
    }
}

impl Serialize for SeatId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for SeatId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            u128::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_refuses_what_would_break_logs_and_keys() {
        for bad in ["", "a\nb", "{a}", &"x".repeat(129)] {
            assert!(RoomId::new(bad).is_err(), "{bad:?} was taken");
        }
        assert!(RoomId::new("arena-1").is_ok());
    }

    #[test]
    fn a_seat_id_survives_its_text_form() {
        let id = SeatId(0x1f);
        assert_eq!(id.to_string().parse::<SeatId>(), Ok(id));
        assert!("+0000000000000000000000000000001".parse::<SeatId>().is_err());
    }
}
