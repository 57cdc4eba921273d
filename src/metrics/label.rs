//! The closed sets that labels take their values from.
//!
//! A label that takes a value from here cannot take one from the wire, and a series whose labels all do is found by its place.

use http::{Method as HttpMethod, StatusCode};

use crate::liveness::{Operation, Route as Granted};

/// A label with a closed set of values.
pub trait Label: Copy + 'static {
    /// How many values there are.
    const COUNT: usize;
    /// The value's place among them.
    fn place(self) -> usize;
    /// The value.
    fn as_str(self) -> &'static str;
}

macro_rules! labels {
    ($($(#[doc = $what:literal])+ $label:ident { $($value:ident = $word:literal,)+ })+) => { $(
        $(#[doc = $what])+
        #[expect(missing_docs, reason = "a value's name is the word for it")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $label { $($value),+ }

        impl $label {
            /// The value.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }

        impl Label for $label {
            const COUNT: usize = [$($word),+].len();

            fn place(self) -> usize {
                self as usize
            }

            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }
    )+ };
}

labels! {
    /// What a request asks for.
    Route {
        Session = "session",
        SessionVerify = "session_verify",
        Audit = "audit",
        AuditVerify = "audit_verify",
        Create = "session_create",
        Delete = "session_delete",
        List = "session_list",
        Image = "session_image",
        ClientDigest = "client_digest",
        Probe = "probe",
        Other = "other",
    }

    /// The method of a request.
    Method {
        Get = "GET",
        Post = "POST",
        Put = "PUT",
        Delete = "DELETE",
        Other = "other",
    }

    /// The status of an answer: the ones that matter by themselves, the rest as one.
    Code {
        Ok = "200",
        NoContent = "204",
        NotModified = "304",
        BadRequest = "400",
        Unauthorized = "401",
        Forbidden = "403",
        NotFound = "404",
        Conflict = "409",
        PreconditionFailed = "412",
        ContentTooLarge = "413",
        TooManyRequests = "429",
        InternalServerError = "500",
        BadGateway = "502",
        ServiceUnavailable = "503",
        GatewayTimeout = "504",
        Other = "other",
    }

    /// The class of a status.
    Class {
        Informational = "1xx",
        Successful = "2xx",
        Redirection = "3xx",
        ClientError = "4xx",
        ServerError = "5xx",
    }

    /// The part that the memory had in an answer.
    Cache {
        Hit = "hit",
        Miss = "miss",
        Collapsed = "collapsed",
        Shared = "shared",
        Bypass = "bypass",
        Disabled = "disabled",
        None = "none",
    }

    /// How a caller shows who it is.
    Showing {
        Token = "token",
        None = "none",
    }

    /// What came of that.
    Known {
        Ok = "ok",
        Missing = "missing",
        Unknown = "unknown",
        Route = "route",
    }

    /// What the memory did with an answer of Azure's.
    Store {
        Stored = "stored",
        NotTerminal = "not_terminal",
        UnknownState = "unknown_state",
        Undecodable = "undecodable",
        TooLarge = "too_large",
        NoStore = "no_store",
        ErrorStatus = "error_status",
    }
}

impl Route {
    /// What is asked of Azure.
    pub const fn new(granted: Granted, operation: Option<Operation>) -> Self {
        match (granted, operation) {
            (Granted::Session, Some(Operation::LivenessWithVerify)) => Self::SessionVerify,
            (Granted::Session, _) => Self::Session,
            (Granted::Audit, Some(Operation::LivenessWithVerify)) => Self::AuditVerify,
            (Granted::Audit, _) => Self::Audit,
            (Granted::Create, _) => Self::Create,
            (Granted::Delete, _) => Self::Delete,
            (Granted::List, _) => Self::List,
            (Granted::Image, _) => Self::Image,
        }
    }
}

impl Method {
    /// The method of a request.
    pub fn new(method: &HttpMethod) -> Self {
        match *method {
            HttpMethod::GET => Self::Get,
            HttpMethod::POST => Self::Post,
            HttpMethod::PUT => Self::Put,
            HttpMethod::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

impl Code {
    /// The status of an answer.
    pub fn new(status: StatusCode) -> Self {
        match status.as_u16() {
            200 => Self::Ok,
            204 => Self::NoContent,
            304 => Self::NotModified,
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::Conflict,
            412 => Self::PreconditionFailed,
            413 => Self::ContentTooLarge,
            429 => Self::TooManyRequests,
            500 => Self::InternalServerError,
            502 => Self::BadGateway,
            503 => Self::ServiceUnavailable,
            504 => Self::GatewayTimeout,
            _ => Self::Other,
        }
    }
}

impl Class {
    /// The class of a status.
    pub fn new(status: StatusCode) -> Self {
        match status.as_u16() {
            100..=199 => Self::Informational,
            200..=299 => Self::Successful,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_itself_or_other() {
        let told = |status| Code::new(StatusCode::from_u16(status).unwrap()).as_str();
        for status in [200, 204, 304, 400, 401, 403, 404, 409, 412, 413, 429, 500, 502, 503, 504] {
            assert_eq!(told(status), status.to_string());
        }
        assert_eq!((told(201), told(418), told(599)), ("other", "other", "other"));
        let class = |status| Class::new(StatusCode::from_u16(status).unwrap()).as_str();
        assert_eq!((class(101), class(204), class(304)), ("1xx", "2xx", "3xx"));
        assert_eq!((class(499), class(500), class(999)), ("4xx", "5xx", "5xx"));
    }

    #[test]
    fn each_value_has_its_own_place() {
        assert_eq!((Route::Session.place(), Route::Other.place() + 1), (0, Route::COUNT));
        assert_eq!((Code::Ok.place(), Code::Other.place() + 1), (0, Code::COUNT));
    }
}
