//! A bar on standard error while a phase runs; nothing where that is no terminal.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::tally::Tally;

/// Time between two looks at the figures.
const GLANCE: Duration = Duration::from_millis(100);
const LOOK: &str = "{prefix:<9} {bar:30} {msg}";

/// Does the work, and shows how far it is.
pub(super) async fn watched<T>(name: &'static str, time: Duration, tally: &Tally, work: impl Future<Output = T>) -> T {
    let style = ProgressStyle::with_template(LOOK).unwrap_or_else(|_| ProgressStyle::default_bar());
    let length = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::new(length).with_style(style).with_prefix(name);
    let began = Instant::now();
    let mut glances = tokio::time::interval(GLANCE);
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = glances.tick() => {
                let (done, failed) = tally.counts();
                let passed = began.elapsed();
                bar.set_position(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
                bar.set_message(format!("{:.0} of {} s, {done} {name}, {failed} errors", passed.as_secs_f64(), time.as_secs()));
            }
        }
    }
}
