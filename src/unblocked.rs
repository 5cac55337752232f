//! A connection whose peer must take what it is sent. The merchants' connections and those of the API share it.
//!
//! A merchant can answer before it has read the request, and then never read it. The exchange is over by then and its
//! time-outs with it, but the rest of the request would wait to be written for as long as the peer likes, and hold a
//! task, a socket and the request's body. So it is with whoever asks the API and does not read the answer. So writing has
//! a bound of its own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Sleep;

/// Fails when what is written has not all been taken `longest` after the first time that the peer took no more.
pub(crate) struct Unblocked<T> {
    stream: T,
    longest: Duration,
    /// From the first refusal until everything is written; a peer that takes a byte now and then gains nothing by it.
    blocked: Option<Pin<Box<Sleep>>>,
}

impl<T> Unblocked<T> {
    pub(crate) fn new(stream: T, longest: Duration) -> Self {
        Self { stream, longest, blocked: None }
    }

    /// The connection as it is.
    pub(crate) fn inner(&self) -> &T {
        &self.stream
    }

    fn bounded<R>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            return written;
        }
        let longest = self.longest;
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(tokio::time::sleep(longest)));
        ready!(blocked.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: Write + Unpin> Write for Unblocked<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.blocked = None;
        }
        self.bounded(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(context, shut_down)
    }
}

impl<T: Read + Unpin> Read for Unblocked<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, bytes)
    }
}
