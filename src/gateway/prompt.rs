//! Connections that must say something before they are kept.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// The bytes that the HTTP server reads, without a time limit of its own, to tell HTTP/1 from
/// HTTP/2; from then on its limit for the head holds.
const FIRST_BYTES: usize = 24;

/// An acceptor whose connections end where their first bytes do not come in time.
#[derive(Debug, Clone)]
pub(super) struct PromptAcceptor<A> {
    inner: A,
    limit: Duration,
}

impl<A> PromptAcceptor<A> {
    /// `limit` counts from the end of what `inner` does, such as a TLS handshake.
    pub(super) fn new(inner: A, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl<A, S> Accept<TcpStream, S> for PromptAcceptor<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
{
    type Stream = Prompt<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let (accepted, limit) = (self.inner.accept(stream, service), self.limit);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            Ok((Prompt { stream, awaited: FIRST_BYTES, limit: Box::pin(sleep(limit)) }, service))
        })
    }
}

/// A stream that fails where its first bytes do not come in time.
#[derive(Debug)]
pub(super) struct Prompt<I> {
    stream: I,
    /// Of the first bytes, those that are still to come.
    awaited: usize,
    limit: Pin<Box<Sleep>>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Prompt<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.awaited > 0 && self.limit.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.awaited = self.awaited.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Prompt<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
