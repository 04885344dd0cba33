//! How long servers whose leader was killed take to accept a put again.

use std::{
    io::BufRead,
    time::{Duration, Instant},
};

use etcd_client::Client;
use tokio::{
    task::JoinSet,
    time::{interval, timeout},
};

use crate::Outcome;

/// Another put is begun so often, whatever became of those before: one that was sent on to the dead leader is lost,
/// and says so only after seconds.
const EVERY: Duration = Duration::from_millis(10);
/// After so long it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints that it is connected; at a line on its input begins, and prints each endpoint's time in milliseconds.
pub async fn run(clients: Vec<Client>) -> Outcome<()> {
    println!("\"connected\"");
    std::io::stdin().lock().read_line(&mut String::new())?;
    let began = Instant::now();
    let mut endpoints = JoinSet::new();
    for client in clients {
        endpoints.spawn(async move {
            until_accepted(client).await;
            began.elapsed().as_secs_f64() * 1000.0
        });
    }
    let times = timeout(PATIENCE, endpoints.join_all()).await?;
    println!("{}", serde_json::json!(times));
    Ok(())
}

/// Returns once one of its puts was accepted.
async fn until_accepted(client: Client) {
    let (mut puts, mut turns) = (JoinSet::new(), interval(EVERY));
    loop {
        tokio::select! {
            Some(put) = puts.join_next() => {
                if matches!(put, Ok(true)) {
                    return;
                }
            }
            _ = turns.tick() => {
                let mut client = client.kv_client();
                puts.spawn(async move { client.put("first", "put", None).await.is_ok() });
            }
        }
    }
}
