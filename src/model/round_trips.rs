//! How long messages take between a player and servers, as the player measured it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::ServerRegistration;

/// The most servers that one player tells of.
pub const ROUND_TRIPS_MAX: usize = 64;
/// The longest round trip that is believed, in milliseconds.
pub const ROUND_TRIP_MS_MAX: f64 = 60_000.0;

/// The longest name of a server, in bytes: an address with its scheme.
const NAME_BYTES_MAX: usize = 300;

/// Measured round trips by server id or address, in milliseconds.
///
/// At most [`ROUND_TRIPS_MAX`], each from 0 to [`ROUND_TRIP_MS_MAX`]. Players say what they like: they
/// order the servers that could be had anyway, and nothing more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, f64>", into = "BTreeMap<String, f64>")]
pub struct RoundTrips(BTreeMap<String, f64>);

/// Round trips that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoundTrips {
    /// More than anybody needs.
    #[error("{0} round trips are too many: give those of the {ROUND_TRIPS_MAX} nearest servers at most")]
    TooMany(usize),
    /// A name that is none.
    #[error("a round trip's server is named by its id or its address, of 1 to {NAME_BYTES_MAX} bytes")]
    Name,
    /// A time that is none.
    #[error("the round trip to {0:?} is no time: give milliseconds from 0 to {ROUND_TRIP_MS_MAX}")]
    Time(String),
}

impl RoundTrips {
    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The servers by id or `host:port`, with their milliseconds.
    pub fn entries(&self) -> &BTreeMap<String, f64> {
        &self.0
    }

    /// The round trip to a server in milliseconds: by its id, else by the address that players connect to.
    pub fn to(&self, server: &ServerRegistration) -> Option<f64> {
        let by_id = self.0.get(server.server_id.as_str());
        by_id.or_else(|| self.0.get(bare(&server.player_address()))).copied()
    }

    /// The median of some measurements; none of none.
    pub fn median(mut samples: Vec<Duration>) -> Option<Duration> {
        samples.sort_unstable();
        samples.get(samples.len() / 2).copied()
    }
}

impl FromIterator<(String, Duration)> for RoundTrips {
    /// Names that are too long or empty, and what is more than [`ROUND_TRIPS_MAX`], are left out; the quickest stay.
    fn from_iter<I: IntoIterator<Item = (String, Duration)>>(measured: I) -> Self {
        let mut measured: Vec<_> = measured.into_iter().filter(|(name, _)| is_name(bare(name))).collect();
        measured.sort_by_key(|(_, time)| *time);
        measured.truncate(ROUND_TRIPS_MAX);
        let in_ms = |time: Duration| (time.as_secs_f64() * 1000.0).min(ROUND_TRIP_MS_MAX);
        Self(measured.into_iter().map(|(name, time)| (bare(&name).to_owned(), in_ms(time))).collect())
    }
}

impl From<RoundTrips> for BTreeMap<String, f64> {
    fn from(trips: RoundTrips) -> Self {
        trips.0
    }
}

impl TryFrom<BTreeMap<String, f64>> for RoundTrips {
    type Error = InvalidRoundTrips;
    fn try_from(given: BTreeMap<String, f64>) -> Result<Self, InvalidRoundTrips> {
        if given.len() > ROUND_TRIPS_MAX {
            return Err(InvalidRoundTrips::TooMany(given.len()));
        }
        let mut checked = BTreeMap::new();
        for (name, ms) in given {
            if !is_name(bare(&name)) {
                return Err(InvalidRoundTrips::Name);
            }
            if !(0.0..=ROUND_TRIP_MS_MAX).contains(&ms) {
                return Err(InvalidRoundTrips::Time(name));
            }
            checked.insert(bare(&name).to_owned(), ms);
        }
        Ok(Self(checked))
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
}

/// An address without its scheme and the slash at its end, so that one server has one name.
fn bare(address: &str) -> &str {
    let address = address.strip_prefix("ws://").or_else(|| address.strip_prefix("wss://")).unwrap_or(address);
    address.strip_suffix('/').unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn round_trips_are_read_from_json_and_named_without_schemes() {
        let trips: RoundTrips = serde_json::from_value(json!({ "wss://game:3000/": 12, "s2": 3.5 })).expect("times");
        assert_eq!(json!(trips), json!({ "game:3000": 12.0, "s2": 3.5 }));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_way_out() {
        let many: BTreeMap<String, f64> = (0..=ROUND_TRIPS_MAX).map(|n| (n.to_string(), 1.0)).collect();
        let cases = [json!(many), json!({ "s1": -1 }), json!({ "s1": 1e9 }), json!({ "": 1 }), json!({ "s1": "slow" })];
        for wrong in cases {
            assert!(serde_json::from_value::<RoundTrips>(wrong.clone()).is_err(), "{wrong}");
        }
        let nan = RoundTrips::try_from(BTreeMap::from([("s1".to_owned(), f64::NAN)]));
        assert_eq!(nan, Err(InvalidRoundTrips::Time("s1".to_owned())));
    }

    #[test]
    fn of_too_many_measurements_the_quickest_are_kept() {
        let measured = (0..100_u64).map(|n| (format!("ws://s{n}:1/"), Duration::from_millis(100 - n)));
        let trips: RoundTrips = measured.collect();
        assert_eq!(trips.entries().len(), ROUND_TRIPS_MAX);
        assert_eq!((trips.entries().get("s99:1"), trips.entries().get("s0:1")), (Some(&1.0), None));
    }

    #[test]
    fn a_median_is_not_moved_by_one_hiccup() {
        let samples = [5, 900, 7].map(Duration::from_millis).to_vec();
        assert_eq!(RoundTrips::median(samples), Some(Duration::from_millis(7)));
        assert_eq!(RoundTrips::median(Vec::new()), None);
    }
}
