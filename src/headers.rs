//! Which header fields pass, in either direction.
//!
//! Towards Azure a field passes only if it is on the list: nothing that carries authority can slip through by
//! being new. Towards the app everything passes but what is listed here, since Azure's answers reach the app whole.

use std::fmt;

use http::Version;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ALT_SVC, AUTHORIZATION, CACHE_CONTROL, CONNECTION,
    CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue,
    LAST_MODIFIED, LOCATION, PRAGMA, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RETRY_AFTER,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT, VIA, WWW_AUTHENTICATE,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::liveness::verdict::Verdict;
use crate::trace::{Kind, Span, TRACEPARENT, TRACESTATE, is_collected};

/// What every SDK of Azure's sends its key in.
pub const SUBSCRIPTION_KEY: HeaderName = HeaderName::from_static("ocp-apim-subscription-key");
/// How a memory had part in an answer (RFC 9211).
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// What was decided.
pub const LIVENESS_DECISION: HeaderName = HeaderName::from_static("liveness-decision");
/// Whether the client's digest is the deciding attempt's.
pub const LIVENESS_DIGEST: HeaderName = HeaderName::from_static("liveness-digest");
/// Whether it was verified against the expected picture.
pub const LIVENESS_VERIFY_IMAGE: HeaderName = HeaderName::from_static("liveness-verify-image");
/// What of a request's `Prefer` was done (RFC 7240).
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The id of a request, as the Face service's documentation names it.
pub const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const MS_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// Names and traces are made where they are absent, see [`Name`].
const TOWARDS_AZURE: [HeaderName; 10] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    CONTENT_TYPE,
    USER_AGENT,
    HeaderName::from_static("x-ms-azsdk-telemetry"),
    HeaderName::from_static("x-ms-useragent"),
    CLIENT_REQUEST_ID,
    MS_CLIENT_REQUEST_ID,
    TRACESTATE,
    VIA,
];

/// Fields of an answer that stay with the gateway.
const NOT_TOWARDS_APP: [HeaderName; 22] = [
    // RFC 9110 §7.6.1: these belong to one connection.
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    // Written anew from the body that is sent.
    CONTENT_LENGTH,
    // Authority between the gateway and Azure.
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    WWW_AUTHENTICATE,
    SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
    HeaderName::from_static("authentication-info"),
    HeaderName::from_static("clear-site-data"),
    // They would lead the app past the gateway; the JavaScript client follows even the last one.
    ALT_SVC,
    LOCATION,
    HeaderName::from_static("x-ms-original-url"),
    // The gateway's own verdicts: nobody else gives them.
    LIVENESS_DECISION,
    LIVENESS_DIGEST,
    LIVENESS_VERIFY_IMAGE,
    // What was done of a `Prefer` that Azure never heard.
    PREFERENCE_APPLIED,
];

/// Fields of an answer that belong to one exchange: told to the app whose exchange it was, and to no other. hyper
/// writes a date of its own.
const OF_ONE_EXCHANGE: [HeaderName; 9] = [
    DATE,
    CLIENT_REQUEST_ID,
    MS_CLIENT_REQUEST_ID,
    HeaderName::from_static("x-envoy-upstream-service-time"),
    HeaderName::from_static("server-timing"),
    TRACEPARENT,
    TRACESTATE,
    HeaderName::from_static("traceresponse"),
    CACHE_STATUS,
];

/// What a session's answer says of its content and its life, which the gateway says itself: it is not the content that Azure sent
/// any more once a token was blanked.
const SAID_ANEW: [HeaderName; 11] = [
    ETAG,
    CACHE_CONTROL,
    EXPIRES,
    PRAGMA,
    LAST_MODIFIED,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-range"),
    HeaderName::from_static("accept-ranges"),
];

/// Longest field that Azure is sent for an answer that others are told too, in bytes: no client's is half as long, and Azure might
/// refuse what is far longer.
const LONGEST_FOR_ALL: usize = 512;

/// Fields of which no two answers have the same value.
const UNIQUE: [HeaderName; 2] =
    [HeaderName::from_static("apim-request-id"), HeaderName::from_static("x-ms-request-id")];

/// A verdict as the value of `Liveness-Digest`.
pub fn verdict_value(verdict: Verdict) -> HeaderValue {
    let word = HeaderValue::from_static(verdict.as_str());
    match verdict.attempt() {
        Some(_) => HeaderValue::try_from(verdict.to_string()).unwrap_or(word),
        None => word,
    }
}

