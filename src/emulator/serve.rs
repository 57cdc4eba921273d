//! One connection: reads its requests, asks the world, and sends or harms the answers.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::control;
use super::entra;
use super::failure::{Failure, Reply};
use super::wire::{Cut, Tap, Wire};
use super::world::{Ask, Exchange, Harm, Slow, World};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The world as connections share it.
pub(super) type Shared = Arc<Mutex<World>>;

/// More than any picture that Azure takes.
const LARGEST_BODY: usize = 16 << 20;

const ENDLESS_CHUNK: &[u8] = &[b' '; 16 << 10];

/// Serves a connection to its end.
pub(super) async fn connection(stream: TcpStream, world: Shared) {
    let _best_effort = stream.set_nodelay(true);
    let http2 = speaks_http2(&stream).await;
    let tap = Tap::default();
    let io = TokioIo::new(Wire::new(stream, tap.clone()));
    let service = service_fn(move |request| {
        let (world, tap) = (Arc::clone(&world), tap.clone());
        async move { Ok::<_, Infallible>(serve(request, &world, &tap).await) }
    });
    // how a connection ends is the client's affair, and often the fault's
    let _ended = if http2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(io, service).await
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        builder.serve_connection(io, service).await
    };
}

/// Whether the client's first bytes are HTTP/2's: no method of HTTP/1.1 begins so.
async fn speaks_http2(stream: &TcpStream) -> bool {
    let mut first = [0; 3];
    loop {
        match stream.peek(&mut first).await {
            Ok(3) => return first == *b"PRI",
            Ok(0) | Err(_) => return false,
            Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn serve(request: Request<Incoming>, world: &Shared, tap: &Tap) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        let failure = Failure::with_status(StatusCode::PAYLOAD_TOO_LARGE);
        return failure.reply().map(whole);
    };
    let ask = Ask {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(ToOwned::to_owned),
        http_version: if head.version == Version::HTTP_2 { "HTTP/2.0" } else { "HTTP/1.1" },
        headers: head.headers,
        body: body.to_bytes(),
    };
    if control::is_control(&ask.path) {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        return control::answer(&mut world, &ask).map(whole);
    }
    if entra::is_entra(&ask.path) {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        let now = world.clock.now();
        return world.entra.answer(&ask, now).map(whole);
    }
    let exchange = world.lock().unwrap_or_else(PoisonError::into_inner).exchange(&ask);
    send(exchange, tap).await
}

async fn send(exchange: Exchange, tap: &Tap) -> Response<Body> {
    let Exchange { reply, delay, slow, harm } = exchange;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let (bytes, reset) = match harm {
        None => return drip(reply, slow),
        Some(Harm::EndlessBody) => return reply.map(|_| endless()),
        Some(Harm::Hang) => std::future::pending().await,
        Some(Harm::Reset) => (Bytes::new(), true),
        Some(Harm::Close) => (Bytes::new(), false),
        Some(Harm::GarbageHttp) => {
            (Bytes::from_static(b"\x16\x03\x01 this is not HTTP\r\n\r\n"), false)
        }
        Some(Harm::Truncated { keep, reset }) => (truncated(&reply, keep), reset),
    };
    tap.cut(Cut { bytes, reset });
    Response::new(whole(Bytes::new()))
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

/// The answer, chunk by chunk where it is to be slow, with its true length in its head.
fn drip(mut reply: Reply, slow: Option<Slow>) -> Response<Body> {
    let Some(Slow { pause, chunk }) = slow else {
        return reply.map(whole);
    };
    let length = HeaderValue::from(reply.body().len());
    reply.headers_mut().insert(CONTENT_LENGTH, length);
    reply.map(|bytes| {
        let chunks = stream::unfold(bytes, move |mut rest| async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(pause).await;
            let next = rest.split_to(chunk.min(rest.len()));
            Some((Ok(Frame::data(next)), rest))
        });
        StreamBody::new(chunks).boxed_unsync()
    })
}

/// White space without end, which no parser of JSON minds.
fn endless() -> Body {
    let chunk = || Ok(Frame::data(Bytes::from_static(ENDLESS_CHUNK)));
    StreamBody::new(stream::repeat_with(chunk)).boxed_unsync()
}

/// The bytes of an answer that promises more than it holds.
fn truncated(reply: &Reply, keep: Option<usize>) -> Bytes {
    let body = reply.body();
    let kept = keep.unwrap_or(body.len() / 2).min(body.len());
    let promised = body.len().max(kept + 1);
    let status = reply.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes =
        format!("HTTP/1.1 {} {reason}\r\ncontent-length: {promised}\r\n", status.as_u16())
            .into_bytes();
    for (name, value) in reply.headers() {
        bytes.extend(name.as_str().as_bytes());
        bytes.extend(b": ");
        bytes.extend(value.as_bytes());
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    bytes.extend(body.get(..kept).unwrap_or_default());
    bytes.into()
}
