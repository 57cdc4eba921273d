//! What can go wrong with an exchange, and how it is told: one enum, one answer for each.
//!
//! These are the gateway's own errors. What Azure says, 404 and 429 included, is an answer and not an error.

use bytes::Bytes;
use http::StatusCode;

use crate::liveness::Route;
use crate::liveness::verdict::Verdict;
use crate::quota::HeldBack;

/// An exchange that livegate itself must answer, in the shape of Azure's own errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request is malformed: a header or the body. The text tells the app what.
    #[error("{0}")]
    BadArgument(&'static str),
    /// An id that cannot be one. The text is the rule for it.
    #[error("{0}")]
    BadSessionId(&'static str),
    /// `start` or `top` is out of bounds, or there twice. The text is the rule for it.
    #[error("{0}")]
    BadQuery(&'static str),
    /// No app token, or one that nobody has.
    #[error(
        "Access denied: send a valid app token of this gateway in Ocp-Apim-Subscription-Key or as a bearer token."
    )]
    Unauthorized,
    /// The app's token is good, but it was not granted this route.
    #[error("This app was not granted the route '{}'.", .0.as_str())]
    Forbidden(Route),
    /// No such path, with a hint for those that people get wrong.
    #[error("Resource not found.{}{}", if .0.is_some() { " " } else { "" }, .0.unwrap_or_default())]
    NoSuchPath(Option<&'static str>),
    /// The path exists but not for this method; the methods that it has.
    #[error("This path has no such method. It has {0}.")]
    MethodNotAllowed(&'static str),
    /// The request's path and query are longer than the gateway reads.
    #[error("The request's path and query are longer than this gateway reads.")]
    UriTooLong,
    /// The request has more header fields than the gateway reads.
    #[error("The request has more header fields than this gateway reads.")]
    TooManyHeaders,
    /// The request's body says that it is longer than the gateway lets through.
    #[error("The request's body is longer than this gateway allows.")]
    LengthTooLarge,
    /// The request's body turned out to be longer than that.
    #[error("The request's body is longer than this gateway allows.")]
    BodyTooLarge,
    /// The request's body did not arrive in time.
    #[error("The request's body did not arrive in time.")]
    BodyTooSlow,
    /// The request's body broke off. Nobody is there to hear it, but it is counted.
    #[error("The request's body broke off.")]
    BodyBroken,
    /// Another digest was registered for the same attempt.
    #[error("Another digest was registered for this attempt, and the first one stands.")]
    DigestConflict,
    /// What the app's client reported contradicts what Azure tells, and the app's mode refuses that.
    #[error("{}", .0.contradiction())]
    DigestMismatch(Verdict),
    /// The app reported nothing, and its mode requires a digest.
    #[error(
        "This app must give the digest that its client reported, with the request or before it."
    )]
    DigestRequired,
    /// Azure refused the key that the gateway holds.
    #[error("The Face resource refused the gateway's key.")]
    UpstreamUnauthorized,
    /// Azure's answer was broken, cut off or too long.
    #[error("The Face resource's answer could not be used: {}.", .0.sentence())]
    UpstreamInvalidResponse(Defect),
    /// The gateway holds no key for the resource.
    #[error("The gateway has no usable key for the Face resource.")]
    NoKey,
    /// So many questions to Azure are on their way that no other is begun.
    #[error("Too many questions to the Face resource are on their way.")]
    TooManyQuestions,
    /// Azure could not be reached.
    #[error("The Face resource could not be reached: {}.", .0.sentence())]
    Unreachable(Unreachable),
    /// Azure has not answered for a while, and is not asked for so many seconds.
    #[error("The Face resource has not answered for a while. Try again in {0} seconds.")]
    CircuitOpen(u32),
    /// Azure is not asked now, for want of quota or because it asked for that.
    #[error("{} Try again in {} seconds.", .0.sentence(), .0.seconds())]
    HeldBack(HeldBack),
    /// The app asks more than it was granted; after so many seconds it may again.
    #[error("This app asks more than it was granted. Try again in {0} seconds.")]
    AppLimit(u32),
    /// So many requests are under way that no other is taken.
    #[error("The gateway has as many requests under way as it takes.")]
    Overloaded,
    /// Azure did not answer in time.
    #[error("The Face resource did not answer in time.")]
    UpstreamTimeout,
    /// A defect of the gateway: a request's task panicked.
    #[error("The gateway failed on this request.")]
    Internal,
}

