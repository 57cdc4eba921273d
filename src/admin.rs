//! The admin port: metrics, health, status, and the few things that ops do by hand. Never on the public listener.

mod page;
mod slot;
mod status;
mod text;

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::runtime::Handle;

use crate::body::Body;
use crate::liveness::SessionId;
use crate::state::{Reason, State};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// The text format that Prometheus reads.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All that there is.
const PAGES: &str = "/, /metrics, /livez, /readyz, /status, POST /reload, POST /cache/purge and POST /keys/{upstream}/use";

/// Serves the admin port.
#[derive(Debug, Clone)]
pub struct Admin(pub Arc<State>);

impl Service<Request<Incoming>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let state = Arc::clone(&self.0);
        Box::pin(async move { Ok(guarded(&state, &request).await) })
    }
}

/// A page of somebody else's, open in an operator's browser, can send a POST here; it cannot keep the
/// browser from saying where it comes from.
async fn guarded(state: &State, request: &Request<Incoming>) -> Response<Body> {
    if request.method() == Method::POST && request.headers().contains_key(ORIGIN) {
        return text(StatusCode::FORBIDDEN, TEXT, "not for pages of a browser\n".to_owned());
    }
    let (method, uri) = (request.method(), request.uri());
    if uri.path() == "/" && *method == Method::GET && wants_page(request.headers()) {
        return status::told(state, page::page);
    }
    answer(state, method, uri.path(), uri.query()).await
}

/// A browser says that it takes HTML; programs for a terminal take anything.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

async fn answer(state: &State, method: &Method, path: &str, query: Option<&str>) -> Response<Body> {
    let acts = matches!(path, "/reload" | "/cache/purge") || slot::upstream(path).is_some();
    let allowed = if acts { Method::POST } else { Method::GET };
    let head = *method == Method::HEAD && allowed == Method::GET;
    if *method != allowed && !head && known(path) {
        let mut refused =
            text(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("{path} has {allowed}\n"));
        let allow = if allowed == Method::GET { "GET, HEAD" } else { "POST" };
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        return refused;
    }
    let answer = match path {
        "/metrics" => metrics(state),
        "/livez" => text(StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => match state.not_ready() {
            None => text(StatusCode::OK, TEXT, "ok\n".to_owned()),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        "/status" => text(StatusCode::OK, JSON, status::told(state, status::json)),
        "/" => text(StatusCode::OK, TEXT, status::told(state, text::text)),
        "/reload" => match state.reload(Reason::Admin).await {
            Ok(()) => text(StatusCode::OK, TEXT, status::told(state, text::reloaded)),
            Err(mistakes) => text(StatusCode::UNPROCESSABLE_ENTITY, TEXT, format!("{mistakes}\n")),
        },
        "/cache/purge" => purge(state, query.unwrap_or_default()),
        _ => match slot::upstream(path) {
            Some(upstream) => slot::choose(state, upstream, query.unwrap_or_default()),
            None => text(StatusCode::NOT_FOUND, TEXT, format!("There are {PAGES}.\n")),
        },
    };
    if head { answer.map(|_| Body::Empty) } else { answer }
}

fn known(path: &str) -> bool {
    let pages = ["/", "/metrics", "/livez", "/readyz", "/status", "/reload", "/cache/purge"];
    pages.contains(&path) || slot::upstream(path).is_some()
}

fn metrics(state: &State) -> Response<Body> {
    state.lasting.sweep();
    let tasks = Handle::current().metrics().num_alive_tasks();
    state.metrics.runtime_tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
    for azure in &state.live().upstreams {
        azure.metrics.tell(&azure.share);
    }
    match state.metrics.text() {
        Ok(metrics) => text(StatusCode::OK, METRICS, metrics),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
    }
}

/// Forgets one session, or all. A query that is misspelt must not empty the memory.
fn purge(state: &State, query: &str) -> Response<Body> {
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let forgotten = match (fields.next(), fields.next()) {
        (None, _) => state.purge(None),
        (Some((key, id)), None) if key == "session" => match SessionId::parse(&id) {
            Some(id) if id.as_str() == "all" => state.purge(None),
            Some(id) => state.purge(Some(&id)),
            None => return misspelt(),
        },
        _ => return misspelt(),
    };
    text(StatusCode::OK, TEXT, format!("kept answers that were forgotten: {forgotten}\n"))
}

fn misspelt() -> Response<Body> {
    let rule = "the query is session=ID, or session=all or nothing for all sessions\n".to_owned();
    text(StatusCode::BAD_REQUEST, TEXT, rule)
}

fn text(status: StatusCode, kind: &'static str, content: String) -> Response<Body> {
    let mut answer = Response::new(Body::Whole(content.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
