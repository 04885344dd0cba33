//! What is told while the demo runs: lines with their time, and on a terminal a line that lives.

use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::{Instant, sleep};

use super::board::Board;
use crate::cli::output;

/// Time between two looks at the bots.
const GLANCE: Duration = Duration::from_millis(100);

/// Tells things as they happen. Where there is no terminal, only the lines.
pub(super) struct Progress {
    begin: Instant,
    spinner: ProgressBar,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { begin: Instant::now(), spinner: ProgressBar::new_spinner() }
    }

    /// One line.
    pub(super) fn tell(&self, text: &str) {
        let line = format!("[{:>6.2} s] {text}", self.begin.elapsed().as_secs_f64());
        self.spinner.suspend(|| output::line(&line));
    }

    /// Lets the bots play for some time.
    pub(super) async fn pass(&self, time: Duration, board: &Board) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let (joins, redirects, writes) = board.counts();
            let seated = board.seated_count();
            self.spinner
                .set_message(format!("{seated} bots play: {joins} joins, {redirects} redirects, {writes} writes"));
            self.spinner.tick();
            sleep(GLANCE.min(end - Instant::now())).await;
        }
        self.spinner.finish_and_clear();
    }
}
