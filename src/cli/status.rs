//! `roomraft status`: a node, its cluster and its servers.

use serde_json::Value;

use super::{Failure, output, query::Query, servers};

pub(super) fn run(query: &Query) -> Result<(), Failure> {
    let status = query.ask("/status")?;
    if query.json {
        output::json(&status);
        return Ok(());
    }
    let fields = ["server_id", "adapter", "role", "leader", "quorum", "term", "last_applied", "cluster_id", "version"];
    output::table(&["", ""], fields.iter().map(|field| vec![(*field).to_owned(), output::cell(&status[*field])]));
    for count in ["rooms", "players"] {
        let (total, local) = (&status[count]["total"], &status[count]["local"]);
        output::line(&format!("{count}: {total} in all, {local} on this server"));
    }
    if status["members"].as_array().is_some_and(|members| !members.is_empty()) {
        output::line("\nmembers");
        let fields = ["server_id", "addr", "voter", "reachable", "lag", "node_id"];
        output::table(
            &["server", "address", "voter", "reachable", "lag", "node id"],
            output::rows(&status["members"], &fields),
        );
    }
    output::line("\nservers");
    print_servers(&status["servers"]);
    Ok(())
}

fn print_servers(servers: &Value) {
    servers::table(servers);
}
