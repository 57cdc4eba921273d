//! The assembly: the one place that builds the parts and starts them. [`Gateway::bind`] first, [`Gateway::run`] later,
//! so that whoever starts it knows the addresses and owns the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service as HyperService;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::admin::Admin;
use crate::azure::reread::{Asked, Reread};
use crate::body::{Body, Source};
use crate::config::{Config, Server, Watched};
use crate::listen::{Door, House};
use crate::metrics::Metrics;
use crate::reload;
use crate::room::Outcome;
use crate::state::{State, Way};
use crate::tend::tend;

/// Most connections to the admin port at a time.
const ADMIN_PLACES: usize = 64;

/// A gateway that listens but does not serve yet.
#[derive(Debug)]
pub struct Gateway {
    doors: Vec<Door>,
    admin: Door,
    server: Server,
    state: Arc<State>,
    hangup: Signal,
    asked: Asked,
}

/// What serves requests: whatever way is in force when a request comes in.
#[derive(Debug, Clone)]
struct Public(Arc<ArcSwap<Way>>);

impl HyperService<Request<Incoming>> for Public {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Outcome<Response<Body>, Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let way = self.0.load();
        let body = |body| Body::stream(Source::app(body), way.max_body, way.stream_timeout);
        way.front.ask(request.map(body))
    }
}

impl Gateway {
    /// Listens at every address of the configuration.
    ///
    /// # Errors
    /// One sentence for each address that cannot be had and each resource that cannot be prepared.
    pub fn bind(config: Config, watched: Watched) -> Result<Self, Vec<String>> {
        let metrics = Metrics::new().map_err(|error| vec![error.to_string()])?;
        let build = [env!("CARGO_PKG_VERSION"), env!("LIVEGATE_REVISION"), env!("LIVEGATE_RUSTC")];
        metrics.build_info.with_label_values(&build).set(1);
        // Before anybody can know the addresses, and ask for a reload.
        let hangup = signal(SignalKind::hangup()).map_err(|error| vec![error.to_string()])?;
        let listen = |address, tls| {
            Door::bind(address, tls).map_err(|error| format!("cannot listen at {address}: {error}"))
        };
        let doors: Vec<_> = config
            .listeners
            .iter()
            .map(|listener| {
                listen(listener.address, listener.tls.as_ref().map(|tls| Arc::clone(&tls.config)))
            })
            .collect();
        let admin = listen(config.admin, None);
        let told: Vec<_> =
            doors.iter().chain([&admin]).filter_map(|door| door.as_ref().err().cloned()).collect();
        let (Ok(doors), Ok(admin)) = (doors.into_iter().collect::<Result<Vec<_>, _>>(), admin)
        else {
            return Err(told);
        };
        let server = config.server;
        let named = config.listeners.iter().map(|listener| listener.address);
        let tls = doors.iter().map(|door| door.tls().cloned());
        let certificates = named.zip(tls).filter_map(|(address, tls)| Some((address, tls?)));
        let certificates = certificates.collect();
        let (reread, asked) = Reread::channel();
        let state = State::new(config, watched, certificates, Arc::new(metrics), reread);
        let state = state.map_err(|told| vec![told])?;
        Ok(Self { doors, admin, server, state: Arc::new(state), hangup, asked })
    }

    /// The public addresses, in the order of the configuration, and whether each has TLS.
    pub fn addresses(&self) -> Vec<(SocketAddr, bool)> {
        self.doors
            .iter()
            .filter_map(|door| Some((door.address().ok()?, door.tls().is_some())))
            .collect()
    }

    /// What is counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.state.metrics
    }

    /// The admin port's address.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.address().ok()
    }

    /// Serves until `stop` resolves, then lets what is running finish, within the configured time.
    ///
    /// # Errors
    /// Where the runtime cannot take a listener.
    pub async fn run(self, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        let (stopping, told) = watch::channel(false);
        let (_open, never) = watch::channel(false);
        let server = self.server;
        let rejected = &self.state.metrics.http_requests_rejected_total;
        let refused = rejected.with_label_values(&["other", "shed"]);
        let house = House::new(server, server.max_connections, refused.clone(), told);
        let public = Public(Arc::clone(&self.state.way));
        let accepting: Vec<_> = self
            .doors
            .into_iter()
            .map(|door| tokio::spawn(door.accept(house.clone(), public.clone())))
            .collect();
        // The admin port answers until the very end, so that probes and scrapes see the draining.
        let admin = tokio::spawn(self.admin.accept(
            House::new(server, ADMIN_PLACES, refused, never),
            Admin(Arc::clone(&self.state)),
        ));
        let watching = reload::watch(Arc::clone(&self.state), self.hangup, self.asked);
        let watching = tokio::spawn(watching);
        let tending = [
            tokio::spawn(Arc::clone(&self.state.lasting).tend()),
            tokio::spawn(tend(Arc::clone(&self.state))),
        ];
        stop.await;
        tracing::info!("stopping: no new connections, running requests may finish");
        self.state.drain();
        stopping.send_replace(true);
        watching.abort();
        for door in accepting {
            door.await??;
        }
        if timeout(server.drain_timeout, house.empty(server.max_connections)).await.is_err() {
            tracing::warn!("some connections did not finish in time and are closed");
        }
        admin.abort();
        tending.iter().for_each(JoinHandle::abort);
        tracing::info!("stopped");
        Ok(())
    }
}
