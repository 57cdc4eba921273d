//! Reads what a request means: method, path, query, and whether it is well-formed.
//!
//! Below it a request has one meaning or an error that says why it has none. Nothing is answered here but HEAD,
//! which is a GET whose content stays at home.

use http::header::CONTENT_LENGTH;
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{Either, Map};
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Exchange;
use crate::body::Body;
use crate::call::{LONGEST_REGISTRATION, Meaning, Page, Target};
use crate::error::Error;
use crate::headers::Name;
use crate::liveness::resource::Kind;
use crate::liveness::resource::SESSION_ID_RULE;
use crate::liveness::{Family, NoSuchResource, Resource, Route, SessionId};

/// Longest `start`, in characters (`OpenAPI` documents of the Face service).
const LONGEST_START: usize = 64;

/// Longest path and query, in bytes. The longest that means anything has some 400; RFC 9110 §4.1 asks for 8,000.
const LONGEST_URI: usize = 8_000;

/// How much a request may bring.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest body, in bytes.
    pub max_body: u64,
    /// Most header fields.
    pub max_headers: usize,
}

/// The row.
#[derive(Debug, Clone)]
pub struct Recognize<S> {
    inner: S,
    limits: Limits,
}

/// Reads what requests mean, within these limits.
pub fn recognize<S>(limits: Limits) -> impl Layer<S, Service = Recognize<S>> + Clone {
    layer_fn(move |inner| Recognize { inner, limits })
}

impl<S> Service<Request<Body>> for Recognize<S>
where
    S: Service<Exchange, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Map<S::Future, WithoutContent>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // What reads hostile bytes is the last that may take its connection down.
        let read = catch_unwind(AssertUnwindSafe(|| meaning(&request, self.limits)));
        let meaning = read.unwrap_or(Err(Error::Internal));
        let head = request.method() == Method::HEAD;
        let answer = self.inner.call(Exchange { request, name: Name::random(), meaning });
        if head {
            Either::Right(answer.map(without_content as WithoutContent))
        } else {
            Either::Left(answer)
        }
    }
}

/// What a HEAD does to its answer.
type WithoutContent = fn(Result<Response<Body>, Infallible>) -> Result<Response<Body>, Infallible>;

/// RFC 9110 §9.3.2: a HEAD is answered with the fields that a GET would have, and no content.
fn without_content(
    answer: Result<Response<Body>, Infallible>,
) -> Result<Response<Body>, Infallible> {
    let mut answer = answer?;
    let length = std::mem::take(answer.body_mut()).size_hint().exact();
    // A 304 has no content to tell the length of, only the 200 that it stands for has.
    let told = answer.status() != StatusCode::NOT_MODIFIED;
    if let Some(length) = length.filter(|_| told) {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(answer)
}

fn meaning(request: &Request<Body>, limits: Limits) -> Result<Meaning, Error> {
    well_formed(request)?;
    if request.headers().len() > limits.max_headers {
        return Err(Error::TooManyHeaders);
    }
    if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > LONGEST_URI) {
        return Err(Error::UriTooLong);
    }
    match client_digest(request.uri().path()) {
        Some(session) => registration(request, session?).map(Meaning::ClientDigest),
        None => target(request, limits).map(Meaning::Face),
    }
}

/// The session whose client's digest a path is about, if it is such a path.
fn client_digest(path: &str) -> Option<Result<SessionId, Error>> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let mut is = |word: &str| segments.next().is_some_and(|one| one.eq_ignore_ascii_case(word));
    if !(is("livegate") && is("v1") && is("sessions")) {
        return None;
    }
    let id = segments.next()?;
    let mut is = |word: &str| segments.next().is_some_and(|one| one.eq_ignore_ascii_case(word));
    let ours = is("client-digest") && segments.next().is_none();
    ours.then(|| SessionId::parse(id).ok_or(Error::BadSessionId(SESSION_ID_RULE)))
}

fn registration(request: &Request<Body>, session: SessionId) -> Result<SessionId, Error> {
    if request.method() != Method::PUT {
        return Err(Error::MethodNotAllowed("PUT"));
    }
    let fits = request.body().size_hint().lower() <= LONGEST_REGISTRATION;
    fits.then_some(session).ok_or(Error::LengthTooLarge)
}

fn target(request: &Request<Body>, limits: Limits) -> Result<Target, Error> {
    let resource = Resource::parse(request.uri().path()).map_err(|error| match error {
        NoSuchResource::Unknown(hint) => Error::NoSuchPath(hint),
        NoSuchResource::MalformedId(rule) => Error::BadSessionId(rule),
    })?;
    let route = route(request.method(), &resource)?;
    let has_body = !request.body().is_end_stream();
    if has_body && route != Route::Create {
        return Err(Error::BadArgument("This request must not have a body."));
    }
    if request.body().size_hint().lower() > limits.max_body {
        return Err(Error::LengthTooLarge);
    }
    let page = match route {
        Route::Audit | Route::List => page(request.uri().query().unwrap_or_default())?,
        _ => Page::default(),
    };
    Ok(Target { route, resource, page })
}

