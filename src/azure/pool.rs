//! A resource's connections: opened when they are needed, used again while they are good, and left when they are old.
//!
//! HTTP/1.1 carries one exchange at a time, so that a connection comes back when its answer was read to the end. HTTP/2 carries many,
//! and one connection is enough. What is kept is looked over from time to time, see [`Pool::sweep`].

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout};
use tower::{BoxError, ServiceExt as _};

use super::connect::{Connector, PING, PONG};
use crate::body::{AtEnd, Body};

/// How long connections are made use of. Where a name leads to is looked up for new ones only, and a busy connection is never a new one.
const AGE: Duration = Duration::from_secs(300);

/// Who closes a connection that rests is not heard of before it is used again, but soon after.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long a connection whose answer is read may still be busy with the content of its request.
const LINGER: Duration = Duration::from_secs(1);

/// The connections to one origin.
pub(super) struct Pool {
    connector: Connector,
    origin: Origin,
    /// Longest time that a connection rests.
    rest: Duration,
    kept: Mutex<Kept>,
}

/// Where the connections lead to.
#[derive(Debug)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    address: Uri,
}

#[derive(Default)]
struct Kept {
    /// Those that rest, the latest last.
    resting: Vec<Line>,
    http2: Option<Line>,
}

/// A connection.
struct Line {
    sender: Sender,
    opened: Instant,
    used: Instant,
    /// Whether it was opened for an exchange before this one.
    kept: bool,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// Why no answer's head came.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no connection.
    Connect(BoxError),
    /// It broke; `stale`, where the other side had closed it while it rested, as far as that can be known: it was kept, was there for this
    /// exchange alone, and broke at once.
    Broken { error: hyper::Error, stale: bool },
}

/// An answer as it begins, and what is to be told when it was read to the end.
pub(super) type Begun = (Response<Incoming>, Option<AtEnd>);

impl Pool {
    /// Of connections to here, that may rest for so long.
    pub(super) fn new(
        connector: Connector,
        scheme: Scheme,
        authority: Authority,
        rest: Duration,
    ) -> Option<Self> {
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        let address = Uri::builder().scheme(scheme.clone()).authority(authority.clone());
        let address = address.path_and_query("/").build().ok()?;
        Some(Self {
            connector,
            origin: Origin { scheme, authority, host, address },
            rest,
            kept: Mutex::default(),
        })
    }

