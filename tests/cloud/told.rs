//! A connection that knows when its client was told everything, and kills it then where that is wanted.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::proxy::Run;

/// A connection, whose client dies once the last byte of an answer that is marked as the last was handed to its socket.
pub(crate) struct Told<S> {
    stream: S,
    last: Arc<AtomicBool>,
    run: Arc<Run>,
}

impl<S> Told<S> {
    pub(crate) fn new(stream: S, last: Arc<AtomicBool>, run: Arc<Run>) -> Self {
        Self { stream, last, run }
    }
}

impl<S: Read + Unpin> Read for Told<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: Write + Unpin> Write for Told<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    /// Hyper flushes once all that it holds was written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.last.swap(false, Ordering::SeqCst) {
            let run = Arc::clone(&self.run);
            tokio::spawn(async move { run.kill().await });
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
