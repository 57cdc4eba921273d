//! Where connections come in: accepts them, shakes hands, and lets HTTP/1.1 or HTTP/2 speak, all within limits.

mod activity;
mod busy;
mod head;
mod refusal;
mod stream;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prometheus::IntCounter;
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::activity::{Activity, Tracking};
use self::busy::Busy;
use self::stream::Stream;
use crate::body::Body;
use crate::config;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How often a resting HTTP/2 connection is asked whether it lives; without an answer it is closed.
const PING: Duration = Duration::from_secs(20);

/// How long a client that rests may take to say goodbye.
const GRACE: Duration = Duration::from_secs(5);

/// Connections beyond the limit that are told so at a time. The others are closed without a word.
const SURPLUS: usize = 64;

/// Bytes of an app's content that are taken in before somebody reads them: of a stream, and of all streams of a connection.
const STREAM_WINDOW: u32 = 128 << 10;
const WINDOW: u32 = 256 << 10;

/// Bytes that are read or written ahead: of an HTTP/1.1 connection, or of a stream's answer.
const AHEAD: usize = 64 << 10;

/// How long to rest when no connection can be accepted, mostly for want of file descriptors.
const REST: Duration = Duration::from_millis(500);

/// What serves requests on a connection.
pub trait Serve:
    Service<
        Request<Incoming>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Serve for S where
    S: Service<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// Where a listener's certificate can be exchanged.
pub type Certificate = Arc<ArcSwap<ServerConfig>>;

/// An address that is listened at.
#[derive(Debug)]
pub struct Door {
    listener: std::net::TcpListener,
    tls: Option<Certificate>,
}

/// What all doors of one side share: limits, places for connections, and the word to stop.
#[derive(Debug, Clone)]
pub struct House {
    server: config::Server,
    places: Arc<Semaphore>,
    surplus: Arc<Semaphore>,
    refused: IntCounter,
    stop: watch::Receiver<bool>,
}

impl Door {
    /// Listens at an address.
    ///
    /// # Errors
    /// What the operating system says, for example that the address is taken.
    pub fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let tls = tls.map(|config| Arc::new(ArcSwap::new(config)));
        Ok(Self { listener: socket.into(), tls })
    }

    /// The address, with the port that was free where none was asked for.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where the certificate can be exchanged; none for plain HTTP.
    pub const fn tls(&self) -> Option<&Certificate> {
        self.tls.as_ref()
    }

    /// Accepts connections until told to stop. Those that are open then go on by themselves: see [`House::empty`].
    ///
    /// # Errors
    /// Where the runtime cannot take the listener.
    pub async fn accept(self, house: House, service: impl Serve) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let mut stop = house.stop.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                () = told(&mut stop) => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(REST).await;
                    continue;
                }
            };
            // The surplus is turned away at once: waiting would only hide that the gateway is full.
            let Ok(place) = Arc::clone(&house.places).try_acquire_owned() else {
                house.refused.inc();
                house.turn_away(stream, self.tls.clone());
                continue;
            };
            let connection = house.clone().connection(stream, self.tls.clone(), service.clone());
            tokio::spawn(async move {
                connection.await;
                drop(place);
            });
        }
    }
}

impl House {
    /// A house with so many places, what counts those who find none, and what tells it to stop.
    pub fn new(
        server: config::Server,
        places: usize,
        refused: IntCounter,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let surplus = Arc::new(Semaphore::new(SURPLUS));
        Self { server, places: Arc::new(Semaphore::new(places)), surplus, refused, stop }
    }

    /// Tells a client that there is no place for it, if not too many are told so at the moment; those are closed.
    fn turn_away(&self, stream: TcpStream, tls: Option<Certificate>) {
        if let Ok(place) = Arc::clone(&self.surplus).try_acquire_owned() {
            let told = self.clone().connection(stream, tls, Busy);
            tokio::spawn(async move {
                drop(timeout(GRACE, told).await);
                drop(place);
            });
        }
    }

    /// Waits until every connection has ended.
    pub async fn empty(&self, places: usize) {
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        drop(self.places.acquire_many(places).await);
    }

    async fn connection(
        mut self,
        stream: TcpStream,
        tls: Option<Certificate>,
        service: impl Serve,
    ) {
        // Answers are written whole; waiting for more to send would only delay them.
        drop(stream.set_nodelay(true));
        let limit = self.server.send_timeout;
        let Some(tls) = tls else {
            let Some(stream) = self.unless_stopped(Stream::sniff(stream, limit)).await else {
                return;
            };
            return self.speak(stream, service).await;
        };
        let accept = TlsAcceptor::from(tls.load_full()).accept(stream);
        let Some(stream) = self.unless_stopped(accept).await else { return };
        // ALPN has told the protocol already, but a client must also begin to speak it.
        let Some(stream) = self.unless_stopped(Stream::sniff(stream, limit)).await else { return };
        self.speak(stream, service).await;
    }

    /// The beginning of a connection: it must come in time, and is dropped where the gateway stops meanwhile.
    async fn unless_stopped<T>(
        &mut self,
        beginning: impl Future<Output = io::Result<T>>,
    ) -> Option<T> {
        tokio::select! {
            () = told(&mut self.stop) => None,
            begun = timeout(self.server.header_timeout, beginning) => begun.ok()?.ok(),
        }
    }

    /// Serves a connection to its end. Its errors are the client's: it left, or did not speak HTTP.
    async fn speak<T>(self, stream: Stream<T>, service: impl Serve)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = stream.activity();
        let service = Tracking::new(service, Arc::clone(&activity));
        if stream.prefers_http2() {
            self.speak_http2(TokioIo::new(stream), service, &activity).await;
        } else {
            self.speak_http1(TokioIo::new(stream), service).await;
        }
    }

    async fn speak_http1<T>(mut self, io: TokioIo<Stream<T>>, service: Tracking<impl Serve>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.server.header_timeout);
        builder.max_header_size(self.server.max_header_bytes);
        builder.max_buf_size(AHEAD.max(2 * self.server.max_header_bytes));
        // Who closes its side is taken to have left, a moment later: the stream sees to that.
        builder.half_close(false);
        if self.server.max_headers != HYPER_MAX_HEADERS {
            builder.max_headers(self.server.max_headers);
        }
        let mut connection = pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = told(&mut self.stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        drop(connection.await);
    }

    async fn speak_http2<T>(
        mut self,
        io: TokioIo<Stream<T>>,
        service: Tracking<impl Serve>,
        activity: &Activity,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let server = &self.server;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PING);
        builder.max_concurrent_streams(server.max_streams).max_send_buf_size(AHEAD);
        builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(WINDOW);
        builder.max_header_list_size(u32::try_from(server.max_header_bytes).unwrap_or(u32::MAX));
        let mut connection = pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = activity.stuck(server.send_timeout) => return,
            () = activity.idle(server.header_timeout) => {
                connection.as_mut().graceful_shutdown();
                drop(timeout(GRACE, connection).await);
                return;
            }
            () = told(&mut self.stop) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = connection => {}
            () = activity.stuck(server.send_timeout) => {}
        }
    }
}

/// Resolves when told to stop, or when nobody is left who could tell.
async fn told(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// What hyper allows unless told otherwise. Telling it otherwise moves its table of fields to the heap.
const HYPER_MAX_HEADERS: usize = 100;
