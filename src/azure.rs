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
mod pool;
pub mod probe;
pub mod quota;
pub mod reread;
mod rest;
pub mod send;
pub mod tokens;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::uri::Scheme;

use self::credential::Credential;
use self::pool::Pool;
use crate::body::Source;
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
    /// Where it is, for traces.
    host: String,
    pool: Arc<Pool>,
}

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
        let Upstream { scheme, authority, idle_timeout, .. } = upstream;
        let connector = connect::connector(upstream, *scheme == Scheme::HTTPS)?;
        let pool = Pool::new(connector, scheme.clone(), authority.clone(), *idle_timeout);
        let pool = pool.ok_or_else(|| format!("upstream {}: {authority}", upstream.name))?;
        Ok(Self {
            share,
            name: upstream.name.as_str().into(),
            metrics: Arc::new(UpstreamMetrics::new(&upstream.name, metrics)),
            credential,
            timeout: upstream.timeout,
            max_answer: upstream.max_answer,
            host: authority.host().to_owned(),
            pool: Arc::new(pool),
        })
    }
}