/// What was wrong with Azure's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// It broke off before its end.
    Incomplete,
    /// It is longer than the gateway takes.
    TooLarge,
    /// It is encoded in a way that was not asked for and cannot be undone.
    Encoding,
    /// It is not HTTP.
    NotHttp,
    /// It is no session, and something was to be made of it.
    NoSession,
}

impl Defect {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Incomplete => "it broke off before its end",
            Self::TooLarge => "it is longer than this gateway takes",
            Self::Encoding => "its encoding cannot be undone",
            Self::NotHttp => "it is not HTTP",
            Self::NoSession => "it is no session that could be read",
        }
    }
}

/// At which step Azure could not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// Its name did not resolve.
    Dns,
    /// Nobody listens there.
    Refused,
    /// No TCP connection, for another reason.
    Connect,
    /// No connection in time.
    ConnectTimeout,
    /// A certificate that is not trusted, or not that host's.
    Certificate,
    /// No TLS, for another reason.
    Tls,
    /// The connection broke before an answer began.
    Reset,
    /// The same, with a connection that had served before.
    Stale,
}

impl Unreachable {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Dns => "its name does not resolve",
            Self::Refused => "nobody listens there",
            Self::Connect => "it accepts no connection",
            Self::ConnectTimeout => "no connection in time",
            Self::Certificate => "its certificate is not trusted",
            Self::Tls => "no TLS connection",
            Self::Reset | Self::Stale => "the connection broke before it answered",
        }
    }
}

/// Seconds that an app is asked to wait where the gateway cannot reach Azure. Small: nothing is known of how
/// long it lasts, and the SDKs' own back-off comes on top.
const RETRY_AFTER: u32 = 1;

impl Error {
    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadArgument(_) | Self::BadSessionId(_) | Self::BadQuery(_) | Self::BodyBroken => {
                StatusCode::BAD_REQUEST
            }
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NoSuchPath(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::LengthTooLarge | Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::DigestConflict => StatusCode::CONFLICT,
            Self::DigestMismatch(_) => StatusCode::PRECONDITION_FAILED,
            Self::DigestRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::UpstreamUnauthorized | Self::UpstreamInvalidResponse(_) => {
                StatusCode::BAD_GATEWAY
            }
            Self::NoKey
            | Self::TooManyQuestions
            | Self::Unreachable(_)
            | Self::CircuitOpen(_)
            | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::HeldBack(_) | Self::AppLimit(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code in the body and in `x-ms-error-code`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadArgument(_) | Self::BadSessionId(_) | Self::BadQuery(_) | Self::BodyBroken => {
                "BadArgument"
            }
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden(_) => "Forbidden",
            Self::NoSuchPath(_) => "ResourceNotFound",
            Self::MethodNotAllowed(_) => "MethodNotAllowed",
            Self::TooManyHeaders => "RequestHeaderFieldsTooLarge",
            Self::UriTooLong => "UriTooLong",
            Self::LengthTooLarge | Self::BodyTooLarge => "RequestTooLarge",
            Self::BodyTooSlow => "RequestTimeout",
            Self::DigestConflict => "DigestConflict",
            Self::DigestMismatch(_) => "DigestMismatch",
            Self::DigestRequired => "DigestRequired",
            Self::UpstreamUnauthorized => "UpstreamUnauthorized",
            Self::UpstreamInvalidResponse(_) => "UpstreamInvalidResponse",
            Self::NoKey | Self::TooManyQuestions | Self::Unreachable(_) | Self::CircuitOpen(_) => {
                "UpstreamUnavailable"
            }
            Self::Overloaded => "ServiceUnavailable",
            Self::UpstreamTimeout => "UpstreamTimeout",
            Self::HeldBack(_) | Self::AppLimit(_) => "TooManyRequests",
            Self::Internal => "InternalServerError",
        }
    }

