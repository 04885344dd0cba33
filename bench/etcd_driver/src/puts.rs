//! Callers, spread over the endpoints, that each put under a key of its own, one put after the other.

use std::time::{Duration, Instant};

use etcd_client::{Client, Error};
use serde_json::{Value, json};

use crate::Outcome;

/// How many a second, and their times in milliseconds.
pub async fn run(clients: &[Client], callers: usize, seconds: f64, bytes: usize) -> Outcome<Value> {
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds);
    let callers: Vec<_> = (0..callers)
        .map(|number| tokio::spawn(put(clients[number % clients.len()].clone(), number, bytes, until)))
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await??);
    }
    let took = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    let per_second = times.len() as f64 / took;
    Ok(json!({ "per_second": per_second, "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999) }))
}

async fn put(client: Client, number: usize, bytes: usize, until: Instant) -> Result<Vec<Duration>, Error> {
    let mut client = client.kv_client();
    let (key, value) = (format!("caller-{number}"), vec![b'v'; bytes]);
    let mut times = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        client.put(key.clone(), value.clone(), None).await?;
        times.push(began.elapsed());
    }
    Ok(times)
}
