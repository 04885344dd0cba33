//! The side that is dialled.

use std::sync::Arc;

use metrics::counter;
use quinn::{Connection, Incoming, VarInt};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tracing::{debug, warn};

use super::{
    Hello, Identity, QuicError, Refusal, StreamHandler,
    complaints::Complaints,
    endpoint::{HANDSHAKE_MAX, HELLO_BYTES_MAX},
    frame::{read_frame, write_frame},
    tls::peer_names,
};
use crate::codec;

/// So many handshakes go on at once, far more than a cluster has nodes; whoever comes then is not answered.
const HANDSHAKES_MAX: usize = 256;
/// From so many on, whoever comes proves first that it is where it says it is: strangers who invent addresses cost
/// nothing then.
const HANDSHAKES_FREE: usize = 32;

pub(super) async fn accept_all(endpoint: quinn::Endpoint, identity: Identity, handler: Arc<dyn StreamHandler>) {
    let (complaints, handshakes) = (Arc::new(Complaints::default()), Arc::new(Semaphore::new(HANDSHAKES_MAX)));
    while let Some(incoming) = endpoint.accept().await {
        let busy = HANDSHAKES_MAX - handshakes.available_permits() >= HANDSHAKES_FREE;
        if busy && incoming.may_retry() {
            // Where that fails the dialler tries again by itself.
            let _ = incoming.retry();
            continue;
        }
        let Ok(handshake) = Arc::clone(&handshakes).try_acquire_owned() else {
            counter!("roomraft_peer_connections_refused_total").increment(1);
            incoming.ignore();
            continue;
        };
        let (identity, handler, complaints) = (identity.clone(), Arc::clone(&handler), Arc::clone(&complaints));
        tokio::spawn(async move {
            if let Some((connection, hello)) = let_in(incoming, &identity, &complaints).await {
                drop(handshake);
                serve(connection, hello, handler).await;
            }
        });
    }
}

/// The handshake, hello included; nothing where the other side is not let in.
async fn let_in(incoming: Incoming, identity: &Identity, complaints: &Complaints) -> Option<(Connection, Hello)> {
    let from = incoming.remote_address();
    let welcomed = timeout(HANDSHAKE_MAX, async {
        let connection = incoming.await.map_err(|error| QuicError::malformed(&error))?;
        let hello = welcome(&connection, identity).await?;
        Ok::<_, QuicError>((connection, hello))
    });
    match welcomed.await {
        Ok(Ok((connection, Ok(hello)))) => {
            debug!(%from, server = %hello.server_id, "another node is connected");
            return Some((connection, hello));
        }
        Ok(Ok((connection, Err(refusal)))) => {
            counter!("roomraft_peer_connections_refused_total").increment(1);
            if let Some(passed_over) = complaints.admit(Instant::now()) {
                warn!(%from, %refusal, passed_over, "refused another node");
            }
            // The other side closes once it has read why; this side does so when its handle is dropped.
            let _ = timeout(HANDSHAKE_MAX, connection.closed()).await;
            connection.close(VarInt::from_u32(1), b"refused");
        }
        Ok(Err(error)) => {
            counter!("roomraft_peer_connections_refused_total").increment(1);
            if let Some(passed_over) = complaints.admit(Instant::now()) {
                warn!(%from, %error, passed_over, "refused a connection to the port of the nodes");
            }
        }
        Err(_) => {
            counter!("roomraft_peer_connections_refused_total").increment(1);
            debug!(%from, "a handshake did not end in time");
        }
    }
    None
}

async fn serve(connection: Connection, hello: Hello, handler: Arc<dyn StreamHandler>) {
    while let Ok((send, receive)) = connection.accept_bi().await {
        let (handler, hello) = (Arc::clone(&handler), hello.clone());
        tokio::spawn(async move { handler.handle(hello, send, receive).await });
    }
}

async fn welcome(connection: &Connection, identity: &Identity) -> Result<Result<Hello, Refusal>, QuicError> {
    let (mut send, mut receive) = connection.accept_bi().await.map_err(|error| QuicError::malformed(&error))?;
    let frame = read_frame(&mut receive, HELLO_BYTES_MAX).await?;
    let frame = frame.ok_or_else(|| QuicError::Malformed("no hello came".to_owned()))?;
    let hello: Hello = codec::decode(&frame).map_err(|error| QuicError::malformed(&error))?;
    let verdict = identity.check(&hello, &peer_names(connection));
    let answer = codec::encode(&verdict.clone().map(|()| identity.hello()));
    write_frame(&mut send, answer.map_err(|error| QuicError::malformed(&error))?).await?;
    // Ending the stream is what flushes it; a connection that is already gone shows at its next use.
    let _ = send.finish();
    Ok(verdict.map(|()| hello))
}