    /// The error type of `Proxy-Status`, where something between the gateway and Azure failed.
    /// RFC 9209 §2.3 names these.
    pub const fn proxy_status(&self) -> Option<&'static str> {
        match self {
            Self::UpstreamUnauthorized | Self::NoKey => Some("proxy_configuration_error"),
            Self::UpstreamInvalidResponse(Defect::Incomplete) => Some("http_response_incomplete"),
            Self::UpstreamInvalidResponse(Defect::TooLarge) => Some("http_response_body_size"),
            Self::UpstreamInvalidResponse(Defect::Encoding) => Some("http_response_content_coding"),
            Self::UpstreamInvalidResponse(Defect::NotHttp) => Some("http_protocol_error"),
            Self::TooManyQuestions => Some("connection_limit_reached"),
            Self::HeldBack(_) => Some("http_request_denied"),
            Self::Unreachable(Unreachable::Dns) => Some("dns_error"),
            Self::Unreachable(Unreachable::Refused) => Some("connection_refused"),
            Self::Unreachable(Unreachable::Connect) | Self::CircuitOpen(_) => {
                Some("destination_unavailable")
            }
            Self::Unreachable(Unreachable::ConnectTimeout) => Some("connection_timeout"),
            Self::Unreachable(Unreachable::Certificate) => Some("tls_certificate_error"),
            Self::Unreachable(Unreachable::Tls) => Some("tls_protocol_error"),
            Self::Unreachable(Unreachable::Reset | Unreachable::Stale) => {
                Some("connection_terminated")
            }
            Self::UpstreamTimeout => Some("http_response_timeout"),
            Self::Internal => Some("proxy_internal_error"),
            _ => None,
        }
    }

    /// The verdict for which it was refused.
    pub const fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::DigestMismatch(verdict) => Some(*verdict),
            Self::DigestRequired => Some(Verdict::Unreported),
            _ => None,
        }
    }

    /// Seconds after which the app may ask again, where the answer says so.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::NoKey | Self::TooManyQuestions | Self::Unreachable(_) | Self::Overloaded => {
                Some(RETRY_AFTER)
            }
            Self::CircuitOpen(seconds) | Self::AppLimit(seconds) => Some(*seconds),
            Self::HeldBack(held) => Some(held.seconds()),
            _ => None,
        }
    }

    /// The value of the metric label `kind`, where Azure gave no usable answer.
    pub const fn upstream_kind(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable(Unreachable::Dns) => Some("dns"),
            Self::Unreachable(Unreachable::Refused | Unreachable::Connect) => Some("connect"),
            Self::Unreachable(Unreachable::ConnectTimeout) => Some("timeout_connect"),
            Self::Unreachable(Unreachable::Certificate | Unreachable::Tls) => Some("tls"),
            Self::Unreachable(Unreachable::Reset | Unreachable::Stale) => Some("reset"),
            Self::UpstreamInvalidResponse(Defect::Incomplete) => Some("incomplete"),
            Self::UpstreamInvalidResponse(Defect::TooLarge) => Some("too_large"),
            Self::UpstreamInvalidResponse(Defect::Encoding) => Some("bad_encoding"),
            Self::UpstreamInvalidResponse(Defect::NotHttp) => Some("other"),
            Self::UpstreamTimeout => Some("timeout_total"),
            _ => None,
        }
    }

    /// All values of the metric label `kind`: those of [`Error::upstream_kind`], and that of an answer which cannot be read.
    pub const UPSTREAM_KINDS: [&str; 11] = [
        "bad_encoding",
        "bad_json",
        "connect",
        "dns",
        "incomplete",
        "other",
        "reset",
        "timeout_connect",
        "timeout_total",
        "tls",
        "too_large",
    ];

    /// The value of the metric label `reason`, where a request was refused before Azure was asked.
    pub const fn rejection(&self) -> Option<&'static str> {
        match self {
            Self::BadArgument(_) => Some("bad_argument"),
            Self::BadSessionId(_) => Some("bad_session_id"),
            Self::BadQuery(_) => Some("bad_query"),
            Self::NoSuchPath(_) => Some("no_route"),
            Self::MethodNotAllowed(_) => Some("method"),
            Self::LengthTooLarge | Self::UriTooLong | Self::TooManyHeaders => Some("too_large"),
            Self::TooManyQuestions | Self::Overloaded => Some("shed"),
            Self::AppLimit(_) => Some("app_limit"),
            _ => None,
        }
    }

    /// The body of its answer. `{"error":{"code":…,"message":…}}` is the shape of the Face service's own
    /// errors.
    pub fn body(&self) -> Bytes {
        body(self.code(), &self.to_string())
    }
}

/// A body in the shape of the Face service's errors.
pub fn body(code: &str, message: &str) -> Bytes {
    serde_json::json!({ "error": { "code": code, "message": message } }).to_string().into()
}
