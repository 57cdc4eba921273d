//! What an answer of Azure's says about the authority that was shown.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Deserialize;

use crate::body::Source;
use crate::metrics::UpstreamMetrics;
use crate::metrics::waits::waiting;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Longest error that is looked at, in bytes.
const LONGEST_ERROR: usize = 8 << 10;

/// What became of the authority that a request carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// It was good: Azure did what was asked, or the Face service itself says why not.
    Accepted,
    /// It was refused.
    Refused(Refusal),
    /// The resource's quota is used up. Both keys share it.
    Throttled,
    /// The answer says nothing about it, or there is none.
    Unknown,
}

/// How authority is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 401: all published samples of a wrong key.
    Unauthorized,
    /// 403 with the code `AuthenticationTypeDisabled`: local authentication is switched off.
    Disabled,
}

impl Refusal {
    /// The value of the metric label `reason`.
    pub(super) const fn status(self) -> &'static str {
        match self {
            Self::Unauthorized => "401",
            Self::Disabled => "403",
        }
    }

    /// The value of the metric label `reason` of retries.
    pub(super) const fn retry(self) -> &'static str {
        match self {
            Self::Unauthorized => "key_401",
            Self::Disabled => "key_403",
        }
    }
}

/// Reads an answer, which passes on as it is. An error's code stands in a header, or in the body alone.
pub(super) async fn find(
    mut answer: Response<Source>,
    metrics: &UpstreamMetrics,
) -> (Finding, Response<Source>) {
    let status = answer.status();
    let named = matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
        && !answer.headers().contains_key(ERROR_CODE);
    let content =
        if named { waiting(answer.body_mut().peek(LONGEST_ERROR)).await } else { Vec::new() };
    let code = code(answer.headers(), &content);
    if status.is_client_error() || status.is_server_error() {
        metrics.refused(status, code.as_deref());
    }
    (finding(status, answer.headers(), code.as_deref()), answer)
}

fn finding(status: StatusCode, headers: &HeaderMap, code: Option<&str>) -> Finding {
    match status {
        StatusCode::UNAUTHORIZED => Finding::Refused(Refusal::Unauthorized),
        // Any other 403 (network rules, volume quota, approval) has nothing to do with the key.
        StatusCode::FORBIDDEN => match code {
            Some("AuthenticationTypeDisabled") => Finding::Refused(Refusal::Disabled),
            _ => Finding::Unknown,
        },
        StatusCode::TOO_MANY_REQUESTS => Finding::Throttled,
        // Who stands in front of the service answers paths that it does not know before it looks at the key, in its own words. A page
        // is nobody's word who knows of keys.
        StatusCode::NOT_FOUND if code != Some("404") && !is_page(headers) => Finding::Accepted,
        status if status.is_success() => Finding::Accepted,
        status if status.is_client_error() && headers.contains_key(ERROR_CODE) => Finding::Accepted,
        _ => Finding::Unknown,
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"))
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    error: Code<'a>,
}

#[derive(Deserialize)]
struct Code<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

fn code(headers: &HeaderMap, content: &[u8]) -> Option<String> {
    let header = headers.get(ERROR_CODE).and_then(|code| code.to_str().ok()).map(str::to_owned);
    let told = || serde_json::from_slice::<Failure<'_>>(content).ok();
    header.or_else(|| told().map(|failure| failure.error.code.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_key_is_held_against_it() {
        let refused = Finding::Refused(Refusal::Unauthorized);
        let disabled = Finding::Refused(Refusal::Disabled);
        let body = |code: &str| format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"m\"}}}}");
        for (status, header, content, expected) in [
            (200, "", String::new(), Finding::Accepted),
            (401, "", body("401"), refused),
            (401, "Unspecified", String::new(), refused),
            (403, "AuthenticationTypeDisabled", String::new(), disabled),
            (403, "", body("AuthenticationTypeDisabled"), disabled),
            (403, "", body("403"), Finding::Unknown),
            (403, "UnsupportedFeature", String::new(), Finding::Unknown),
            (403, "UnsupportedFeature", body("AuthenticationTypeDisabled"), Finding::Unknown),
            (403, "", "{\"error\":{\"statusCode\":403}}".to_owned(), Finding::Unknown),
            (404, "SessionNotFound", String::new(), Finding::Accepted),
            (404, "", body("SessionNotFound"), Finding::Accepted),
            (404, "", body("404"), Finding::Unknown),
            (404, "", "gone".to_owned(), Finding::Accepted),
            (400, "BadArgument", String::new(), Finding::Accepted),
            (400, "", body("BadArgument"), Finding::Unknown),
            (429, "", String::new(), Finding::Throttled),
            (500, "Unspecified", String::new(), Finding::Unknown),
            (302, "", String::new(), Finding::Unknown),
        ] {
            let mut headers = HeaderMap::new();
            if !header.is_empty() {
                headers.insert(ERROR_CODE, HeaderValue::from_str(header).unwrap());
            }
            let status = StatusCode::from_u16(status).unwrap();
            let found = finding(status, &headers, code(&headers, content.as_bytes()).as_deref());
            assert_eq!(found, expected, "{status} {header} {content}");
        }
    }

    #[test]
    fn a_page_proves_no_key() {
        let found = |kind: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            finding(StatusCode::NOT_FOUND, &headers, None)
        };
        assert_eq!(found("Text/HTML; charset=utf-8"), Finding::Unknown);
        assert_eq!(found("application/json"), Finding::Accepted);
    }
}
