//! The same with etcd's servers.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use super::{Outage, bench::etcd::Etcd};

/// Kills the leader after a rest, has the others take puts, and starts it again.
pub fn lose_leader(etcd: &mut Etcd, rest: Duration) -> Outage {
    let leader = etcd.leader();
    let others = etcd.driver_beside(leader, "first-put").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut driver = others.expect("the driver runs");
    let mut orders = driver.stdin.take().expect("its input");
    let mut answers = BufReader::new(driver.stdout.take().expect("its output")).lines();
    let mut answer = || answers.next().expect("the driver answers").expect("in text");
    answer();
    sleep(rest);
    assert_eq!(etcd.leader(), leader, "etcd changed its leader at rest");
    let killed = Instant::now();
    etcd.kill(leader);
    writeln!(orders, "begin").expect("the driver reads");
    let begun = killed.elapsed();
    let times: Vec<f64> = serde_json::from_str(&answer()).expect("milliseconds");
    driver.wait().expect("the driver ends");
    etcd.restart();
    Outage::new(begun, &times)
}