/// RFC 9112 §3.2: a request has exactly one `Host`, and that is one; §6.1: what is coded in a way that nobody
/// here undoes has no meaning. The HTTP library lets the others through; where a length and chunks
/// contradict each other it takes the chunks and closes the connection afterwards, as §6.3 allows.
fn well_formed(request: &Request<Body>) -> Result<(), Error> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (host.is_none() && request.version() == Version::HTTP_11) {
        return Err(Error::BadArgument("A request must have exactly one Host field."));
    }
    if host.is_some_and(|host| !is_host(host.as_bytes())) {
        return Err(Error::BadArgument("The Host field must be a host and a port."));
    }
    let uri = request.uri();
    let strange = |scheme: &str| !["http", "https"].contains(&scheme);
    if uri.scheme_str().is_some_and(strange) || uri.authority().is_some_and(|of| !is_plain(of)) {
        return Err(Error::BadArgument("The request's target is at nobody's address."));
    }
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let chunked =
        codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || codings.next().is_some() {
        return Err(Error::BadArgument("A body can be sent in chunks, and in no other coding."));
    }
    Ok(())
}

/// Nothing is a host too: RFC 9112 §3.2 has it sent for a target without one.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || Authority::try_from(value).is_ok_and(|authority| is_plain(&authority))
}

/// A host and perhaps a port, and nobody's name and password: RFC 9110 §4.2.4 has those taken for a mistake.
fn is_plain(authority: &Authority) -> bool {
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
    let port_fits = port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
    !authority.as_str().contains('@') && port_fits
}

fn route(method: &Method, resource: &Resource) -> Result<Route, Error> {
    let get = matches!(*method, Method::GET | Method::HEAD);
    match (&resource.kind, resource.version.family()) {
        (Kind::Session(..), _) if get => Ok(Route::Session),
        (Kind::Session(..), _) if method == Method::DELETE => Ok(Route::Delete),
        (Kind::Session(..), _) => Err(Error::MethodNotAllowed("GET, HEAD, DELETE")),
        (Kind::Audit(..), _) if get => Ok(Route::Audit),
        (Kind::Image(_), _) if get => Ok(Route::Image),
        (Kind::Audit(..) | Kind::Image(_), _) => Err(Error::MethodNotAllowed("GET, HEAD")),
        (Kind::Sessions(_), _) if method == Method::POST => Ok(Route::Create),
        (Kind::Sessions(_), Family::Preview) if get => Ok(Route::List),
        (Kind::Sessions(_), Family::Preview) => Err(Error::MethodNotAllowed("GET, HEAD, POST")),
        // v1.2 removed the list (Face API, `@removed(Versions.v1_2)`).
        (Kind::Sessions(_), Family::Ga) => Err(Error::MethodNotAllowed("POST")),
    }
}

fn page(query: &str) -> Result<Page, Error> {
    let mut page = Page::default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key.eq_ignore_ascii_case("start") {
            if page.start.replace(start(&value)?).is_some() {
                return Err(Error::BadQuery("'start' is given twice."));
            }
        } else if key.eq_ignore_ascii_case("top") && page.top.replace(top(&value)?).is_some() {
            return Err(Error::BadQuery("'top' is given twice."));
        }
    }
    Ok(page)
}

fn start(value: &str) -> Result<String, Error> {
    if value.chars().count() > LONGEST_START {
        return Err(Error::BadQuery("'start' is too long: it has at most 64 characters."));
    }
    // The decoder writes U+FFFD for bytes that are not UTF-8.
    if value.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
        return Err(Error::BadQuery("'start' has characters that no id has."));
    }
    Ok(value.to_owned())
}

