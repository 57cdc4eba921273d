//! Towards Azure the protocol is agreed on by ALPN: HTTP/2 where the other side has it.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::support::certs::Certs;
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, TOKEN};
use crate::support::scratch::Scratch;

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";

/// An upstream that speaks HTTP/2 and nothing else, over TLS, and tells what it was sent.
fn upstream(runtime: &Runtime, certs: &Certs) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = CertificateDer::pem_file_iter(&certs.server.cert).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&certs.server.key).unwrap();
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let served = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(tell));
                drop(served.await);
            });
        }
    });
    address
}

async fn tell(
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, std::convert::Infallible> {
    let key = request.headers().get("ocp-apim-subscription-key");
    let told = format!("{:?} {} {}", request.version(), request.uri().path(), key.is_some());
    Ok(hyper::Response::new(Full::from(told)))
}

fn certified() -> (Scratch, Certs) {
    let scratch = Scratch::new();
    let certs = Certs::new(&scratch);
    (scratch, certs)
}

#[test]
fn http2_is_spoken_where_the_other_side_wants_it() {
    let (_scratch, certs) = certified();
    let runtime = Runtime::new().unwrap();
    let endpoint = format!("https://localhost:{}", upstream(&runtime, &certs).port());
    let gateway =
        Builder::new(&endpoint).trusting(&certs).app("onboarding", TOKEN, &ALL_ROUTES).start();
    let answer = gateway.get(SESSION);
    assert_eq!((answer.status, answer.text()), (200, format!("HTTP/2.0 {SESSION} true")));
    assert!(!answer.text().contains(AZURE_KEY));
}

#[test]
fn an_authority_that_is_not_trusted_is_not_talked_to() {
    let (_scratch, certs) = certified();
    let (_other_scratch, other) = certified();
    let runtime = Runtime::new().unwrap();
    let endpoint = format!("https://localhost:{}", upstream(&runtime, &certs).port());
    let gateway =
        Builder::new(&endpoint).trusting(&other).app("onboarding", TOKEN, &ALL_ROUTES).start();
    let answer = gateway.get(SESSION);
    assert_eq!((answer.status, answer.error_code()), (503, "UpstreamUnavailable".to_owned()));
    assert_eq!(answer.header("proxy-status"), Some("livegate; error=tls_certificate_error"));
}
