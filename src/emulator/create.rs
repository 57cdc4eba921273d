//! Reads what a create asks for, as strictly as Azure is known to be and no stricter.

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::derive;
use super::failure::Failure;
use super::multipart::{self, Part};
use super::session::DEFAULT_TOKEN_SECONDS;
use crate::liveness::{ApiVersion, Family, Operation};

const BAD_BODY: &str =
    "Incorrect request body provided. Please check the operation schema and try again.";
const BAD_LIFETIME: &str =
    "Invalid authTokenTimeToLiveInSeconds specified. Must be within 60 to 86400.";
const BAD_DEVICE: &str = "A device correlation ID is required in the request body during session create or session start. Must not be null or empty, and be no more than 64 characters.";
const BAD_MODE: &str =
    "Invalid livenessOperationMode specified. Must be 'Passive' or 'PassiveActive'.";
const BAD_MODE_1_1: &str = "Invalid livenessOperationMode specified. Must be 'Passive'.";

/// What the session is to be.
#[derive(Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) token_seconds: i64,
    pub(super) device_correlation_id: Option<String>,
    pub(super) session_image: bool,
    /// Whether a picture came with the request.
    pub(super) has_image: bool,
    /// The picture's SHA-256, where the request wants it back.
    pub(super) verify_image_hash: Option<String>,
    pub(super) verify_threshold: Option<f64>,
    pub(super) model_version: Option<String>,
    pub(super) expected_client_ip: Option<String>,
    /// How often the device may try, where the version knows of it.
    pub(super) attempts_allowed: Option<usize>,
}

/// The members of a request, whether they came as JSON or as the parts of a form.
struct Fields(Map<String, Value>);

/// Reads a create.
pub(super) fn read(
    version: ApiVersion,
    operation: Operation,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Wish, Failure> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let ga = version.family() == Family::Ga;
    let with_verify = operation == Operation::LivenessWithVerify;
    if media.eq_ignore_ascii_case("application/json") && !(ga && with_verify) {
        return wish(version, &Fields(object(body)?), None);
    }
    if media.eq_ignore_ascii_case("multipart/form-data") && with_verify {
        let boundary = multipart::boundary(content_type).ok_or_else(bad_body)?;
        let parts = multipart::parts(body, boundary).ok_or_else(bad_body)?;
        let image = find(&parts, "verifyImage").filter(|image| image.has_file_name);
        let image = image.filter(|image| !image.content.is_empty());
        let image = image.ok_or_else(bad_body)?;
        return wish(version, &Fields(fields(&parts)?), Some(image.content));
    }
    Err(Failure::face(StatusCode::UNSUPPORTED_MEDIA_TYPE, "BadArgument", "Invalid Media Type."))
}

fn wish(version: ApiVersion, fields: &Fields, image: Option<&[u8]>) -> Result<Wish, Failure> {
    check_mode(version, fields)?;
    let token_seconds = fields.integer("authTokenTimeToLiveInSeconds").and_then(|seconds| {
        let seconds = seconds.unwrap_or(DEFAULT_TOKEN_SECONDS);
        (60..=86400).contains(&seconds).then_some(seconds)
    });
    let token_seconds = token_seconds.ok_or_else(|| bad("InvalidTokenLifetime", BAD_LIFETIME))?;
    let knows_attempts = version == ApiVersion::V1_3Preview1;
    let attempts = match fields.integer("numberOfClientAttemptsAllowed") {
        _ if !knows_attempts => None,
        Some(count) => Some(count.unwrap_or(1)),
        None => return Err(bad_body()),
    };
    if attempts.is_some_and(|count| !(1..=3).contains(&count)) {
        return Err(bad_body());
    }
    let threshold = fields.number("verifyConfidenceThreshold").ok_or_else(bad_body)?;
    if threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
        return Err(bad_body());
    }
    let returns_hash = fields.flag("returnVerifyImageHash")?;
    let model = if version.family() == Family::Ga {
        "livenessModelVersion"
    } else {
        "livenessSingleModalModel"
    };
    Ok(Wish {
        token_seconds,
        device_correlation_id: device(fields)?,
        session_image: fields.flag("enableSessionImage")? && version.has_images(),
        has_image: image.is_some(),
        verify_image_hash: image.filter(|_| returns_hash).map(derive::sha256_upper),
        verify_threshold: threshold,
        model_version: fields.text(model).ok_or_else(bad_body)?,
        expected_client_ip: fields.text("expectedClientIpAddress").ok_or_else(bad_body)?,
        attempts_allowed: attempts.and_then(|count| usize::try_from(count).ok()),
    })
}

