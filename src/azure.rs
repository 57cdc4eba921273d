//! The last room: HTTP with Azure. It holds the keys, the connections and the limits of one Face resource.

pub mod again;
pub mod collect;
pub mod connect;
pub mod key;
pub mod send;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::uri::{Authority, Scheme};
use hyper_util::client::legacy::Client;
use tower::util::BoxCloneSyncService;

use self::connect::Connector;
use self::key::Keys;
use crate::body::{Body, Source};
use crate::call::Ask;
use crate::config::Upstream;
use crate::error::Error;
use crate::share::Share;

/// Sends an [`Ask`] and hands back the answer as it begins.
pub type Sender = BoxCloneSyncService<Ask, Response<Source>, Error>;

/// Sends an [`Ask`] and hands back the whole answer.
pub type Asker = BoxCloneSyncService<Ask, Response<Bytes>, Error>;

/// What lasts of a Face resource while configurations come and go: its connections and its keys.
#[derive(Debug)]
pub struct Azure {
    /// What its users share.
    pub share: Arc<Share>,
    /// Its name in metrics and logs.
    pub name: Arc<str>,
    /// Its keys.
    pub keys: Arc<Keys>,
    /// Time from sending a request to the end of a whole answer, or to the head of a streamed one.
    pub timeout: Duration,
    /// Longest answer that is taken, in bytes.
    pub max_answer: u64,
    scheme: Scheme,
    authority: Authority,
    client: Client<Connector, Body>,
}

impl Azure {
    /// Prepares to talk to a resource with these keys; nothing is connected yet.
    ///
    /// # Errors
    /// Where no root certificate can be found to trust.
    pub fn new(upstream: &Upstream, share: Arc<Share>, keys: Arc<Keys>) -> Result<Self, String> {
        Ok(Self {
            share,
            name: upstream.name.as_str().into(),
            keys,
            timeout: upstream.timeout,
            max_answer: upstream.max_answer,
            scheme: upstream.scheme.clone(),
            authority: upstream.authority.clone(),
            client: connect::client(upstream)?,
        })
    }
}
