//! Where a player's room may be.

use crate::model::ServerId;

/// Where to look for a player's room, and where to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// An open room on any server, else a new one on the first of these that can take it.
    Anywhere(Vec<ServerId>),
    /// In each tier an open room, else a new one; the nearest tier first. Servers of one tier are equally near.
    Nearest(Vec<Vec<ServerId>>),
}