/// Whether a field of an answer belongs to one exchange.
pub fn of_one_exchange(name: &HeaderName) -> bool {
    OF_ONE_EXCHANGE.contains(name) || name.as_str().contains("ratelimit-")
}

/// Whether the gateway says it itself of a session.
pub fn is_said_anew(name: &HeaderName) -> bool {
    SAID_ANEW.contains(name)
}

/// Takes out of an answer what is said of its content, where that is not the one any more that Azure sent.
pub fn of_other_bytes(headers: &mut HeaderMap) {
    SAID_ANEW.iter().for_each(|name| drop(headers.remove(name)));
}

/// Azure's own id of an answer.
pub fn azures_id(headers: &HeaderMap) -> Option<&str> {
    UNIQUE.iter().find_map(|name| headers.get(name)?.to_str().ok())
}

/// Seconds that an answer asks to wait. RFC 9110 §10.2.3: it says how many, or until when. That is by Azure's clock, which the answer
/// tells too.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u32> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let asked: &str = text(RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // RFC 9110 §5.6.7: what is too long for a number is the largest there is.
        return Some(asked.parse().unwrap_or(u32::MAX));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok()?.try_into().ok();
    let until: Timestamp = date(asked)?;
    let seconds = until.as_second() - text(DATE).and_then(date).unwrap_or(now).as_second();
    Some(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}

/// Whether no two answers have the same value of a field.
pub fn is_unique(name: &HeaderName) -> bool {
    UNIQUE.contains(name)
}

/// The same name, in memory that is there anyway if it can be.
pub fn lasting(name: &HeaderName) -> HeaderName {
    UNIQUE.iter().find(|known| *known == name).unwrap_or(name).clone()
}

/// What an app's request said, without what showed who it is. Nothing of it can be read again but what may
/// reach Azure, and that is sorted out only where Azure is asked.
#[derive(Clone)]
pub struct Heard {
    headers: HeaderMap,
    version: Version,
    name: Name,
}

/// What a request is known by where its app has not named it, and its trace where it has none. Numbers are cheap and words are not, so that
/// they are written only where somebody reads them.
///
/// Every log line and every call to Azure can be found by the name. Azure documents `client-request-id`, and its SDKs send `x-ms-client-request-id`.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    id: Uuid,
    trace: Uuid,
    parent: Uuid,
}

impl Name {
    /// One that no other request has.
    pub fn random() -> Self {
        Self { id: Uuid::new_v4(), trace: Uuid::new_v4(), parent: Uuid::new_v4() }
    }

    /// The name that its app gave a request with these fields.
    pub fn given(headers: &HeaderMap) -> Option<&HeaderValue> {
        headers.get(&CLIENT_REQUEST_ID).or_else(|| headers.get(&MS_CLIENT_REQUEST_ID))
    }

    /// The name of one that has none.
    pub fn written(&self) -> HeaderValue {
        header_value(&self.id.to_string())
    }

    fn traceparent(&self) -> HeaderValue {
        let (trace, parent) = (self.trace.simple(), self.parent.as_u64_pair().0);
        header_value(&format!("00-{trace}-{parent:016x}-00"))
    }
}

impl Heard {
    /// Takes the fields of a request that came in this version of HTTP and is known by this name, and forgets its token.
    pub fn new(mut headers: HeaderMap, version: Version, name: Name) -> Self {
        headers.remove(SUBSCRIPTION_KEY);
        headers.remove(AUTHORIZATION);
        Self { headers, version, name }
    }

    /// The request's name, for the log.
    pub fn request_id(&self) -> HeaderValue {
        Name::given(&self.headers).cloned().unwrap_or_else(|| self.name.written())
    }

    /// Continues the trace that the app has begun, or begins one: a span, where somebody collects it.
    pub fn begin_trace(&mut self, name: &'static str) -> Option<Span> {
        if !is_collected() {
            return None;
        }
        if traceparent(&self.headers).is_none() {
            self.headers.remove(&TRACESTATE);
            self.headers.remove(&TRACEPARENT);
        }
        let span = Span::begin(Kind::Server, name, &mut self.headers);
        if !self.headers.contains_key(TRACEPARENT) {
            self.headers.insert(TRACEPARENT, self.name.traceparent());
        }
        span
    }

    /// A span of the gateway's own work in that trace.
    pub fn span(&mut self, name: &'static str) -> Option<Span> {
        Span::begin(Kind::Internal, name, &mut self.headers)
    }

