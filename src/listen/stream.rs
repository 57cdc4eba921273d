//! A connection's bytes, with two things added: what was read to see which HTTP is spoken is read again, and what
//! the HTTP library answers to a request that it cannot read gets Azure's error shape.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::refusal;

/// What a client sends first if it speaks HTTP/2 without having agreed on it (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The stream.
#[derive(Debug)]
pub(super) struct Stream<T> {
    inner: T,
    /// Read already, to be read again.
    unread: Bytes,
    /// Taken from the writer but not written yet.
    unwritten: Bytes,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    pub(super) const fn new(inner: T) -> Self {
        Self { inner, unread: Bytes::new(), unwritten: Bytes::new() }
    }

    /// Reads as much as tells whether HTTP/2 is spoken.
    pub(super) async fn sniff(mut inner: T) -> io::Result<Self> {
        let mut read = Vec::with_capacity(1024);
        while read.len() < PREFACE.len() && PREFACE.starts_with(&read) {
            if inner.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Self { unread: read.into(), ..Self::new(inner) })
    }

    /// Whether what was read is the beginning of HTTP/2.
    pub(super) fn prefers_http2(&self) -> bool {
        self.unread.starts_with(PREFACE)
    }

    fn poll_unwritten(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unwritten.has_remaining() {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &self.unwritten))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.unwritten.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let count = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unwritten(cx))?;
        match refusal::in_azures_shape(buf) {
            None => Pin::new(&mut self.inner).poll_write(cx, buf),
            Some(answer) => {
                self.unwritten = answer;
                Poll::Ready(Ok(buf.len()))
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_unwritten(cx))?;
        // A refusal is one short slice; everything longer is an answer of the gateway's.
        match bufs {
            [buf] => self.poll_write(cx, buf),
            _ => Pin::new(&mut self.inner).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn the_first_bytes_tell_the_protocol_and_are_read_again() {
        for (sent, http2) in [
            (&b"GET / HTTP/1.1\r\n"[..], false),
            (PREFACE, true),
            (b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\nx", false),
            (b"P", false),
        ] {
            let (mut client, server) = duplex(64);
            client.write_all(sent).await.unwrap();
            drop(client);
            let Ok(mut stream) = Stream::sniff(server).await else {
                assert_eq!(sent, b"P");
                continue;
            };
            assert_eq!(stream.prefers_http2(), http2);
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, sent);
        }
    }
}
