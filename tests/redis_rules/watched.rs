//! What Redis is asked to do, as its MONITOR shows it: no script leaves its slot, and a join costs the same however many
//! rooms there are.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use roomraft::{
    adapter::{Consistency, DistributedAdapter, RedisAdapter, RedisOptions},
    model::{
        Metadata, NewRoom, NewServer, NodeId, OrphanClaim, PlayerId, RoomState, RoomTypeSpec, SeatId, SeatRequest,
        SeatTarget, ServerEpoch, TokenHash,
    },
};

use crate::{
    redis_server::RedisServer,
    side::{room_type, server_id},
};

/// Commands that read or write something that grows with the number of rooms.
const SCANS: [&str; 8] = ["keys", "scan", "smembers", "hvals", "hkeys", "hscan", "zscan", "sscan"];

/// A command as MONITOR writes it.
#[derive(Debug)]
struct Seen {
    by_script: bool,
    words: Vec<String>,
}

struct Monitor {
    process: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Monitor {
    fn start(port: u16) -> Self {
        let mut process = Command::new("redis-cli")
            .args(["-p", &port.to_string(), "monitor"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert!(first.contains("OK"), "{first}");
        Self { process, lines, port }
    }

    /// Everything that was asked since the last time.
    fn so_far(&mut self) -> Vec<Seen> {
        let mark = format!("mark-{:016x}", rand::random::<u64>());
        let port = self.port.to_string();
        assert!(Command::new("redis-cli").args(["-p", &port, "ping", &mark]).output().unwrap().status.success());
        let mut all = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "MONITOR goes on");
            if line.contains(&mark) {
                return all;
            }
            // 1700000000.000001 [0 127.0.0.1:4000] "GET" "key", or [0 lua] for what a script asks.
            let Some((head, words)) = line.split_once("] ") else { continue };
            let words = words.trim().trim_matches('"').split("\" \"").map(str::to_owned).collect();
            all.push(Seen { by_script: head.ends_with("lua"), words });
        }
    }
}

fn tag(key: &str) -> Option<&str> {
    key.split_once('{')?.1.split_once('}').map(|(tag, _)| tag)
}

/// Every key that a script touches has the hash tag of the one key that it names.
fn check_slots(seen: &[Seen], prefix: &str) -> usize {
    let (mut script, mut checked) = (None, 0);
    for one in seen {
        let command = one.words[0].to_lowercase();
        if !one.by_script {
            script = (command == "evalsha" || command == "eval").then(|| one.words[3].clone());
        } else if command != "publish" {
            let named = script.as_deref().and_then(tag).unwrap();
            for key in one.words[1..].iter().filter(|word| word.starts_with(prefix)) {
                assert_eq!(tag(key), Some(named), "{one:?}");
                checked += 1;
            }
        }
    }
    checked
}

async fn joins(adapter: &RedisAdapter, caller: &ServerEpoch, metadata: &Metadata) -> u128 {
    let seat_id = SeatId::random();
    let request = SeatRequest {
        seat_id,
        player_id: PlayerId::new("player").unwrap(),
        target: SeatTarget::Type {
            room_type: room_type(0),
            metadata: metadata.clone(),
            candidates: vec![caller.server_id.clone()],
            options: String::new(),
        },
        caller: caller.clone(),
        token: TokenHash([1; 32]),
        hold_ms: 1000,
        origin: 5,
    };
    // As a gateway does: it routes by the servers, then takes the seat.
    adapter.servers(Consistency::Local).await.unwrap();
    adapter.reserve_seat(request).await.unwrap().seat.seat_id.0
}

async fn make_rooms(adapter: &RedisAdapter, owner: &ServerEpoch, count: usize) {
    let room = NewRoom {
        room_id: None,
        room_type: room_type(0),
        max_players: 1000,
        reconnect_grace_ms: 0,
        metadata: Metadata::default(),
        state: RoomState::Live,
        options: String::new(),
    };
    let made = (0..count).map(|_| adapter.register_room(owner, room.clone()));
    for room in futures_util::future::join_all(made).await {
        room.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn no_script_leaves_its_slot_and_no_join_reads_all_rooms() {
    let redis = RedisServer::start(&[]);
    let mut monitor = Monitor::start(redis.port);
    let options = RedisOptions::new([redis.url()]);
    let prefix = options.prefix.clone();
    let adapter = RedisAdapter::new(options);
    adapter.connect().await.unwrap();
    let spec = RoomTypeSpec { max_players: 2, reconnect_grace_ms: 0, metadata: Metadata::default() };
    let server = |number| NewServer {
        server_id: server_id(number),
        address: "game.example".to_owned(),
        port: 3000,
        capacity: 100_000,
        metadata: Metadata::default(),
        room_types: [0, 1].map(|number| (room_type(number), spec.clone())).into(),
        node_id: NodeId(0),
    };
    let mut epochs = Vec::new();
    for number in 0..2 {
        let epoch = adapter.register_server(server(number)).await.unwrap();
        epochs.push(ServerEpoch { server_id: server_id(number), epoch });
    }
    let mut costs = Vec::new();
    for rooms in [10, 2000] {
        make_rooms(&adapter, &epochs[0], rooms).await;
        check_slots(&monitor.so_far(), &prefix);
        let plain = Metadata::default();
        joins(&adapter, &epochs[0], &plain).await;
        let seen = monitor.so_far();
        let base = format!("{prefix}{{{}#0}}:", room_type(0));
        let of_join = |one: &&Seen| one.by_script && one.words.get(1).is_some_and(|key| key.starts_with(&base));
        let asked: Vec<&Seen> = seen.iter().filter(of_join).collect();
        for one in &asked {
            assert!(!SCANS.contains(&one.words[0].to_lowercase().as_str()), "{one:?}");
        }
        // The handle's own look for what is due, each second, may fall into it.
        costs.push(asked.iter().filter(|one| one.words[0].to_lowercase() != "zrangebyscore").count());
    }
    assert_eq!(costs[0], costs[1], "a join asks for as much among 2,000 rooms as among 10");
    // What concerns several slots: the end of a server, and what it leaves.
    adapter.unregister_server(&epochs[0]).await.unwrap();
    make_rooms(&adapter, &epochs[1], 3).await;
    let again = adapter.register_server(server(1)).await.unwrap();
    let claimant = ServerEpoch { server_id: server_id(1), epoch: again };
    let claim = OrphanClaim { claimant, room_types: vec![room_type(0), room_type(1)], limit: 10 };
    adapter.claim_orphans(claim).await.unwrap();
    adapter.acquire_lock("key", std::time::Duration::from_secs(1)).await.unwrap();
    adapter.disconnect().await.unwrap();
    assert!(check_slots(&monitor.so_far(), &prefix) > 1000, "the scripts were seen");
}
