//! What goes to Redis: no scan on the way of a join, and no command that names two slots.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    nodes::started,
    support::{
        crowd::crowd,
        player::Player,
        redis::{RedisCluster, RedisServer},
        wait::until,
    },
};

const ARENA: [&str; 2] = ["--room", "arena=relay,max_players=4"];

/// `redis-cli monitor`, as it goes.
struct Monitor {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    async fn start(redis: &RedisServer) -> Self {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &redis.port.to_string(), "monitor"]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("redis-cli starts");
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| kept.lock().push(line)));
        let monitor = Self { process, lines };
        monitor.seen(redis, "started").await;
        monitor
    }

    /// All lines up to now: a mark is sent and waited for.
    async fn seen(&self, redis: &RedisServer, mark: &str) -> Vec<String> {
        until("the mark in what Redis did", || async {
            redis.cli(&["echo", mark]);
            let lines = self.lines.lock().clone();
            if lines.iter().any(|line| line.contains(mark)) { Ok(lines) } else { Err(lines.len()) }
        })
        .await
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The command of a line such as `1700000000.1 [0 127.0.0.1:5000] "EVALSHA" "…"`, in lower case; whether a script did it.
fn command(line: &str) -> Option<(String, bool)> {
    let (from, words) = line.split_once("] ")?;
    let name = words.split('"').nth(1)?;
    Some((name.to_ascii_lowercase(), from.ends_with(" lua")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_join_reads_indexes_and_nothing_that_grows_with_the_rooms() {
    let redis = RedisServer::start(&[]);
    let cluster = started(3, &[redis.url()], &[&ARENA[..], &["--capacity", "400"]].concat()).await;
    let mut players = crowd(&cluster.gateways(), 200).join_all().await;
    let monitor = Monitor::start(&redis).await;
    let joins = 200;
    players.extend(crowd(&cluster.gateways(), joins).join_all().await);
    let lines = monitor.seen(&redis, "joins-are-over").await;
    assert!(players.iter().all(|(_, outcome)| outcome.is_ok()), "every join ends in a seat");

    let mut counts: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for found in lines.iter().filter_map(|line| command(line)) {
        *counts.entry(found).or_default() += 1;
    }
    for forbidden in ["keys", "scan", "sscan", "hscan", "zscan", "hkeys", "sort"] {
        for by_script in [false, true] {
            assert_eq!(counts.get(&(forbidden.to_owned(), by_script)), None, "{forbidden}: {counts:?}");
        }
    }
    let scripts = counts.get(&("evalsha".to_owned(), false)).copied().unwrap_or(0);
    assert!(scripts >= joins, "{counts:?}");
    for line in &lines {
        whole_reads_are_of_small_things(line);
    }
}

/// HGETALL and ranges without an end may be of one room or of the servers only: those do not grow with the rooms.
fn whole_reads_are_of_small_things(line: &str) {
    let Some((name, _)) = command(line) else { return };
    let words: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    let key = words.get(1).copied().unwrap_or_default();
    if name == "hgetall" {
        assert!(
            key.contains("}:room:") || key.contains("}:seats:") || key.contains("}:server:") || key.contains("servers"),
            "{line}"
        );
    }
    if name == "smembers" || name == "hvals" {
        assert!(key.starts_with("dist:{servers}:"), "{line}");
    }
    if name == "zrange" || name == "zrangebyscore" || name == "zrangebylex" {
        let whole = words.get(3) == Some(&"-1") || words.get(3) == Some(&"+inf") && !words.contains(&"LIMIT");
        assert!(!whole || key.contains("servers"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn no_command_names_two_slots_and_none_goes_astray() {
    let redis = RedisCluster::start();
    let types = ["--room", "arena=relay,max_players=4", "--room", "lobby=relay,max_players=4"];
    let sharded = [&types[..], &["--redis-shards", "3", "--server-ttl-ms", "1500"]].concat();
    let mut cluster = started(3, &redis.urls(), &sharded).await;
    let players = crowd(&cluster.gateways(), 60).join_all().await;
    assert!(players.iter().all(|(_, outcome)| outcome.is_ok()), "every join ends in a seat");
    for gateway in cluster.gateways() {
        Player::join(&gateway, "lobby").await.expect("a seat");
    }
    cluster.nodes[2].kill();
    crate::nodes::servers(&cluster.nodes[0], 2).await;
    let mut calls = 0;
    for server in &redis.servers {
        let errors = server.cli(&["info", "errorstats"]);
        assert!(!errors.contains("CROSSSLOT"), "{errors}");
        let moved = errors.lines().find_map(|line| line.strip_prefix("errorstat_MOVED:count="));
        let moved: usize = moved.and_then(|count| count.trim().parse().ok()).unwrap_or(0);
        assert!(moved <= 60, "a command that is sent to the wrong node time and again: {errors}");
        let stats = server.cli(&["info", "commandstats"]);
        let evals = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        calls += evals.and_then(|rest| rest.split(',').next()?.parse::<usize>().ok()).unwrap_or(0);
    }
    assert!(calls > 60, "the cluster was used: {calls}");
}
