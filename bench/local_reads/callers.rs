//! Callers with one read at a time each, and what they came to.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::bench::figures::{count, percentile};

/// After so many reads of one caller the others get a turn, since a read that need not wait never gives way.
const IN_A_ROW: usize = 64;

/// What one slice of a measurement came to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Slice {
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Has so many callers read for so long; `read` is one read of a caller's, by its number and that of the read.
pub async fn run<F, R>(callers: usize, seconds: u64, read: F) -> Slice
where
    F: Fn(usize) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let length = Duration::from_secs(seconds);
    let until = Instant::now() + length;
    let callers = (0..callers).map(|caller| {
        let read = read.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let began = Instant::now();
                if began >= until {
                    break times;
                }
                read(caller + times.len()).await;
                times.push(began.elapsed());
                if times.len().is_multiple_of(IN_A_ROW) {
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    let times = join_all(callers).await.into_iter().flat_map(|times| times.expect("no caller fails"));
    slice(times.collect(), length)
}

/// Rates and percentiles of so many times.
pub fn slice(mut times: Vec<Duration>, length: Duration) -> Slice {
    times.sort_unstable();
    let at = |thousandth| percentile(&times, thousandth).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    Slice { per_second: count(times.len()) / length.as_secs_f64(), p50_us: at(500), p99_us: at(990) }
}