    /// Its trace, as `traceparent` has it.
    pub fn trace(&self) -> HeaderValue {
        traceparent(&self.headers).cloned().unwrap_or_else(|| self.name.traceparent())
    }

    /// The fields that Azure is sent.
    pub fn towards_azure(&self) -> HeaderMap {
        let mut headers = towards_azure(&self.headers, self.version);
        if traceparent(&self.headers).is_none() {
            headers.remove(&TRACESTATE);
        }
        headers.insert(TRACEPARENT, self.trace());
        let id = self.request_id();
        if !headers.contains_key(&MS_CLIENT_REQUEST_ID) {
            headers.insert(MS_CLIENT_REQUEST_ID, id.clone());
        }
        headers.insert(CLIENT_REQUEST_ID, id);
        headers
    }

    /// The fields that Azure is sent for an answer that others are told too: who asked first must not decide what all get.
    pub fn towards_azure_for_all(&self) -> HeaderMap {
        let mut headers = self.towards_azure();
        if headers.contains_key(ACCEPT) {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        }
        headers.remove(ACCEPT_LANGUAGE);
        headers.remove(CONTENT_TYPE);
        let long = headers.iter().filter(|(_, value)| value.len() > LONGEST_FOR_ALL);
        let long: Vec<_> = long.map(|(name, _)| name.clone()).collect();
        long.iter().for_each(|name| drop(headers.remove(name)));
        headers
    }

    /// The same for a question of the gateway's own, with a name and a trace of its own.
    pub fn renamed(&self) -> Self {
        let Self { mut headers, version, name: _ } = self.clone();
        for named in [CLIENT_REQUEST_ID, MS_CLIENT_REQUEST_ID, TRACEPARENT, TRACESTATE] {
            headers.remove(named);
        }
        Self { headers, version, name: Name::random() }
    }
}

/// What an app sends is its own, and not for logs.
impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heard").field("fields", &self.headers.len()).finish()
    }
}

/// The trace that an app has begun, if it is one. RFC 9110 §7.6.1: what Connection names is for the gateway alone.
fn traceparent(headers: &HeaderMap) -> Option<&HeaderValue> {
    let trace = headers.get(&TRACEPARENT).filter(|value| is_traceparent(value.as_bytes()));
    trace.filter(|_| !is_named(headers, &TRACEPARENT))
}

/// The fields that Azure is sent for a request with these fields, which came in this version of HTTP.
fn towards_azure(from: &HeaderMap, version: Version) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    let connection = from.contains_key(CONNECTION);
    for (name, value) in from {
        // RFC 9110 §7.6.1: what Connection names is for the gateway alone.
        if TOWARDS_AZURE.contains(name) && !(connection && is_named(from, name)) {
            headers.append(name, value.clone());
        }
    }
    headers.append(VIA, via(version));
    // Answers are read, so none should be compressed; RFC 9110 §12.5.3 says how to ask for that.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

/// RFC 9110 §7.6.3: a gateway adds itself to `Via` on what it forwards, with the version that it received.
const fn via(version: Version) -> HeaderValue {
    match version {
        Version::HTTP_2 => HeaderValue::from_static("2.0 livegate"),
        Version::HTTP_10 => HeaderValue::from_static("1.0 livegate"),
        _ => HeaderValue::from_static("1.1 livegate"),
    }
}

/// Takes out of an answer what must not reach the app.
pub fn towards_app(headers: &mut HeaderMap) {
    let options = connection_options(headers);
    let named: Vec<_> = options.filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    let stays = headers.keys().filter(|name| NOT_TOWARDS_APP.contains(name)).cloned();
    for name in named.into_iter().chain(stays.collect::<Vec<_>>()) {
        headers.remove(name);
    }
}

/// Bytes, since one option that is no name must not hide the others.
fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn is_named(headers: &HeaderMap, name: &HeaderName) -> bool {
    connection_options(headers).any(|option| option.eq_ignore_ascii_case(name.as_ref()))
}

/// W3C Trace Context §3.2: version, trace id, parent id and flags, in lower-case hex; neither id all zero.
fn is_traceparent(value: &[u8]) -> bool {
    let parts: Vec<_> = value.split(|byte| *byte == b'-').collect();
    let hex =
        |part: &[u8]| part.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    match parts.as_slice() {
        [version, trace, parent, flags] => {
            parts.iter().map(|part| part.len()).eq([2, 32, 16, 2])
                && [version, trace, parent, flags].into_iter().all(|part| hex(part))
                && *version != b"ff"
                && !zero(trace)
                && !zero(parent)
        }
        _ => false,
    }
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests;
