//! A benchmark's figures, for people and for scripts.

use serde_json::{Value, json};

/// One figure; `peer` is what another system does in the same case, where one was measured beside it.
#[derive(Debug)]
pub struct Figure {
    /// What was measured.
    pub case: String,
    /// What came out.
    pub ours: f64,
    /// What came out for the peer.
    pub peer: Option<f64>,
    /// Of both.
    pub unit: &'static str,
}

impl Figure {
    /// A figure without a peer.
    pub fn alone(case: String, ours: f64, unit: &'static str) -> Self {
        Self { case, ours, peer: None, unit }
    }

    fn json(&self, bench: &str) -> Value {
        let ratio = self.peer.map(|peer| round(self.ours / peer));
        let (ours, peer) = (round(self.ours), self.peer.map(round));
        json!({ "bench": bench, "case": self.case, "ours": ours, "peer": peer, "unit": self.unit, "ratio": ratio })
    }
}

/// Prints figures, one a line.
pub fn print(bench: &str, figures: &[Figure], as_json: bool) {
    for figure in figures {
        if as_json {
            println!("{}", figure.json(bench));
        } else {
            let peer = figure.peer.map(|peer| format!(", peer {}", round(peer))).unwrap_or_default();
            println!("{:<58} {:>9} {}{peer}", figure.case, round(figure.ours), figure.unit);
        }
    }
}

/// The value that half of the values do not exceed; 0 where there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// The value of sorted ones that so many thousandths do not exceed; none where there is none.
pub fn percentile<T: Copy>(sorted: &[T], thousandth: usize) -> Option<T> {
    sorted.get(sorted.len() * thousandth / 1000).copied()
}

/// The greatest value; 0 where there is none.
pub fn maximum(values: &[f64]) -> f64 {
    values.iter().copied().max_by(f64::total_cmp).unwrap_or_default()
}

/// A count as a figure; one above four billion counts as that.
pub fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
