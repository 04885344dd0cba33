//! What came out, as a table for people or as a JSON object a line for scripts.

use serde_json::{Map, Value, json};

use super::tally::Summary;
use crate::cli::output;

/// One line of the report.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) phase: &'static str,
    /// How long it ran; none where that says nothing.
    pub(super) seconds: Option<f64>,
    /// Cores that this very program took meanwhile; what it takes the servers of the same machine lack.
    pub(super) own_cores: Option<f64>,
    pub(super) summary: Summary,
}

impl Row {
    fn per_second(&self) -> Option<f64> {
        let seconds = self.seconds.filter(|seconds| *seconds > 0.0)?;
        Some(count(self.summary.count) / seconds)
    }

    fn redirected_share(&self) -> f64 {
        count(self.summary.redirected) / count(self.summary.count.max(1))
    }

    fn json(&self) -> Value {
        let Summary { count, p50, p99, p999, max, errors, .. } = &self.summary;
        let errors: Map<String, Value> = errors
            .iter()
            .map(|(kind, errors)| (kind.clone(), json!({ "count": errors.count, "example": errors.example })))
            .collect();
        json!({
            "phase": self.phase, "count": count, "seconds": self.seconds.map(round), "per_second": self.per_second().map(round),
            "p50_ms": round(*p50), "p99_ms": round(*p99), "p999_ms": round(*p999), "max_ms": round(*max),
            "redirected": (self.phase == "joins").then(|| round(self.redirected_share())),
            "own_cores": self.own_cores.map(round), "errors": errors,
        })
    }

    fn cells(&self) -> Vec<String> {
        let Summary { count, p50, p99, p999, max, .. } = &self.summary;
        let rate = self.per_second().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
        let times = [p50, p99, p999, max].into_iter().map(|time| format!("{time:.2}"));
        [self.phase.to_owned(), count.to_string(), rate]
            .into_iter()
            .chain(times)
            .chain([self.summary.failures().to_string()])
            .collect()
    }
}

/// Prints all rows.
pub(super) fn print(rows: &[Row], as_json: bool) {
    if as_json {
        for row in rows {
            output::line(&row.json().to_string());
        }
        return;
    }
    let header = ["", "count", "per second", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "errors"];
    output::table(&header, rows.iter().map(Row::cells));
    for row in rows {
        if row.summary.redirected > 0 {
            output::line(&format!("{:.0} % of the {} were redirected.", row.redirected_share() * 100.0, row.phase));
        }
        if let Some(cores) = row.own_cores {
            output::line(&format!("The load test itself took {cores:.2} cores for its {}.", row.phase));
        }
        for (kind, errors) in &row.summary.errors {
            output::line(&format!("{}: {} × {kind}, such as: {}", row.phase, errors.count, errors.example));
        }
    }
}

/// Whether all went well; else one line.
pub(super) fn verdict(rows: &[Row]) -> Result<(), String> {
    if let Some(row) = rows.iter().find(|row| row.seconds.is_some() && row.summary.count == 0) {
        let problem = row.summary.errors.values().next().map(|errors| format!(": {}", errors.example));
        return Err(format!("none of the {} succeeded{}", row.phase, problem.unwrap_or_default()));
    }
    if rows.iter().all(|row| row.seconds.is_none()) {
        return Err("stopped before anything was measured".to_owned());
    }
    let failures: Vec<String> = rows
        .iter()
        .flat_map(|row| row.summary.errors.iter().map(move |(kind, errors)| (row.phase, kind, errors.count)))
        .map(|(phase, kind, count)| format!("{count} × {kind} among the {phase}"))
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(format!("not everything succeeded: {}", failures.join(", "))) }
}

fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// To three digits after the point.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cli::loadtest::tally::Errors;

    fn row(phase: &'static str, seconds: Option<f64>, count: u64, errors: &[(&str, u64)]) -> Row {
        let errors = errors.iter().map(|(kind, count)| {
            ((*kind).to_owned(), Errors { count: *count, example: "the first of them".to_owned() })
        });
        let errors: BTreeMap<String, Errors> = errors.collect();
        let summary = Summary { count, redirected: count / 4, p50: 1.0, p99: 2.0, p999: 3.0, max: 4.0, errors };
        Row { phase, seconds, own_cores: None, summary }
    }

    #[test]
    fn a_row_for_scripts_has_every_figure_and_null_where_there_is_none() {
        let joins = row("joins", Some(2.0), 100, &[("UNAVAILABLE", 3)]).json();
        assert_eq!((&joins["per_second"], &joins["redirected"]), (&json!(50.0), &json!(0.25)));
        assert_eq!(joins["errors"], json!({ "UNAVAILABLE": { "count": 3, "example": "the first of them" } }));
        let connects = row("connects", None, 100, &[]).json();
        assert_eq!((&connects["per_second"], &connects["redirected"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn all_is_well_only_where_something_succeeded_and_nothing_failed() {
        assert_eq!(verdict(&[row("connects", None, 3, &[]), row("joins", Some(1.0), 5, &[])]), Ok(()));
        let stopped = verdict(&[row("connects", None, 3, &[])]).expect_err("nothing was measured");
        assert!(stopped.contains("before"), "{stopped}");
        let none = verdict(&[row("joins", Some(1.0), 0, &[("NOT_FOUND", 9)])]).expect_err("no join");
        assert_eq!(none, "none of the joins succeeded: the first of them");
        let some = verdict(&[row("joins", Some(1.0), 5, &[]), row("messages", Some(1.0), 5, &[("MESSAGE_LOST", 2)])]);
        assert_eq!(some.expect_err("a lost message"), "not everything succeeded: 2 × MESSAGE_LOST among the messages");
    }
}
