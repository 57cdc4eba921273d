//! Azure's errors, in the three forms that they are known to come in.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// An answer before it goes on the wire.
pub(super) type Reply = Response<Bytes>;

pub(super) const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

const DENIED: &str = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.";
const DENIED_BY_FACE: &str = "Access denied due to invalid subscription key. Make sure you are subscribed to an API you are trying to call and provide the right key.";

/// Who speaks, and so what the body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// The Face service: `code` is a word, repeated in `x-ms-error-code`.
    #[default]
    Face,
    /// What stands in front of it: `code` is the status as text.
    Apim,
    /// The same where it limits and counts: `statusCode` as a number and no `code`.
    ApimNoCode,
}

/// Something that Azure refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) form: Form,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after: Option<String>,
}

impl Failure {
    pub(super) fn face(status: StatusCode, code: &str, message: &str) -> Self {
        Self {
            status,
            form: Form::Face,
            code: code.into(),
            message: message.into(),
            retry_after: None,
        }
    }

    fn apim(status: StatusCode, form: Form, message: &str) -> Self {
        let code = status.as_str();
        Self { form, ..Self::face(status, code, message) }
    }

    pub(super) fn bad_argument(message: &str) -> Self {
        Self::face(StatusCode::BAD_REQUEST, "BadArgument", message)
    }

    pub(super) fn session_not_found() -> Self {
        let message = "Session ID is not found. The session ID is expired or does not exist.";
        Self::face(StatusCode::NOT_FOUND, "SessionNotFound", message)
    }

    pub(super) fn no_such_path() -> Self {
        Self::apim(StatusCode::NOT_FOUND, Form::Apim, "Resource not found")
    }

    pub(super) fn unauthorized(form: Form) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        match form {
            Form::Face => Self::face(status, "Unspecified", DENIED_BY_FACE),
            Form::Apim | Form::ApimNoCode => Self::apim(status, form, DENIED),
        }
    }

    pub(super) fn throttled(form: Form, seconds: u64, retry_after: bool) -> Self {
        let message = match form {
            Form::ApimNoCode => {
                format!("Rate limit is exceeded. Try again in {seconds} seconds.")
            }
            Form::Face | Form::Apim => "Rate limit is exceeded.".to_owned(),
        };
        Self {
            retry_after: retry_after.then(|| seconds.to_string()),
            ..Self::apim(StatusCode::TOO_MANY_REQUESTS, form, &message)
        }
    }

    /// What Azure is known, or likely, to say with a status.
    pub(super) fn with_status(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::bad_argument("Request body is invalid."),
            401 => Self::unauthorized(Form::Apim),
            403 => Self::face(
                status,
                "AuthenticationTypeDisabled",
                "Key based authentication is disabled for this resource.",
            ),
            404 => Self::session_not_found(),
            409 => Self::face(
                status,
                "ConcurrentOperationConflict",
                "There is a conflict operation on resource session, please try later.",
            ),
            415 => Self::face(status, "BadArgument", "Invalid Media Type."),
            429 => Self::throttled(Form::ApimNoCode, 26, false),
            500 => Self::face(status, "Unspecified", "Internal server error"),
            _ => {
                let reason = status.canonical_reason().unwrap_or("Emulated failure");
                Self::apim(status, Form::Apim, reason)
            }
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let Self { code, message, .. } = self;
        let body = match self.form {
            Form::ApimNoCode => {
                json!({"error": {"statusCode": self.status.as_u16(), "message": message}})
            }
            Form::Face | Form::Apim => json!({"error": {"code": code, "message": message}}),
        };
        let mut reply = json_reply(self.status, &body);
        if self.form == Form::Face {
            set(&mut reply, ERROR_CODE, code);
        }
        if let Some(retry_after) = &self.retry_after {
            set(&mut reply, RETRY_AFTER, retry_after);
        }
        reply
    }
}

/// An answer with a JSON body.
pub(super) fn json_reply(status: StatusCode, body: &impl Serialize) -> Reply {
    raw_json(status, serde_json::to_vec(body).unwrap_or_default())
}

/// An answer whose body is JSON already.
pub(super) fn raw_json(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}

/// Sets a header whose value may turn out not to be one: then it is left out.
pub(super) fn set(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: &Reply) -> &str {
        std::str::from_utf8(reply.body()).unwrap()
    }

    #[test]
    fn only_faces_own_errors_repeat_the_code_in_a_header() {
        let face = Failure::session_not_found().reply();
        assert_eq!(face.headers()[ERROR_CODE], "SessionNotFound");
        let apim = Failure::unauthorized(Form::Apim).reply();
        assert!(!apim.headers().contains_key(ERROR_CODE));
        assert!(text(&apim).starts_with(r#"{"error":{"code":"401","#));
        let face = Failure::unauthorized(Form::Face).reply();
        assert_eq!(face.headers()[ERROR_CODE], "Unspecified");
    }

    #[test]
    fn a_throttle_names_its_seconds_where_azure_does() {
        let bare = Failure::throttled(Form::ApimNoCode, 7, false).reply();
        assert_eq!(
            text(&bare),
            r#"{"error":{"message":"Rate limit is exceeded. Try again in 7 seconds.","statusCode":429}}"#
        );
        assert!(!bare.headers().contains_key(RETRY_AFTER));
        let full = Failure::throttled(Form::Apim, 7, true).reply();
        assert_eq!(full.headers()[RETRY_AFTER], "7");
        assert!(text(&full).contains(r#""code":"429""#));
    }
}
