//! Times and errors of one phase, in bounded memory however long it runs.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::{CreationError, Histogram};
use parking_lot::Mutex;

use super::trouble::Trouble;

/// Times are told apart from this on, in nanoseconds.
const LEAST: u64 = 1_000;
/// Longer times count as this, in nanoseconds.
const MOST: u64 = 60_000_000_000;
/// Digits of a time that are right.
const DIGITS: u8 = 3;

/// Errors of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Errors {
    pub(super) count: u64,
    /// What the first of them said.
    pub(super) example: String,
}

/// What was counted so far; shared by all callers.
#[derive(Debug)]
pub(super) struct Tally {
    counted: Mutex<Counted>,
}

#[derive(Debug, Clone)]
struct Counted {
    times: Histogram<u64>,
    redirected: u64,
    errors: BTreeMap<String, Errors>,
}

/// What a tally came to; times are milliseconds, 0 where there are none.
#[derive(Debug, Clone)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) redirected: u64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    pub(super) errors: BTreeMap<String, Errors>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, CreationError> {
        let times = Histogram::new_with_bounds(LEAST, MOST, DIGITS)?;
        Ok(Self { counted: Mutex::new(Counted { times, redirected: 0, errors: BTreeMap::new() }) })
    }

    /// Counts something that succeeded.
    pub(super) fn record(&self, took: Duration) {
        self.counted.lock().times.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(MOST));
    }

    /// Counts a redirect of something that is recorded too.
    pub(super) fn redirected(&self) {
        self.counted.lock().redirected += 1;
    }

    /// Counts something that failed.
    pub(super) fn failed(&self, trouble: &Trouble) {
        let errors = &mut self.counted.lock().errors;
        if let Some(known) = errors.get_mut(trouble.kind()) {
            known.count += 1;
            return;
        }
        errors.insert(trouble.kind().to_owned(), Errors { count: 1, example: trouble.line() });
    }

    /// Successes and errors so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        let counted = self.counted.lock();
        (counted.times.len(), counted.errors.values().map(|errors| errors.count).sum())
    }

    pub(super) fn summary(&self) -> Summary {
        let Counted { times, redirected, errors } = self.counted.lock().clone();
        let at = |quantile| milliseconds(times.value_at_quantile(quantile));
        let max = milliseconds(times.max());
        Summary { count: times.len(), redirected, p50: at(0.5), p99: at(0.99), p999: at(0.999), max, errors }
    }
}

impl Summary {
    /// Errors of all kinds.
    pub(super) fn failures(&self) -> u64 {
        self.errors.values().map(|errors| errors.count).sum()
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ErrorCode;

    fn refused(code: ErrorCode, message: &str) -> Trouble {
        Trouble::Refused { address: "a:1".to_owned(), call: "JoinRoom", code, message: message.to_owned() }
    }

    #[test]
    fn percentiles_are_right_to_three_digits_and_a_time_beyond_the_bounds_counts() {
        let tally = Tally::new().expect("bounds that fit");
        for milliseconds in 1..=1000 {
            tally.record(Duration::from_millis(milliseconds));
        }
        let summary = tally.summary();
        for (found, right) in [(summary.p50, 500.0), (summary.p99, 990.0), (summary.p999, 999.0), (summary.max, 1000.0)]
        {
            assert!((found - right).abs() <= right / 1000.0, "{found} for {right}");
        }
        tally.record(Duration::from_hours(1));
        tally.record(Duration::ZERO);
        assert_eq!(tally.summary().count, 1002);
    }

    #[test]
    fn nothing_recorded_is_zero() {
        let summary = Tally::new().expect("bounds that fit").summary();
        assert_eq!((summary.count, summary.failures()), (0, 0));
        assert!(summary.p50.abs() + summary.max.abs() < f64::EPSILON);
    }

    #[test]
    fn errors_are_counted_by_kind_with_one_example_however_many_codes_a_server_makes_up() {
        let tally = Tally::new().expect("bounds that fit");
        tally.failed(&refused(ErrorCode::Unavailable, "first\nline"));
        tally.failed(&refused(ErrorCode::Unavailable, "second"));
        for number in 0..50 {
            tally.failed(&refused(ErrorCode::Other(format!("CODE_{number}")), &"x".repeat(5000)));
        }
        let summary = tally.summary();
        assert_eq!(summary.failures(), 52);
        let kinds: Vec<(&str, u64)> =
            summary.errors.iter().map(|(kind, errors)| (kind.as_str(), errors.count)).collect();
        assert_eq!(kinds, [("OTHER_CODE", 50), ("UNAVAILABLE", 2)]);
        let example = &summary.errors["UNAVAILABLE"].example;
        assert!(example.contains("first") && !example.contains('\n'), "{example}");
        assert!(summary.errors["OTHER_CODE"].example.chars().count() < 1000);
    }
}
