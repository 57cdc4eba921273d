//! Towards Azure the protocol is agreed on by ALPN: HTTP/2 where the other side has it.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::support::certs::Certs;
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, TOKEN};
use crate::support::http::Request;
use crate::support::scratch::Scratch;

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";

/// An upstream that speaks HTTP/2 and nothing else, over TLS, and tells what it was sent. With `once`, a connection takes one request
/// and says goodbye (GOAWAY).
fn upstream(runtime: &Runtime, certs: &Certs, once: bool) -> SocketAddr {
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
                let answered = Arc::new(Notify::new());
                let told = Arc::clone(&answered);
                let service = service_fn(move |request| {
                    told.notify_one();
                    tell(request)
                });
                let served = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service);
                let mut served = pin!(served);
                tokio::select! {
                    _ = served.as_mut() => return,
                    () = answered.notified(), if once => served.as_mut().graceful_shutdown(),
                }
                drop(served.await);
            });
        }
    });
    address
}

/// How many streams were reset, of those that ask for that.
static RESET: AtomicUsize = AtomicUsize::new(0);

async fn tell(request: hyper::Request<Incoming>) -> io::Result<hyper::Response<Full<Bytes>>> {
    // Every other one. An error of the service is a reset of the stream.
    if request.uri().path().ends_with("/reset")
        && RESET.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)
    {
        return Err(io::ErrorKind::Other.into());
    }
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
    let endpoint = format!("https://localhost:{}", upstream(&runtime, &certs, false).port());
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
    let endpoint = format!("https://localhost:{}", upstream(&runtime, &certs, false).port());
    let gateway =
        Builder::new(&endpoint).trusting(&other).app("onboarding", TOKEN, &ALL_ROUTES).start();
    let answer = gateway.get(SESSION);
    assert_eq!((answer.status, answer.error_code()), (503, "UpstreamUnavailable".to_owned()));
    assert_eq!(answer.header("proxy-status"), Some("livegate; error=tls_certificate_error"));
}

#[test]
fn a_goodbye_of_azures_is_noticed_by_nobody() {
    let (_scratch, certs) = certified();
    let runtime = Runtime::new().unwrap();
    let endpoint = format!("https://localhost:{}", upstream(&runtime, &certs, true).port());
    let gateway =
        Builder::new(&endpoint).trusting(&certs).app("onboarding", TOKEN, &ALL_ROUTES).start();
    for method in ["GET", "DELETE", "GET", "GET", "DELETE", "GET"] {
        let answer = Request::new(method, SESSION).key(TOKEN).send(gateway.public);
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
    }
}

#[test]
fn a_stream_that_is_reset_is_tried_once_more() {
    let (_scratch, certs) = certified();
    let runtime = Runtime::new().unwrap();
    let endpoint = format!("https://localhost:{}", upstream(&runtime, &certs, false).port());
    let gateway =
        Builder::new(&endpoint).trusting(&certs).app("onboarding", TOKEN, &ALL_ROUTES).start();
    assert_eq!(gateway.get(SESSION).status, 200);
    let path = "/face/v1.2/detectLiveness-sessions/reset";
    assert_eq!(gateway.get(path).status, 200);
    assert_eq!(RESET.load(Ordering::SeqCst), 2);
    // The connection is none the worse for it.
    assert_eq!(gateway.get(SESSION).status, 200);
}
