//! Puts to etcd by its native client, for the benchmark `raft_commit`.
//!
//! `etcd_driver ENDPOINT,… CALLERS SECONDS BYTES` has so many callers, spread over the endpoints, put
//! values of so many bytes, each under a key of its own, one after the other. It prints one JSON
//! object: how many a second, and their times in milliseconds.

use std::time::{Duration, Instant};

use etcd_client::{Client, Error};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoints, callers, seconds, bytes] = &arguments[..] else {
        return Err("usage: etcd_driver ENDPOINT,… CALLERS SECONDS BYTES".into());
    };
    let (callers, bytes): (usize, usize) = (callers.parse()?, bytes.parse()?);
    let mut clients = Vec::new();
    for endpoint in endpoints.split(',') {
        clients.push(Client::connect([endpoint], None).await?);
    }
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds.parse()?);
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
    let report = serde_json::json!({ "per_second": times.len() as f64 / took, "p50_ms": at(0.5), "p99_ms": at(0.99),
        "p999_ms": at(0.999) });
    println!("{report}");
    Ok(())
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
