//! A connection's bytes, with five things added: what was read to see which HTTP is spoken is read
//! again; a client that takes nothing is not waited for without end; one that closes its side has a
//! moment left to be answered in; and what the HTTP library answers to a request that it cannot read gets
//! Azure's error shape; and what it can read but should not is made unreadable.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;
use super::head::Head;
use super::refusal;

/// What a client sends first if it speaks HTTP/2 without having agreed on it (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a client that has closed its side may still be there to listen, in HTTP/1.1. Nothing tells that from having left, and who
/// has left must not be waited with.
const GRACE: Duration = Duration::from_secs(1);

/// The stream.
#[derive(Debug)]
pub(super) struct Stream<T> {
    inner: T,
    /// Read already, to be read again.
    unread: Bytes,
    /// Taken from the writer but not written yet.
    unwritten: Bytes,
    /// Whether HTTP/2 is spoken.
    http2: bool,
    /// The head that is being read, in HTTP/1.1.
    head: Head,
    activity: Arc<Activity>,
    /// Longest wait for the other side to take something.
    limit: Duration,
    /// Runs while the other side takes nothing.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Runs from when the other side has closed while a request of it is under way.
    leaving: Option<Pin<Box<Sleep>>>,
    /// Who is to learn of that when its answer is out.
    reader: Option<Waker>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    /// Reads as much as tells whether HTTP/2 is spoken.
    pub(super) async fn sniff(mut inner: T, limit: Duration) -> io::Result<Self> {
        let mut read = Vec::with_capacity(1024);
        while read.len() < PREFACE.len() && PREFACE.starts_with(&read) {
            if inner.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let http2 = read.starts_with(PREFACE);
        let (unread, unwritten) = (Bytes::from(read), Bytes::new());
        let (activity, waiting, leaving, reader) = (Arc::default(), None, None, None);
        let head = Head::default();
        Ok(Self {
            inner,
            unread,
            unwritten,
            http2,
            head,
            activity,
            limit,
            waiting,
            leaving,
            reader,
        })
    }

    /// Whether what was read is the beginning of HTTP/2.
    pub(super) const fn prefers_http2(&self) -> bool {
        self.http2
    }

    /// What goes on on this connection.
    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    fn poll_unwritten(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unwritten.has_remaining() {
            let written = Pin::new(&mut self.inner).poll_write(cx, &self.unwritten);
            match ready!(self.bounded(cx, written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.unwritten.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Lets the other side keep us waiting for so long and no longer.
    fn bounded<R>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        // Where nothing is under way, what comes is a request.
        if !self.http2 && self.activity.quiet() {
            self.head.begins();
        }
        if self.unread.is_empty() {
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            let closed = buf.filled().len() == before && !self.http2;
            let under_way = self.activity.is_under_way();
            if closed && (self.activity.is_answering() || !(under_way || self.activity.quiet())) {
                // Writing shows whether anybody takes it. The end is told when all is out: the HTTP library would throw away what is not.
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if closed && under_way {
                let leaving = self.leaving.get_or_insert_with(|| Box::pin(sleep(GRACE)));
                ready!(leaving.as_mut().poll(cx));
            }
        } else {
            let count = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread.split_to(count));
        }
        self.head.look(buf.filled_mut().get_mut(before..).unwrap_or_default());
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
        // Between requests only the HTTP library itself has something to say.
        let refusal = self.activity.quiet().then(|| refusal::in_azures_shape(buf)).flatten();
        match refusal {
            None => {
                let written = Pin::new(&mut self.inner).poll_write(cx, buf);
                self.bounded(cx, written)
            }
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
            _ => {
                let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
                self.bounded(cx, written)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        ready!(self.bounded(cx, flushed))?;
        self.activity.flushed();
        if self.activity.quiet() {
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unwritten(cx))?;
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.bounded(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

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
            let Ok(mut stream) = Stream::sniff(server, Duration::from_secs(1)).await else {
                assert_eq!(sent, b"P");
                continue;
            };
            assert_eq!(stream.prefers_http2(), http2);
            let mut read = Vec::new();
            stream.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, sent);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_given_up() {
        let (mut client, server) = duplex(16);
        client.write_all(b"GET ").await.unwrap();
        let mut stream = Stream::sniff(server, Duration::from_secs(30)).await.unwrap();
        let start = tokio::time::Instant::now();
        let told = stream.write_all(&[b'x'; 64]).await.unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn who_closes_has_a_moment_left_while_a_request_is_under_way() {
        let (mut client, server) = duplex(64);
        client.write_all(b"GET ").await.unwrap();
        let mut stream = Stream::sniff(server, Duration::from_secs(30)).await.unwrap();
        let under_way = stream.activity().begin();
        client.shutdown().await.unwrap();
        let start = tokio::time::Instant::now();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!((read.as_slice(), start.elapsed()), (&b"GET "[..], GRACE));
        drop(under_way);
        stream.flush().await.unwrap();
        assert_eq!(stream.read_to_end(&mut read).await.unwrap(), 0);
        assert_eq!(start.elapsed(), GRACE);
    }

    #[tokio::test]
    async fn who_has_closed_is_told_the_whole_before_anybody_learns_of_it() {
        let (mut client, server) = duplex(64);
        client.write_all(b"GET ").await.unwrap();
        let mut stream = Stream::sniff(server, Duration::from_secs(30)).await.unwrap();
        let mut read = [0; 8];
        assert_eq!(stream.read(&mut read).await.unwrap(), 4);
        drop(stream.activity().begin());
        client.shutdown().await.unwrap();
        {
            let mut reading = pin!(stream.read(&mut read));
            assert!(futures_util::poll!(reading.as_mut()).is_pending());
        }
        stream.flush().await.unwrap();
        assert_eq!(stream.read(&mut read).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn only_what_is_said_between_requests_is_reshaped() {
        let refusal = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let (mut client, server) = duplex(4096);
        client.write_all(b"GET ").await.unwrap();
        let mut stream = Stream::sniff(server, Duration::from_secs(30)).await.unwrap();
        let under_way = stream.activity().begin();
        stream.write_all(refusal).await.unwrap();
        drop(under_way);
        // The answer's last bytes may be on their way still.
        stream.write_all(refusal).await.unwrap();
        stream.flush().await.unwrap();
        stream.write_all(refusal).await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);
        let mut seen = Vec::new();
        client.read_to_end(&mut seen).await.unwrap();
        assert!(seen.starts_with(&[refusal.as_slice(), refusal].concat()));
        assert_eq!(String::from_utf8(seen).unwrap().matches("x-ms-error-code").count(), 1);
    }
}
