//! The listener: connections in bounded number, size and time.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use metrics::counter;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::limit::RequestBodyLimitLayer;

use super::{OpsState, router};

/// Connections at a time; a further one waits.
const CONNECTIONS_MAX: usize = 256;
/// The time for a request's head to arrive, and for a silent connection to stay.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The largest body of a request.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest head of a request; hyper's smallest limit.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// How long a stopping listener waits for answers that are on their way.
const STOP_TIME: Duration = Duration::from_secs(1);

/// A bound ops listener.
#[derive(Debug)]
pub struct OpsListener {
    socket: TcpListener,
}

impl OpsListener {
    /// Listens at an address; port 0 picks a free one.
    ///
    /// # Errors
    /// Where the address is in use or not this machine's.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the socket is broken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers until `stop`, then ends the answers that are on their way.
    pub async fn serve(self, state: OpsState, stop: CancellationToken) {
        self.serve_router(router(state), stop).await;
    }

    async fn serve_router(self, router: Router, stop: CancellationToken) {
        let service = router.layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX));
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let tasks = TaskTracker::new();
        let accept = async {
            loop {
                let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
                match self.socket.accept().await {
                    Ok((stream, _)) => {
                        let connection = answer(stream, service.clone(), stop.clone());
                        tasks.spawn(async move {
                            connection.await;
                            drop(permit);
                        });
                    }
                    // Out of file descriptors, most likely: what ends frees some.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept => {}
        }
        tasks.close();
        // What is not written by then is lost with the process; nobody depends on it.
        let _ = tokio::time::timeout(STOP_TIME, tasks.wait()).await;
    }
}

async fn answer(stream: TcpStream, service: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if outcome.is_err_and(|error| error.is_parse()) {
        counter!("roomraft_ops_bad_requests_total").increment(1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// One request as it goes over the wire, and the whole answer.
    async fn exchange(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A refused connection may be reset once its answer is written.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn service() -> (SocketAddr, CancellationToken) {
        let listener = OpsListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address().unwrap();
        let stop = CancellationToken::new();
        let service = Router::new()
            .route("/", axum::routing::get(|| async { "here" }))
            .route("/", axum::routing::post(|body: axum::body::Bytes| async move { body.len().to_string() }));
        tokio::spawn(listener.serve_router(service, stop.clone()));
        (address, stop)
    }

    #[tokio::test]
    async fn garbage_is_refused_and_the_next_request_is_answered() {
        let (address, _stop) = service().await;
        for garbage in [&b"\x16\x03\x01\x02\x00garbage\r\n\r\n"[..], b"GET\r\n\r\n", b"\0\0\0\0\n\n\n"] {
            assert!(!exchange(address, garbage).await.contains("200 OK"));
        }
        let answer = exchange(address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("here"), "{answer}");
    }

    #[tokio::test]
    async fn heads_and_bodies_have_a_limit() {
        let (address, _stop) = service().await;
        let head = format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
        assert!(exchange(address, head.as_bytes()).await.starts_with("HTTP/1.1 431"));
        let length = BODY_BYTES_MAX + 1;
        let body = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        assert!(exchange(address, body.as_bytes()).await.starts_with("HTTP/1.1 413"));
    }
}
