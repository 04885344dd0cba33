//! Rooms and their manager on the memory backend: several managers on one backend are a cluster.
#![expect(clippy::expect_used, reason = "a helper of a test that cannot go on fails it")]

mod calls;
mod carrying;
mod churn;
mod disposal;
mod draining;
mod faults;
mod flaky;
mod joining;
mod lab;
mod manager;
mod migration;
mod outages;
mod probe;
mod redirects;
mod relay;
mod restarts;
mod sessions;
mod snapshots;
mod support;
mod survivors;