fn check_mode(version: ApiVersion, fields: &Fields) -> Result<(), Failure> {
    let mode = fields.text("livenessOperationMode").flatten().unwrap_or_default();
    let (modes, message): (&[&str], _) = match version {
        ApiVersion::V1_1Preview1 => (&["Passive"], BAD_MODE_1_1),
        _ => (&["Passive", "PassiveActive"], BAD_MODE),
    };
    if modes.iter().any(|known| known.eq_ignore_ascii_case(&mode)) {
        return Ok(());
    }
    Err(bad("InvalidLivenessOperationMode", message))
}

/// The device's id, which must be given or promised.
fn device(fields: &Fields) -> Result<Option<String>, Failure> {
    let refuse = || bad("InvalidDeviceCorrelationId", BAD_DEVICE);
    let promised = fields.flag("deviceCorrelationIdSetInClient")?;
    let id = fields.text("deviceCorrelationId").ok_or_else(refuse)?;
    match &id {
        Some(id) if (1..=64).contains(&id.chars().count()) => {}
        None if promised => {}
        _ => return Err(refuse()),
    }
    Ok(id)
}

/// A form's fields: one part each, or all of them as JSON in `Parameters`.
fn fields(parts: &[Part<'_>]) -> Result<Map<String, Value>, Failure> {
    if let Some(parameters) = find(parts, "Parameters") {
        return object(parameters.content);
    }
    let text = |part: &Part<'_>| {
        let content = std::str::from_utf8(part.content).map_err(|_| bad_body())?;
        Ok((part.name.clone(), Value::from(content.trim())))
    };
    let plain = parts.iter().filter(|part| !part.has_file_name);
    plain.map(text).collect()
}

fn find<'p, 'a>(parts: &'p [Part<'a>], name: &str) -> Option<&'p Part<'a>> {
    parts.iter().find(|part| part.name.eq_ignore_ascii_case(name))
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    serde_json::from_slice(body).map_err(|_| bad_body())
}

pub(super) fn bad_body() -> Failure {
    bad("InvalidRequestBody", BAD_BODY)
}

fn bad(code: &str, message: &str) -> Failure {
    Failure::face(StatusCode::BAD_REQUEST, code, message)
}

