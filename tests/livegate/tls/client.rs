//! A client that tells what it saw: the certificate, the version and the protocol, or the alert.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::certs::{Certs, Pair};
use crate::support::gateway::TOKEN;

pub(super) const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";

/// Longer than anything here may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// What a client saw of the gateway.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) version: Option<ProtocolVersion>,
    pub(super) protocol: Option<String>,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) http: hyper::Version,
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Visit {
    /// That its request went through to the emulator.
    pub(super) fn was_served(&self) {
        assert_eq!(
            (self.status, self.body["error"]["code"].as_str()),
            (404, Some("SessionNotFound")),
            "{self:?}"
        );
    }
}

/// A client that trusts the authority of these and offers these protocols.
pub(super) fn client(
    authority: &Certs,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&Pair>,
    protocols: &[&str],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&authority.authority)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
            config.with_client_auth_cert(vec![certificate(&pair.cert)], key).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

pub(super) fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

pub(super) fn wait_for<T>(what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, what).await.unwrap() })
}

pub(super) async fn connect(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Connects, asks for a session in the protocol that was agreed on, and tells what it saw.
pub(super) fn visit(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Visit> {
    wait_for(async {
        let stream = connect(address, Arc::clone(config)).await?;
        let (_, tls) = stream.get_ref();
        let version = tls.protocol_version();
        let protocol = tls.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap());
        let certificate = tls.peer_certificates().unwrap()[0].clone().into_owned();
        let http2 = protocol.as_deref() == Some("h2");
        let answer = ask(stream, http2).await.map_err(io::Error::other)?;
        let (http, status) = (answer.version(), answer.status().as_u16());
        let body = answer.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap();
        Ok(Visit { version, protocol, certificate, http, status, body })
    })
}

async fn ask(
    stream: TlsStream<TcpStream>,
    http2: bool,
) -> hyper::Result<hyper::Response<Incoming>> {
    let target = if http2 { format!("https://localhost{SESSION}") } else { SESSION.to_owned() };
    let mut request = hyper::Request::get(target).header("Ocp-Apim-Subscription-Key", TOKEN);
    if !http2 {
        request = request.header("Host", "localhost");
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let stream = TokioIo::new(stream);
    if http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    }
}

/// The alert with which the gateway ends this connection. In TLS 1.3 it comes after the handshake, so that a
/// client has to read to see it.
pub(super) fn refusal(address: SocketAddr, config: &Arc<ClientConfig>) -> AlertDescription {
    let ended = wait_for(async {
        let mut stream = connect(address, Arc::clone(config)).await?;
        let read = stream.read(&mut [0]).await?;
        Err::<(), _>(io::Error::other(format!("read {read} bytes instead of an alert")))
    });
    let error = ended.unwrap_err();
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert but: {error:?}"),
    }
}
