//! A server in the registry that only keeps its lease.

use std::{sync::Arc, time::Duration};

use roomraft::{
    adapter::DistributedAdapter,
    model::{Metadata, NewRoom, NewServer, NodeId, RoomState, RoomType, RoomTypeSpec, ServerEpoch, ServerId},
};

/// How long a lease may go without a renewal at most.
const RENEWAL_MAX: Duration = Duration::from_secs(5);

/// Registers a server for rooms of a type, and renews its lease as long as this process runs.
pub async fn online(
    adapter: Arc<dyn DistributedAdapter>,
    name: String,
    room_type: RoomType,
    max_players: u32,
) -> ServerEpoch {
    let server_id = ServerId::new(name).expect("a name");
    let spec = RoomTypeSpec { max_players, reconnect_grace_ms: 0, metadata: Metadata::default() };
    let server = NewServer {
        server_id: server_id.clone(),
        address: "127.0.0.1".to_owned(),
        port: 1,
        capacity: 1_000_000,
        metadata: Metadata::default(),
        room_types: [(room_type, spec)].into(),
        node_id: NodeId(0),
    };
    let epoch = adapter.register_server(server).await.expect("registered");
    let server = ServerEpoch { server_id, epoch };
    tokio::spawn(keep_alive(adapter, server.clone()));
    server
}

/// A live room of a type.
pub fn live_room(room_type: RoomType, max_players: u32, metadata: Metadata) -> NewRoom {
    NewRoom {
        room_id: None,
        room_type,
        max_players,
        reconnect_grace_ms: 0,
        metadata,
        state: RoomState::Live,
        options: String::new(),
    }
}

async fn keep_alive(adapter: Arc<dyn DistributedAdapter>, server: ServerEpoch) {
    let mut turns = tokio::time::interval(adapter.lease().renewal.min(RENEWAL_MAX));
    loop {
        turns.tick().await;
        if let Err(error) = adapter.heartbeat(&server).await {
            tracing::warn!(%error, "a heartbeat of the benchmark's server");
        }
    }
}