fn top(value: &str) -> Result<u16, Error> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let top = value.parse().ok().filter(|top| digits && (1..=1000).contains(top));
    top.ok_or(Error::BadQuery("'top' is invalid: it is a whole number from 1 to 1000."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_body: 4, max_headers: 3 };

    fn means(method: &str, uri: &str) -> Result<Meaning, Error> {
        let request = Request::builder().method(method).uri(uri).header("host", "gw");
        meaning(&request.body(Body::Empty).unwrap(), LIMITS)
    }

    fn read(method: &str, uri: &str) -> Result<Target, Error> {
        means(method, uri).map(|meaning| match meaning {
            Meaning::Face(target) => target,
            Meaning::ClientDigest(_) => panic!("{uri} is the gateway's own"),
        })
    }

    #[test]
    fn the_gateway_has_a_path_of_its_own() {
        let path = "/livegate/v1/sessions/aB-1/client-digest";
        let expected = Meaning::ClientDigest(SessionId::parse("aB-1").unwrap());
        assert_eq!(means("PUT", path), Ok(expected.clone()));
        assert_eq!(means("PUT", "/LiveGate/V1/Sessions/aB-1/Client-Digest?x"), Ok(expected));
        assert_eq!(means("GET", path), Err(Error::MethodNotAllowed("PUT")));
        for odd in ["a%20b", "a_b", "", &"a".repeat(65)] {
            let path = format!("/livegate/v1/sessions/{odd}/client-digest");
            assert_eq!(means("PUT", &path), Err(Error::BadSessionId(SESSION_ID_RULE)), "{odd}");
        }
        for other in ["", "/x", "/sessions/a", "/sessions/a/client-digest/", "/sessions/a/b/c"] {
            let path = format!("/livegate/v1{other}");
            assert_eq!(means("PUT", &path), Err(Error::NoSuchPath(None)), "{path}");
        }
    }

    const AUDIT: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/abc/audit";

    #[test]
    fn a_method_and_a_path_make_a_route() {
        let sessions = "/face/v1.1-preview.1/detectLivenessWithVerify/singleModal/sessions";
        let session = "/face/v1.2/detectLiveness-sessions/abc";
        for (method, path, route) in [
            ("GET", session, Route::Session),
            ("HEAD", session, Route::Session),
            ("DELETE", session, Route::Delete),
            ("GET", AUDIT, Route::Audit),
            ("POST", sessions, Route::Create),
            ("GET", sessions, Route::List),
            ("GET", "/face/v1.2/sessionImages/abc", Route::Image),
        ] {
            assert_eq!(read(method, path).unwrap().route, route);
        }
        assert_eq!(read("PUT", session), Err(Error::MethodNotAllowed("GET, HEAD, DELETE")));
        assert_eq!(
            read("GET", "/face/v1.2/detectLiveness-sessions"),
            Err(Error::MethodNotAllowed("POST"))
        );
        assert_eq!(read("get", session), Err(Error::MethodNotAllowed("GET, HEAD, DELETE")));
        assert_eq!(read("DELETE", AUDIT), Err(Error::MethodNotAllowed("GET, HEAD")));
    }

    #[test]
    fn a_page_is_read_within_its_bounds() {
        let page = |query: &str| read("GET", &format!("{AUDIT}?{query}")).map(|target| target.page);
        let long = "a".repeat(64);
        assert_eq!(page("").unwrap(), Page::default());
        assert_eq!(
            page("START=4&Top=1000&other=%zz&subscription-key=x").unwrap(),
            Page { start: Some("4".into()), top: Some(1000) }
        );
        assert_eq!(page(&format!("start={long}")).unwrap().start.unwrap(), long);
        assert_eq!(page("start=a%20b%26%C3%A9").unwrap().start.unwrap(), "a b&\u{e9}");
        for bad in [
            &format!("start={long}a"),
            "start=a&start=b",
            "start=a&START=a",
            "start=%00",
            "start=%ff",
            "start=a%0d%0ab",
            "top=",
            "top=0",
            "top=1001",
            "top=-1",
            "top=+5",
            "top=5.0",
            "top=5&top=5",
            "top=%20",
            "top=99999999999999999999",
            "top=\u{664}",
        ] {
            assert!(matches!(page(bad), Err(Error::BadQuery(_))), "{bad}");
        }
    }

    #[test]
    fn a_page_is_looked_at_only_where_there_is_a_list() {
        assert_eq!(
            read("GET", "/face/v1.2/detectLiveness-sessions/abc?top=0").unwrap().page,
            Page::default()
        );
    }

    #[test]
    fn a_request_has_one_host_and_no_unwanted_body() {
        let request = || Request::builder().uri("/face/v1.2/detectLiveness-sessions/abc");
        let bad = |request: http::request::Builder, body: &'static str| {
            let request =
                request.body(Body::from(bytes::Bytes::from_static(body.as_bytes()))).unwrap();
            matches!(meaning(&request, LIMITS), Err(Error::BadArgument(_)))
        };
        assert!(!bad(request().header("host", "gw"), ""));
        assert!(bad(request(), ""));
        assert!(bad(request().header("host", "a").header("host", "a"), ""));
        assert!(bad(request().header("host", "a"), "body"));
        let create = Request::post("/face/v1.2/detectLiveness-sessions").header("host", "gw");
        assert_eq!(
            meaning(&create.body(Body::from(bytes::Bytes::from_static(b"12345"))).unwrap(), LIMITS),
            Err(Error::LengthTooLarge)
        );
    }

    #[test]
    fn a_request_has_few_fields() {
        let mut request = Request::new(Body::Empty);
        *request.uri_mut() = "/face/v1.2/detectLiveness-sessions/abc".parse().unwrap();
        for (name, refused) in [("host", false), ("a", false), ("b", false), ("c", true)] {
            request.headers_mut().append(name, HeaderValue::from_static("x"));
            let read = meaning(&request, LIMITS);
            assert_eq!(read.err(), refused.then_some(Error::TooManyHeaders), "{name}");
        }
    }
}
