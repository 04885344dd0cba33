//! Session tokens: a player's proof that a seat is its own.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::model::{RoomId, SeatId, TokenHash};

/// The random part: 128 bits in base64url.
const SECRET_CHARACTERS: usize = 22;

/// A session token's parts. Its text is `{room_id}.{seat_id}.{secret}`: it names its room, so that
/// any server can answer for it. The registry keeps a hash of the secret alone: room and seat are
/// not known before the seat is granted.
#[derive(Clone)]
pub(crate) struct SessionToken {
    seat_id: SeatId,
    secret: String,
}

impl SessionToken {
    /// A new token for a seat.
    pub(crate) fn random(seat_id: SeatId) -> Self {
        Self { seat_id, secret: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()) }
    }

    /// Reads a token's text; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<(RoomId, Self)> {
        // From the right, since room ids may contain dots.
        let (rest, secret) = text.rsplit_once('.')?;
        let (room_id, seat_id) = rest.rsplit_once('.')?;
        if secret.len() != SECRET_CHARACTERS {
            return None;
        }
        let token = Self { seat_id: seat_id.parse().ok()?, secret: secret.to_owned() };
        Some((RoomId::new(room_id).ok()?, token))
    }

    /// The same secret for another seat.
    pub(crate) fn on_seat(self, seat_id: SeatId) -> Self {
        Self { seat_id, ..self }
    }

    /// The seat that it is for.
    pub(crate) fn seat_id(&self) -> SeatId {
        self.seat_id
    }

    /// What the registry keeps of it.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(&self.secret).into())
    }

    /// The whole token, as the player keeps it.
    pub(crate) fn text(&self, room_id: &RoomId) -> String {
        format!("{room_id}.{}.{}", self.seat_id, self.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_also_with_dots_in_the_room_id() {
        let room_id = RoomId::new("arena.eu.1-4f").expect("a valid id");
        let token = SessionToken::random(SeatId(7));
        let (room, parsed) = SessionToken::parse(&token.text(&room_id)).expect("its own text");
        assert_eq!((room, parsed.seat_id(), parsed.hash()), (room_id, SeatId(7), token.hash()));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let short = format!("arena-1.{}.abc", SeatId(7));
        for text in ["", ".", "..", "a.b.c", short.as_str(), "x.00000000000000000000000000000007"] {
            assert!(SessionToken::parse(text).is_none(), "{text:?} was taken");
        }
    }
}
