//! A connection whose server can be cut short: bytes of one's own, then an end or a reset.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How a connection is to end: these bytes in place of the server's, then FIN or RST.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) bytes: Bytes,
    pub(super) reset: bool,
}

/// Where an answer leaves word for its connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Tap(Arc<Mutex<Option<Cut>>>);

impl Tap {
    /// From now on nothing that the server writes goes out.
    pub(super) fn cut(&self, cut: Cut) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    fn take(&self) -> Option<Cut> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The stream with the tap on it.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    tap: Tap,
    cut: Option<Cut>,
}

impl Wire {
    pub(super) const fn new(stream: TcpStream, tap: Tap) -> Self {
        Self { stream, tap, cut: None }
    }

    /// Writes what is left of the cut's bytes and ends the connection: always an error in the end.
    fn finish(stream: &mut TcpStream, cut: &mut Cut, context: &mut Context<'_>) -> Poll<io::Error> {
        while cut.bytes.has_remaining() {
            match ready!(Pin::new(&mut *stream).poll_write(context, &cut.bytes)) {
                Ok(0) => break,
                Ok(written) => cut.bytes.advance(written),
                Err(error) => return Poll::Ready(error),
            }
        }
        if cut.reset {
            // closing a socket that lingers for no time sends RST
            let _best_effort = socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
        } else {
            let _best_effort = ready!(Pin::new(&mut *stream).poll_shutdown(context));
        }
        Poll::Ready(io::ErrorKind::ConnectionAborted.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, tap, cut } = &mut *self;
        if cut.is_none() {
            *cut = tap.take();
        }
        match cut {
            Some(cut) => Self::finish(stream, cut, context).map(Err),
            None => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
