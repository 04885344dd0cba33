//! `roomraft servers`: the servers that are online.

use serde_json::{Value, json};

use super::{Failure, output, query::Query};

pub(super) fn run(query: &Query) -> Result<(), Failure> {
    let status = query.ask("/status")?;
    if query.json {
        output::json(&json!({ "servers": status["servers"] }));
    } else {
        table(&status["servers"]);
    }
    Ok(())
}

/// A line for each server.
pub(super) fn table(servers: &Value) {
    let fields = ["serverId", "status", "address", "port", "roomCount", "capacity", "playerCount"];
    let header = ["server", "status", "address", "port", "rooms", "capacity", "players"];
    output::table(&header, output::rows(servers, &fields));
}
