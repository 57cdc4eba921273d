//! Which header fields pass, in either direction.
//!
//! Towards Azure a field passes only if it is on the list: nothing that carries authority can slip through by
//! being new. Towards the app everything passes but what is listed here, since Azure's answers reach the app whole.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ALT_SVC, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE,
    HeaderMap, HeaderName, HeaderValue, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT, VIA, WWW_AUTHENTICATE,
};
use uuid::Uuid;

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const MS_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// RFC 9110 §7.6.3: a gateway adds itself to `Via` on what it forwards.
const VIA_LIVEGATE: HeaderValue = HeaderValue::from_static("1.1 livegate");

const TOWARDS_AZURE: [HeaderName; 6] = [
    ACCEPT,
    ACCEPT_LANGUAGE,
    CONTENT_TYPE,
    USER_AGENT,
    HeaderName::from_static("x-ms-azsdk-telemetry"),
    HeaderName::from_static("x-ms-useragent"),
];

/// Fields of an answer that stay with the gateway.
const NOT_TOWARDS_APP: [HeaderName; 18] = [
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
];

/// The fields that Azure is sent for a request with these fields.
pub fn towards_azure(from: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for name in &TOWARDS_AZURE {
        if let Some(value) = from.get(name)
            && !is_named_by_connection(from, name)
        {
            headers.insert(name, value.clone());
        }
    }
    // Azure documents `client-request-id`; its SDKs send the other name. Both are made where absent.
    let sdk = from.get(&MS_CLIENT_REQUEST_ID).cloned();
    let documented = from.get(&CLIENT_REQUEST_ID).cloned();
    let id = documented
        .or_else(|| sdk.clone())
        .unwrap_or_else(|| header_value(&Uuid::new_v4().to_string()));
    headers.insert(MS_CLIENT_REQUEST_ID, sdk.unwrap_or_else(|| id.clone()));
    headers.insert(CLIENT_REQUEST_ID, id);
    let trace = from.get(&TRACEPARENT).filter(|value| is_traceparent(value.as_bytes()));
    if let (Some(_), Some(state)) = (trace, from.get(&TRACESTATE)) {
        headers.insert(TRACESTATE, state.clone());
    }
    headers.insert(TRACEPARENT, trace.cloned().unwrap_or_else(new_traceparent));
    headers.insert(VIA, VIA_LIVEGATE);
    // Answers are read, so none should be compressed; RFC 9110 §12.5.3 says how to ask for that.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}

/// Takes out of an answer what must not reach the app.
pub fn towards_app(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        connection_options(headers).filter_map(|name| name.parse().ok()).collect();
    for name in named.iter().chain(&NOT_TOWARDS_APP) {
        headers.remove(name);
    }
}

fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn is_named_by_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    connection_options(headers).any(|option| option.eq_ignore_ascii_case(name.as_str()))
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

fn new_traceparent() -> HeaderValue {
    let (trace, parent) = (Uuid::new_v4().simple(), Uuid::new_v4().as_u64_pair().0);
    header_value(&format!("00-{trace}-{parent:016x}-00"))
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn nothing_that_carries_authority_reaches_azure() {
        let sent = towards_azure(&map(&[
            ("ocp-apim-subscription-key", "token"),
            ("authorization", "Bearer token"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-ms-authorization-auxiliary", "Bearer x"),
            ("proxy-authorization", "Basic x"),
            ("liveness-client-digest", "ab"),
            ("prefer", "wait=5"),
            ("accept-encoding", "gzip"),
            ("connection", "close, accept-language"),
            ("accept-language", "de"),
            ("accept", "application/json"),
            ("content-type", "application/json"),
        ]));
        let mut names: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "accept-encoding",
                "client-request-id",
                "content-type",
                "traceparent",
                "via",
                "x-ms-client-request-id"
            ]
        );
    }

    #[test]
    fn the_sdks_request_id_is_copied_to_the_documented_name() {
        let sent = towards_azure(&map(&[("x-ms-client-request-id", "one")]));
        assert_eq!(
            (&sent["client-request-id"], &sent["x-ms-client-request-id"]),
            (&"one".parse().unwrap(), &"one".parse().unwrap())
        );
        let sent =
            towards_azure(&map(&[("x-ms-client-request-id", "one"), ("client-request-id", "two")]));
        assert_eq!(
            (&sent["client-request-id"], &sent["x-ms-client-request-id"]),
            (&"two".parse().unwrap(), &"one".parse().unwrap())
        );
        let made = towards_azure(&HeaderMap::new());
        assert!(Uuid::try_parse_ascii(made["client-request-id"].as_bytes()).is_ok());
    }

    #[test]
    fn a_trace_is_passed_on_and_made_where_it_is_none() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let sent = towards_azure(&map(&[("traceparent", good), ("tracestate", "a=1")]));
        assert_eq!(
            (&sent["traceparent"], &sent["tracestate"]),
            (&good.parse().unwrap(), &"a=1".parse().unwrap())
        );
        for bad in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            let sent = towards_azure(&map(&[("traceparent", bad), ("tracestate", "a=1")]));
            assert!(is_traceparent(sent["traceparent"].as_bytes()));
            assert!(!sent.contains_key("tracestate"));
        }
    }

    #[test]
    fn an_answer_passes_but_for_what_belongs_to_the_connection_or_leads_away() {
        let mut headers = map(&[
            ("apim-request-id", "1"),
            ("x-ms-error-code", "SessionNotFound"),
            ("retry-after", "3"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=b"),
            ("alt-svc", "h3"),
            ("x-ms-original-url", "https://face"),
            ("location", "https://face"),
        ]);
        towards_app(&mut headers);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["apim-request-id", "retry-after", "x-ms-error-code"]);
    }
}