    /// Sends a request that has a path for its address, and waits for the answer's head. With `afresh` only a new connection will do.
    ///
    /// # Errors
    /// Where none came. What was certainly not sent on a kept connection is sent on another one, and is no error.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        mut request: Request<Body>,
        afresh: bool,
    ) -> Result<Begun, Failure> {
        loop {
            let kept = if afresh { None } else { self.take() };
            let mut line = match kept {
                Some(line) => line,
                // What it takes to open one is large, and seldom needed.
                None => self.connect().boxed().await?,
            };
            // A kept one may have been closed a moment ago.
            if line.kept && !line.is_ready().await {
                self.forget(&line);
                continue;
            }
            let spent = !matches!(request.body(), Body::Empty);
            let sent = Instant::now();
            match line.send(request, &self.origin).await {
                Ok(answer) => return Ok((answer, self.coming_back(line, spent))),
                Err((error, Some(unsent))) if line.kept => {
                    tracing::debug!(%error, "a kept connection was closed before the request");
                    self.forget(&line);
                    request = unsent;
                }
                Err((error, _)) => {
                    let alone = matches!(line.sender, Sender::Http1(_));
                    let stale = alone && line.kept && sent.elapsed() < AT_ONCE;
                    return Err(Failure::Broken { error, stale });
                }
            }
        }
    }

    /// Lets go of what has rested long enough, and of what is old.
    pub(super) fn sweep(&self) {
        let mut kept = self.kept();
        kept.resting.retain(|line| self.is_good(line));
        kept.http2.take_if(|line| !self.is_good(line));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_good(&self, line: &Line) -> bool {
        !line.is_closed() && line.used.elapsed() < self.rest && line.opened.elapsed() < AGE
    }

    /// The connection that rests for the shortest time, or the one for all.
    fn take(&self) -> Option<Line> {
        let mut kept = self.kept();
        if let Some(line) = kept.http2.as_mut().filter(|line| self.is_good(line)) {
            return line.share();
        }
        while let Some(line) = kept.resting.pop() {
            if self.is_good(&line) {
                return Some(line);
            }
        }
        None
    }

    /// One that all share is of no use any more.
    fn forget(&self, line: &Line) {
        if let Sender::Http2(_) = line.sender {
            self.kept().http2.take_if(|shared| shared.opened == line.opened);
        }
    }

    async fn connect(&self) -> Result<Line, Failure> {
        let io = self.connector.clone().oneshot(self.origin.address.clone()).await;
        let io = io.map_err(Failure::Connect)?;
        let refused = |error: hyper::Error| Failure::Connect(error.into());
        if !io.connected().is_negotiated_h2() {
            let (sender, connection) = http1::handshake(io).await.map_err(refused)?;
            tokio::spawn(connection);
            return Ok(Line::new(Sender::Http1(sender)));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
        let (sender, connection) =
            builder.keep_alive_while_idle(true).handshake(io).await.map_err(refused)?;
        tokio::spawn(connection);
        let mut line = Line::new(Sender::Http2(sender));
        self.kept().http2 = line.share();
        Ok(line)
    }

    /// What brings a connection back when its answer was read.
    fn coming_back(self: &Arc<Self>, line: Line, spent: bool) -> Option<AtEnd> {
        if let Sender::Http2(_) = line.sender {
            return None;
        }
        let pool = Arc::clone(self);
        Some(AtEnd::new(move || {
            if spent {
                // The answer may be there before all of the content is taken.
                drop(tokio::spawn(pool.keep_soon(line)));
            } else {
                pool.keep(line);
            }
        }))
    }

    async fn keep_soon(self: Arc<Self>, mut line: Line) {
        if timeout(LINGER, line.is_ready()).await == Ok(true) {
            self.keep(line);
        }
    }

    fn keep(&self, line: Line) {
        let line = Line { used: Instant::now(), kept: true, ..line };
        if self.is_good(&line) {
            self.kept().resting.push(line);
        }
    }
}

impl Line {
    fn new(sender: Sender) -> Self {
        let now = Instant::now();
        Self { sender, opened: now, used: now, kept: false }
    }

    /// The same connection for one more exchange, where it can carry several.
    fn share(&mut self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else { return None };
        self.used = Instant::now();
        Some(Self { sender: Sender::Http2(sender.clone()), kept: true, ..*self })
    }

    fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }

    /// Waits until it can carry an exchange, if it ever will.
    async fn is_ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request. Where it was certainly not sent, it comes back.
    async fn send(
        &mut self,
        mut request: Request<Body>,
        origin: &Origin,
    ) -> Result<Response<Incoming>, (hyper::Error, Option<Request<Body>>)> {
        origin.put(&mut request, matches!(self.sender, Sender::Http2(_)));
        let sent = match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| {
            let unsent = error.take_message();
            (error.into_error(), unsent)
        })
    }
}

impl Origin {
    /// RFC 9112 §3.2.1: a server is sent the path, and its own name in `Host`; RFC 9113 §8.3.1: in HTTP/2 both stand in the address.
    fn put(&self, request: &mut Request<Body>, http2: bool) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        let place = http2.then(|| (self.scheme.clone(), self.authority.clone()));
        (parts.scheme, parts.authority) = place.unzip();
        if http2 {
            request.headers_mut().remove(header::HOST);
        } else {
            request.headers_mut().insert(header::HOST, self.host.clone());
        }
        // A path alone is an address, and so is one with all of these parts.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
}

impl Debug for Pool {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("origin", &self.origin.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
