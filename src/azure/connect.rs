//! Connections to Azure: names resolved, TLS verified, and all of it within a deadline.

use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service as _, service_fn};

use crate::body::Body;
use crate::config::{Upstream, client_tls};

/// Opens a connection, with TLS where the resource has it.
pub type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// How often an HTTP/2 connection is asked whether it lives, at rest too.
pub(super) const PING: Duration = Duration::from_secs(10);

/// How long it may take to answer that.
pub(super) const PONG: Duration = Duration::from_secs(5);

/// How long what was sent may stay without the other side's word that it came (TCP), and how long a connection may rest until it is
/// asked for one. A peer that is gone without having said so is found out by that.
const UNHEARD: Duration = Duration::from_secs(15);

/// A way to a resource's connections, or to those of who gives out its tokens; `secure` where it speaks TLS.
///
/// # Errors
/// Where there is no root certificate to trust: every call would fail, and later.
pub fn connector(upstream: &Upstream, secure: bool) -> Result<Connector, String> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.set_keepalive(Some(UNHEARD));
    http.set_keepalive_interval(Some(UNHEARD / 3));
    http.set_keepalive_retries(Some(3));
    #[cfg(target_os = "linux")]
    http.set_tcp_user_timeout(Some(UNHEARD));
    // The address says https, which this part of the connector would refuse.
    http.enforce_http(false);
    let tls = HttpsConnectorBuilder::new()
        .with_tls_config(tls(upstream, secure)?)
        .https_or_http()
        .enable_http1();
    let https = if upstream.http2 {
        tls.enable_http2().wrap_connector(http)
    } else {
        tls.wrap_connector(http)
    };
    // HttpConnector's own timeout covers neither the name's resolution nor TLS.
    let limit = upstream.connect_timeout;
    Ok(BoxCloneSyncService::new(service_fn(move |uri: Uri| {
        let mut https = https.clone();
        async move { timeout(limit, https.call(uri)).await? }
    })))
}

/// A client with a pool of its own, in which connections may rest for so long.
pub fn client(connector: Connector, rest: Duration) -> Client<Connector, Body> {
    let mut builder = Client::builder(TokioExecutor::new());
    // Without the timer, connections whose rest is over are not used any more but never closed either.
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(rest);
    builder
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PONG)
        .http2_keep_alive_while_idle(true);
    builder.build(connector)
}

fn tls(upstream: &Upstream, secure: bool) -> Result<ClientConfig, String> {
    client_tls(&upstream.roots, secure).map_err(|told| {
        format!("upstream {}: {told}; install the system's or set ca_file", upstream.name)
    })
}
