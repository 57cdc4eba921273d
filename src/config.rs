//! The configuration: what is true, once what is written has been checked.
//!
//! [`load`] reads a file and every file that it names, and returns either a [`Config`] whose values hold, or all
//! mistakes at once. `config/livegate.toml` shows every key with its default and its reason.

mod files;
mod mistake;
mod reader;
mod sections;
mod slot;
mod tls;
mod units;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

pub use self::files::Watched;
pub use self::mistake::{Mistake, Mistakes};
pub use self::slot::{Place, Slot, Slots, Unusable, keys_again};
pub use self::tls::{client as client_tls, provider};
use crate::liveness::Route;
use crate::liveness::verdict::Mode;

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// Where apps are heard. At least one.
    pub listeners: Vec<Listener>,
    /// Limits of the public side.
    pub server: Server,
    /// Where metrics, health and status are told.
    pub admin: SocketAddr,
    /// The Face resources. At least one.
    pub upstreams: Vec<Upstream>,
    /// Who may call.
    pub apps: Vec<App>,
    /// What is kept in memory, and how long.
    pub cache: Cache,
    /// What the log tells of reads.
    pub access: Access,
    /// Where spans are sent, if anywhere.
    pub traces: Option<Traces>,
    /// The file that it was written in.
    pub path: PathBuf,
    /// What is not wrong but should be known, told once in the log.
    pub warnings: Vec<String>,
}

/// Where spans are sent, and of how many traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The collector's address for traces, OTLP over HTTP.
    pub endpoint: Uri,
    /// The share of the traces that begin here, from 0 to 1. Those that apps have begun are collected where they say so.
    pub sample: f64,
}

impl Config {
    /// When the first certificate ends, by the value of the metric label `role`.
    pub fn certificates(&self) -> [(&'static str, Option<Timestamp>); 2] {
        let first = |ends: fn(&Tls) -> Option<Timestamp>| {
            self.listeners.iter().filter_map(|listener| ends(listener.tls.as_ref()?)).min()
        };
        [("server", first(|tls| tls.ends)), ("client_ca", first(|tls| tls.client_ca_ends))]
    }
}

/// An address that apps are heard at.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS, or none.
    pub tls: Option<Tls>,
}

/// A listener's TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// What connections are made with.
    pub config: Arc<rustls::ServerConfig>,
    /// When the first certificate of the chain that it shows ends, where that can be read.
    pub ends: Option<Timestamp>,
    /// When the first of the roots ends that clients' certificates are checked against.
    pub client_ca_ends: Option<Timestamp>,
}

/// Limits of the public side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Threads that serve; 0 is one for each core.
    pub workers: usize,
    /// How long running requests may take to finish once the gateway is told to stop.
    pub drain_timeout: Duration,
    /// Time for a request's head to arrive, and longest rest of a kept-alive connection.
    pub header_timeout: Duration,
    /// Longest wait for a client to take the next bytes of an answer.
    pub send_timeout: Duration,
    /// Longest request head, in bytes.
    pub max_header_bytes: usize,
    /// Most header fields in a request.
    pub max_headers: usize,
    /// Longest request body, in bytes.
    pub max_body: u64,
    /// Most connections at a time, over all listeners.
    pub max_connections: usize,
    /// Most requests under way at a time, over all connections.
    pub max_requests: usize,
    /// Most concurrent streams of an HTTP/2 connection.
    pub max_streams: u32,
    /// Time for a streamed exchange (create, session image) from its head to its last byte.
    pub stream_timeout: Duration,
}

/// What is kept in memory, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    /// Most bytes of memory that kept answers take; 0 keeps none.
    pub max_bytes: u64,
    /// How long a final session that succeeded is kept, at most.
    pub ttl: Duration,
    /// How long a session that failed or was cancelled is kept, at most.
    pub failed_ttl: Duration,
    /// How long an answer that is not final may be shared; zero is not at all.
    pub running_ttl: Duration,
}

