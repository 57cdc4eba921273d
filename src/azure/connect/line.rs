//! A TCP connection that tells whether it has served before: one that breaks then was mostly closed by the other side while it rested.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The connection.
#[derive(Debug)]
pub struct Line {
    inner: TokioIo<TcpStream>,
    service: Service,
}

/// Whether a connection has served. The HTTP client hands it out with answers and errors.
#[derive(Debug, Clone, Default)]
pub(in crate::azure) struct Service(Arc<AtomicBool>);

impl Service {
    /// An answer came.
    pub(in crate::azure) fn done(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one has come before.
    pub(in crate::azure) fn is_done(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl From<TokioIo<TcpStream>> for Line {
    fn from(inner: TokioIo<TcpStream>) -> Self {
        Self { inner, service: Service::default() }
    }
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        self.inner.connected().extra(self.service.clone())
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
}
