//! The scripts, each with the functions that it needs in front of it.

use std::sync::LazyLock;

use redis::Script;

macro_rules! script {
    ($name:ident, $($file:literal),+) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file, ".lua")), "\n"),+)));
    };
}

script!(JOIN, "base", "rooms", "seats", "ownership", "join");
script!(SEATS, "base", "rooms", "seats", "ownership", "seat_ops");
script!(ROOMS, "base", "rooms", "seats", "ownership", "room_ops");
script!(CLAIMS, "base", "rooms", "seats", "ownership", "claim_ops");
script!(COPIES, "base", "rooms", "seats", "ownership", "shard_servers");
script!(READS, "base", "rooms", "seats", "ownership", "shard_reads");
script!(SERVERS, "base", "servers");
script!(NAMES, "base", "names");
script!(LOCKS, "base", "locks");
