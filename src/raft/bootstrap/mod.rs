//! How fresh nodes become one cluster, and never two.
//!
//! ```text
//!            ┌────────────── released: its founder gave up ──────────────┐
//!            ▼                                                           │
//!         Fresh ── a lower node asks ──────────────────────────────► Pledged ─┐
//!          │ │  ◄── gives up: a lower one is there ──┐                        │ the founder's log
//!          │ └── it is the lowest of those expected ─► Collecting             │ arrives, or it joins
//!          │                                           │ all pledged          ▼
//!          │                                         Founding ─ initialised ─► Member
//!          └── a peer is in a cluster ─► Joining ────── its log arrives ──────►
//! ```
//!
//! Each arrow is on disk before anybody hears of it. A pledge is exclusive, it takes as many of
//! them as there are nodes expected, and these are a majority of those listed: so of two would-be
//! founders one at least lacks a pledge. A pledge ends only when its founder, asked after it was
//! given, no longer collects for that cluster; a founder that holds all pledges never gives up.
//!
//! [`decide`] is pure; `Bootstrapper` asks the peers and carries the decision out.

mod decide;
mod record;
mod run;
#[cfg(test)]
mod simulation;

pub(super) use decide::{Own, PledgeAnswer, PledgeRequest, Presence, Standing, answer_pledge};
pub(super) use record::{Binding, RecordFile};
pub use run::BootstrapError;
pub(super) use run::{Bootstrapper, ask_to_join};

use serde::{Deserialize, Serialize};

use super::types::NodeNumber;

/// A node's wish to be a member, or to have its new address known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JoinRequest {
    /// The node.
    pub(super) node: NodeNumber,
    /// The name of its server.
    pub(super) server_id: String,
    /// What peers dial.
    pub(super) address: String,
}

/// What comes of a wish about the membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum JoinAnswer {
    /// It is so.
    Done,
    /// Ask the leader: its address, if one is known.
    NotLeader(Option<String>),
    /// Not now; try again.
    NotNow(String),
    /// Never, unless something is mended.
    Refused(String),
}