/// What the log tells of who read what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// How long the key lives that sessions' ids are hashed with; `None` where ids are told as they are.
    pub rotate: Option<Duration>,
}

/// A Face resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Its name in metrics and logs.
    pub name: String,
    /// `https`, or `http` for loopback.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// Calls a second that the resource allows; `None` is no limit.
    pub tier: Option<f64>,
    /// The share of them that questions about sessions may use, from 0 to 1.
    pub poll_share: f64,
    /// Roots trusted beside the system's.
    pub roots: Vec<CertificateDer<'static>>,
    /// What Azure is shown.
    pub credential: Credential,
    /// How often a spare key is tried; zero is never.
    pub probe: Duration,
    /// Time to resolve the name, connect and shake hands.
    pub connect_timeout: Duration,
    /// Time from sending a request to the end of a whole answer, or to the head of a streamed one.
    pub timeout: Duration,
    /// How long a connection may rest in the pool.
    pub idle_timeout: Duration,
    /// Longest answer that is taken, in bytes.
    pub max_answer: u64,
    /// Whether HTTP/2 is offered by ALPN beside HTTP/1.1.
    pub http2: bool,
}

/// What a resource is shown for authority.
#[derive(Debug, Clone, PartialEq)]
pub enum Credential {
    /// The first key, and the second where one is configured.
    Keys(Slots),
    /// A token of Entra's, Azure's directory.
    Entra(Entra),
}

/// How a token of Entra's is had. Names are those of Azure's own SDKs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entra {
    /// Who asks for it, and with what.
    pub identity: Identity,
    /// What it is to be good for.
    pub scope: String,
}

/// Who asks Entra for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// An application that shows what it has at this place.
    Client {
        /// Where tokens are given out, up to the directory's own part of the path.
        authority: Uri,
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret, or a token that somebody else gave out for it.
        proof: Place,
        /// Whether it is such a token.
        federated: bool,
    },
    /// The machine that this runs on.
    Managed {
        /// Which of the machine's identities, if not its own.
        client: Option<String>,
        /// Where to ask, if not where the environment says.
        endpoint: Option<Uri>,
    },
}

/// An app that may call.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its name in metrics and logs.
    pub name: String,
    /// SHA-256 of its tokens: one, or two while it changes over.
    pub tokens: Vec<[u8; 32]>,
    /// Which of [`Config::upstreams`] it is served by.
    pub upstream: usize,
    /// What it may call.
    pub routes: HashSet<Route>,
    /// Whether its `Cache-Control: no-cache` costs a call to Azure; if not, it is ignored.
    pub allow_no_cache: bool,
    /// What it gets of verdicts about its clients' digests.
    pub digest: Mode,
    /// Whether its audit lists are enriched where it does not say.
    pub enrich: bool,
    /// Most requests of its own under way at a time.
    pub max_requests: Option<usize>,
    /// Most requests in a second.
    pub per_second: Option<f64>,
}

/// An app that nobody is yet: it has no token and may do nothing.
impl Default for App {
    fn default() -> Self {
        Self {
            name: String::new(),
            tokens: Vec::new(),
            upstream: 0,
            routes: HashSet::new(),
            allow_no_cache: true,
            digest: Mode::default(),
            enrich: true,
            max_requests: None,
            per_second: None,
        }
    }
}

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, or all mistakes at once. A key that cannot be read is not among them, since
    /// the gateway starts without it.
    pub config: Result<Config, Mistakes>,
    /// The keys that cannot be read, whether or not the rest is right.
    pub keyless: Vec<Mistake>,
    /// Every file that was looked at, good or bad: a change of one of them is a reason to read again.
    pub watched: Watched,
}

/// Reads and checks a configuration file and every file that it names.
pub fn load(path: &Path) -> Loaded {
    sections::load(path, &|name| std::env::var(name).ok())
}

/// Whether this can be the name of an app or an upstream: 1 to 32 of a-z, 0-9, '-' and '_'.
pub fn is_name(name: &str) -> bool {
    sections::is_name(name)
}
