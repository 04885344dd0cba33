//! How far servers are: a few heartbeats over a connection of their own, to all of them at once.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::{
    ClientConfig,
    socket::{Incoming, Socket},
};
use crate::{model::RoundTrips, protocol::Packet};

/// So many heartbeats are timed: their median is not moved by one that was late.
const SAMPLES: usize = 3;

/// The round trips to the servers at these URLs; those that answer nothing within `limit` are left out.
pub(crate) async fn round_trips(urls: Vec<String>, config: &ClientConfig, limit: Duration) -> RoundTrips {
    let measured = urls.into_iter().map(|url| async move {
        let mut samples = Vec::new();
        let end = timeout(limit, sample(&url, config, &mut samples)).await;
        if let Ok(Err(problem)) = end {
            tracing::debug!(url, problem, "a round trip was not measured");
        }
        RoundTrips::median(samples).map(|time| (url, time))
    });
    join_all(measured).await.into_iter().flatten().collect()
}

/// Connects, and times heartbeats one after the other. What was measured before a failure stays.
async fn sample(url: &str, config: &ClientConfig, samples: &mut Vec<Duration>) -> Result<(), String> {
    let mut socket = Socket::connect(url, config).await?;
    for _ in 0..SAMPLES {
        let sent = Instant::now();
        socket.send(Packet::Heartbeat.encode()).await?;
        while !matches!(socket.next().await?, Incoming::Packet(Packet::Heartbeat)) {}
        samples.push(sent.elapsed());
    }
    Ok(())
}
