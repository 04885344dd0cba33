//! The names of the ways to choose a server.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How [`LoadBalancedRouter`](super::LoadBalancedRouter) orders servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Each in turn.
    RoundRobin,
    /// Fewest rooms first.
    #[default]
    LeastRooms,
    /// Fewest seats taken first; a held seat counts, since its player is on the way.
    LeastPlayers,
    /// By chance, all alike.
    Random,
    /// By chance, in proportion to the free share of capacity.
    Weighted,
    /// The nearest on Earth first, then the next: by region and coordinates of servers and players.
    Geo,
    /// The nearest in time first, then the next: by round trips that players measured, or else servers.
    Latency,
}

impl Strategy {
    /// Whether it says which servers are near, so that a far open room is worse than a new one nearby.
    pub(super) fn counts_nearness(self) -> bool {
        matches!(self, Self::Geo | Self::Latency)
    }
}

const NAMES: [(Strategy, &str); 7] = [
    (Strategy::RoundRobin, "round-robin"),
    (Strategy::LeastRooms, "least-rooms"),
    (Strategy::LeastPlayers, "least-players"),
    (Strategy::Random, "random"),
    (Strategy::Weighted, "weighted"),
    (Strategy::Geo, "geo"),
    (Strategy::Latency, "latency"),
];

/// A name that no strategy has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no routing strategy: use round-robin, least-rooms, least-players, random, weighted, geo or latency")]
pub struct UnknownStrategy(String);

impl FromStr for Strategy {
    type Err = UnknownStrategy;
    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let known = NAMES.iter().find(|(_, name)| *name == text);
        known.map(|(strategy, _)| *strategy).ok_or_else(|| UnknownStrategy(text.to_owned()))
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(strategy, _)| strategy == self).map_or("", |(_, name)| name))
    }
}
