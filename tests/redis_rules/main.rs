//! The scripts of the Redis backend keep the registry's rules.
//!
//! The same random sequences of operations run on the backend in memory, which is the registry, and on Redis, by one
//! clock that the test moves. After each operation what the callers got and everything that can be read must be the
//! same, but for names and epochs; at the end the events of each room and server must be too.
#![allow(unreachable_pub, missing_docs, reason = "nobody sees the items of a test binary")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod both;
mod lossy;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/redis.rs"]
mod redis_server;
mod side;
#[path = "../support/signals.rs"]
mod signals;
mod steps;
mod watched;

use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::{both::Both, lossy::LossyWay, redis_server::RedisServer, steps::sequence};

fn compare(cases: u32, side: impl AsyncFn() -> Both) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let outcome = TestRunner::new(config).run(&sequence(), |steps| {
        runtime.block_on(async {
            let mut both = side().await;
            let ended = both.run(&steps).await;
            both.stop().await;
            ended.map_err(TestCaseError::fail)
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
#[ignore = "needs redis-server"]
fn random_sequences_on_redis_end_as_in_the_registry() {
    let server = RedisServer::start(&[]);
    compare(100, async || Both::start(&server.url()).await);
}

/// A script whose reply is lost is sent again: it must give the same, and change nothing.
#[test]
#[ignore = "needs redis-server"]
fn a_lost_reply_makes_no_difference() {
    let server = RedisServer::start(&[]);
    compare(4, async || {
        let way = LossyWay::to(server.port).await;
        Both::start(&way.url.clone()).await.over(way)
    });
}
