//! Who leads, by the maintenance API's status.

use etcd_client::Client;

use crate::Outcome;

/// The place of the leader's client among all; an error while they do not agree on it and on what is applied.
pub async fn find(clients: &mut [Client]) -> Outcome<usize> {
    let mut servers = Vec::new();
    for client in clients {
        let status = client.status().await?;
        let own = status.header().map_or(0, etcd_client::ResponseHeader::member_id);
        servers.push((own, status.leader(), status.raft_applied_index()));
    }
    let (_, leader, applied) = servers[0];
    if servers.iter().any(|server| (server.1, server.2) != (leader, applied)) {
        return Err(format!("they do not agree yet: {servers:?}").into());
    }
    let place = servers.iter().position(|server| server.0 == leader);
    Ok(place.ok_or_else(|| format!("no leader among {servers:?}"))?)
}
