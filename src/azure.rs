//! The last room: HTTP with Azure. It holds the keys or tokens, the connections and the limits of one Face resource.

pub mod again;
pub mod authorize;
pub mod breaker;
pub mod collect;
pub mod connect;
pub mod credential;
mod finding;
pub mod keys;
mod outcomes;
pub mod probe;
pub mod quota;
pub mod reread;
mod rest;
pub mod send;
pub mod tokens;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use http::uri::{Authority, Scheme};
use hyper_util::client::legacy::Client;
use tokio::time::Instant;

use self::connect::Connector;
use self::credential::Credential;
use crate::body::{Body, Source};
use crate::call::Ask;
use crate::config::Upstream;
use crate::error::Error;
use crate::metrics::{Metrics, UpstreamMetrics};
use crate::room::Room;
use crate::share::Share;

/// Sends an [`Ask`] and hands back the answer as it begins.
pub type Sender = Room<Ask, Response<Source>, Error>;

/// Sends an [`Ask`] and hands back the whole answer.
pub type Asker = Room<Ask, Response<Bytes>, Error>;

/// What lasts of a Face resource while configurations come and go: its connections and what it is shown.
#[derive(Debug)]
pub struct Azure {
    /// What its users share.
    pub share: Arc<Share>,
    /// Its name in logs.
    pub name: Arc<str>,
    /// What is counted of it.
    pub metrics: Arc<UpstreamMetrics>,
    /// What it is shown for authority.
    pub credential: Credential,
    /// Time from sending a request to the end of a whole answer, or to the head of a streamed one.
    pub timeout: Duration,
    /// Longest answer that is taken, in bytes.
    pub max_answer: u64,
    scheme: Scheme,
    authority: Authority,
    connector: Connector,
    client: ArcSwap<Client<Connector, Body>>,
    /// For requests that only a new connection will do for.
    afresh: Client<Connector, Body>,
    idle_timeout: Duration,
    renewed: Mutex<Instant>,
}

/// How long connections are made use of. Where a name leads to is looked up for new ones only, and a busy connection is never a new one.
const AGE: Duration = Duration::from_secs(300);

impl Azure {
    /// Prepares to talk to a resource and to show it this; nothing is connected yet.
    ///
    /// # Errors
    /// Where no root certificate can be found to trust.
    pub fn new(
        upstream: &Upstream,
        share: Arc<Share>,
        credential: Credential,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        let connector = connect::connector(upstream, upstream.scheme == Scheme::HTTPS)?;
        let client = connect::client(connector.clone(), upstream.idle_timeout);
        Ok(Self {
            share,
            name: upstream.name.as_str().into(),
            metrics: Arc::new(UpstreamMetrics::new(&upstream.name, metrics)),
            credential,
            timeout: upstream.timeout,
            max_answer: upstream.max_answer,
            scheme: upstream.scheme.clone(),
            authority: upstream.authority.clone(),
            client: ArcSwap::from_pointee(client),
            afresh: connect::client(connector.clone(), Duration::ZERO),
            connector,
            idle_timeout: upstream.idle_timeout,
            renewed: Mutex::new(Instant::now()),
        })
    }

    /// From time to time connections are left to rest, and new ones are opened, so that a resource that moves is followed.
    pub fn renew(&self) {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.elapsed() >= AGE {
            *renewed = Instant::now();
            let client = connect::client(self.connector.clone(), self.idle_timeout);
            self.client.store(Arc::new(client));
        }
    }
}
