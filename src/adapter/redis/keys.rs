//! Where things are in Redis: which shard a room belongs to, and what its keys begin with.
//!
//! All keys of one shard have one hash tag, so they are in one slot of a cluster; a room's id tells its shard. Ids that
//! servers chose themselves do not: for them a key of its own says where the room is.

use std::fmt;

use crate::model::{RoomId, RoomType, ServerId};

/// The longest part of a room type in a shard's name: with the number and a room's 11 digits it fits an id.
const TYPE_BYTES_MAX: usize = 100;

/// One shard of a room type, such as `arena#0`: what is changed in one step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ShardName(String);

impl ShardName {
    /// The shard of a type with this number.
    pub(super) fn new(room_type: &RoomType, number: u32) -> Self {
        Self(format!("{}#{number}", label(room_type)))
    }

    /// A name as Redis has it.
    pub(super) fn stored(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// All shards of a type.
    pub(super) fn of_type(room_type: &RoomType, per_type: u32) -> impl Iterator<Item = Self> {
        (0..per_type).map(|number| Self::new(room_type, number))
    }

    /// The shard of a type in which a server makes rooms.
    pub(super) fn of_server(room_type: &RoomType, server_id: &ServerId, per_type: u32) -> Self {
        Self::new(room_type, crc32fast::hash(server_id.as_str().as_bytes()) % per_type)
    }

    /// The shard that a room's id names; none where a server chose the id itself.
    pub(super) fn in_room_id(room_id: &RoomId) -> Option<Self> {
        let (shard, digits) = room_id.as_str().rsplit_once('-')?;
        let (label, number) = shard.rsplit_once('#')?;
        let is_number = |text: &str, digit: fn(u8) -> bool| !text.is_empty() && text.bytes().all(digit);
        let fits = !label.is_empty()
            && is_number(number, |byte| byte.is_ascii_digit())
            && is_number(digits, |byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        fits.then(|| Self(shard.to_owned()))
    }

    /// Whether rooms of this type may be in it.
    pub(super) fn is_of_type(&self, room_type: &RoomType) -> bool {
        self.0.rsplit_once('#').is_some_and(|(own, _)| own == label(room_type))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A type's part of a shard's name. One that is too long is cut, and told from others by a checksum.
fn label(room_type: &RoomType) -> String {
    let text = room_type.as_str();
    if text.len() <= TYPE_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = TYPE_BYTES_MAX - 9;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{:08x}", &text[..end], crc32fast::hash(text.as_bytes()))
}

/// What all keys of a shard begin with.
pub(super) fn shard_base(prefix: &str, shard: &ShardName) -> String {
    format!("{prefix}{{{shard}}}:")
}

/// What all keys of the servers' rows begin with. A shard's name has a `#`, so no shard is in the way.
pub(super) fn servers_base(prefix: &str) -> String {
    format!("{prefix}{{servers}}:")
}

/// What the key of a room's chosen name begins with.
pub(super) fn name_base(prefix: &str, room_id: &RoomId) -> String {
    format!("{prefix}{{name:{room_id}}}:")
}

/// What the key of a lock begins with.
pub(super) fn lock_base(prefix: &str, key: &str) -> String {
    format!("{prefix}{{lock:{key}}}:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(room_id: &str) -> Option<String> {
        ShardName::in_room_id(&RoomId::new(room_id).expect("an id")).map(|shard| shard.to_string())
    }

    #[test]
    fn a_room_id_names_its_shard() {
        assert_eq!(shard("arena#0-1z").as_deref(), Some("arena#0"));
        assert_eq!(shard("a#1-x#12-hk3j").as_deref(), Some("a#1-x#12"), "types may have dashes and hashes");
        for chosen in ["arena-1z", "lobby", "arena#-1z", "arena#x-1z", "#0-1z", "arena#0-", "arena#0-UP"] {
            assert_eq!(shard(chosen), None, "{chosen}");
        }
    }

    #[test]
    fn long_types_have_shards_of_their_own_and_ids_that_fit() {
        let [one, two] = ["é", "è"].map(|end| RoomType::new(format!("{}{end}", "x".repeat(126))).expect("a type"));
        let names = [&one, &two].map(|room_type| ShardName::new(room_type, 63));
        assert_ne!(names[0], names[1]);
        for (name, room_type) in names.iter().zip([&one, &two]) {
            assert!(name.is_of_type(room_type));
            let room_id = RoomId::new(format!("{name}-zzzzzzzzzzz")).expect("it fits");
            assert_eq!(ShardName::in_room_id(&room_id).as_ref(), Some(name));
        }
    }
}