/// Each reader answers `None` where the member is of the wrong kind, `Some(None)` where it is absent.
/// Numbers and flags may come as text, as they do in forms and in some of Microsoft's samples.
impl Fields {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<Option<String>> {
        match self.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(_) => None,
        }
    }

    fn integer(&self, name: &str) -> Option<Option<i64>> {
        match self.get(name) {
            None => Some(None),
            Some(Value::String(text)) => text.parse().ok().map(Some),
            Some(value) => value.as_i64().map(Some),
        }
    }

    fn number(&self, name: &str) -> Option<Option<f64>> {
        match self.get(name) {
            None => Some(None),
            Some(Value::String(text)) => text.parse().ok().map(Some),
            Some(value) => value.as_f64().map(Some),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(bad_body()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"livenessOperationMode":"passive","deviceCorrelationId":"d","returnVerifyImageHash":true}"#;
    const FORM: &str = "multipart/form-data; boundary=B";

    fn verify(
        version: ApiVersion,
        content_type: &'static str,
        body: &str,
    ) -> Result<Wish, Failure> {
        let mut headers = HeaderMap::new();
        let value = http::HeaderValue::from_static(content_type);
        headers.insert(header::CONTENT_TYPE, value);
        read(version, Operation::LivenessWithVerify, &headers, body.as_bytes())
    }

    fn form(image: &str, rest: &str) -> String {
        format!(
            "--B\r\nContent-Disposition: form-data; name={image}; filename=a\r\n\r\nabc\r\n{rest}--B--"
        )
    }

    fn field(name: &str, value: &str) -> String {
        format!("--B\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn all_ways_to_bring_the_picture_come_to_the_same() {
        let tutorial = form("VerifyImage", &field("Parameters", JSON));
        let fields = field("livenessOperationMode", "Passive") + &field("deviceCorrelationId", "d");
        let fields = form("verifyImage", &(fields + &field("returnVerifyImageHash", "true")));
        for version in ApiVersion::ALL {
            let wish = verify(version, FORM, &tutorial).unwrap();
            assert_eq!(verify(version, FORM, &fields).unwrap(), wish);
            assert_eq!(wish.verify_image_hash, Some(derive::sha256_upper(b"abc")));
            assert!(wish.has_image);
        }
    }

    #[test]
    fn only_the_previews_take_json_and_then_have_no_picture() {
        let wish =
            verify(ApiVersion::V1_2Preview1, "application/json; charset=utf-8", JSON).unwrap();
        assert_eq!((wish.has_image, wish.verify_image_hash), (false, None));
        let refused = verify(ApiVersion::V1_2, "application/json", JSON).unwrap_err();
        assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    #[test]
    fn a_form_without_a_file_is_no_request() {
        let bare = format!("{}{}--B--", field("verifyImage", "abc"), field("Parameters", JSON));
        let refused = verify(ApiVersion::V1_2, FORM, &bare).unwrap_err();
        assert_eq!(refused.code, "InvalidRequestBody");
    }

    #[test]
    fn each_version_knows_its_own_members() {
        let with = |extra: &str| JSON.replace('}', &format!(",{extra}}}"));
        let code = |version, extra: &str| {
            let form = form("verifyImage", &field("Parameters", &with(extra)));
            verify(version, FORM, &form).map_err(|failure| failure.code)
        };
        let active = r#""livenessOperationMode":"PassiveActive""#;
        assert!(code(ApiVersion::V1_2Preview1, active).is_ok());
        assert_eq!(
            code(ApiVersion::V1_1Preview1, active).unwrap_err(),
            "InvalidLivenessOperationMode"
        );
        let attempts = r#""numberOfClientAttemptsAllowed":4"#;
        assert_eq!(code(ApiVersion::V1_2, attempts).unwrap().attempts_allowed, None);
        assert_eq!(code(ApiVersion::V1_3Preview1, attempts).unwrap_err(), "InvalidRequestBody");
        assert_eq!(code(ApiVersion::V1_3Preview1, r#""a":1"#).unwrap().attempts_allowed, Some(1));
        let image = r#""enableSessionImage":"true""#;
        assert!(code(ApiVersion::V1_2, image).unwrap().session_image);
        assert!(!code(ApiVersion::V1_1Preview1, image).unwrap().session_image);
        for wrong in [r#""verifyConfidenceThreshold":1.5"#, r#""returnVerifyImageHash":"yes""#] {
            assert_eq!(code(ApiVersion::V1_2, wrong).unwrap_err(), "InvalidRequestBody");
        }
        let long = format!(r#""deviceCorrelationId":"{}""#, "x".repeat(65));
        assert_eq!(code(ApiVersion::V1_2, &long).unwrap_err(), "InvalidDeviceCorrelationId");
        for seconds in ["59", "86401", "\"x\"", "true"] {
            let extra = format!(r#""authTokenTimeToLiveInSeconds":{seconds}"#);
            assert_eq!(code(ApiVersion::V1_2, &extra).unwrap_err(), "InvalidTokenLifetime");
        }
    }
}
