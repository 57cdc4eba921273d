//! A small HTTP client for talking to one's own ports: the admin port, and those of the demo.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest answer that is taken, in bytes.
const LONGEST: usize = 16 << 20;

/// How long an exchange may take. `Prefer: wait` holds one for a minute at most.
const LIMIT: Duration = Duration::from_secs(70);

/// Sends a request over a connection of its own, and takes the whole answer.
///
/// # Errors
/// A sentence that names the address and what went wrong.
pub(super) async fn fetch(request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
    let uri = request.uri().clone();
    let exchange = async { exchange(request).await.map_err(|error| format!("{uri}: {error}")) };
    timeout(LIMIT, exchange).await.unwrap_or_else(|_| Err(format!("{uri}: no answer in {LIMIT:?}")))
}

async fn exchange(mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, tower::BoxError> {
    let uri = request.uri().clone();
    let authority = uri
        .authority()
        .filter(|_| uri.scheme_str() == Some("http"))
        .ok_or("an http:// address is needed")?
        .clone();
    let address =
        (authority.host().trim_matches(['[', ']']).to_owned(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    *request.uri_mut() =
        uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
    request.headers_mut().insert(http::header::HOST, authority.as_str().parse()?);
    let (parts, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(parts, Limited::new(body, LONGEST).collect().await?.to_bytes()))
}
