//! The calls that the clients offer, and how each client names them.

use serde_json::{Map, Value, json};

/// A picture, as far as a proxy is concerned: bytes that are no text, a NUL, line ends and a boundary's dashes.
pub(super) const PICTURE: &[u8] = b"\xFF\xD8\xFF\xE0\0\r\n\r\n------\xFF\xD9";

/// Which twin of the API: without or with a picture to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    Plain,
    Verify,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) enum Call<'a> {
    Create(Twin),
    /// With verify, but without a picture, which the device brings then (previews).
    CreateWithoutPicture,
    Get(Twin, &'a str),
    /// A session, with the digest that the app got from its client.
    Check(Twin, &'a str, &'a str),
    Audit(Twin, &'a str, Option<Page<'a>>),
    List(Twin, Option<Page<'a>>),
    Delete(Twin, &'a str),
    Image(&'a str),
}

/// Where a list begins and how long it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) start: &'a str,
    pub(super) top: u32,
}

/// How a Python client names what a session is created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// One class for both twins.
    OneContent,
    /// A class for each.
    TwoContents,
}

/// What every session is created with.
pub(super) const DEVICE: &str = "device-0123";
pub(super) const TOKEN_LIFE: u32 = 120;

/// What Python's typed objects are asked for besides their JSON.
const SESSION_ATTRIBUTES: [&str; 4] =
    ["status", "session_expired", "created_date_time", "result.digest"];

impl Call<'_> {
    /// For the driver of the Python client, which has a method for each.
    pub(super) fn python(&self, script: Script) -> Value {
        let name = |before: &str, twin: Twin, after: &str| match twin {
            Twin::Plain => format!("{before}_liveness_session{after}"),
            Twin::Verify => format!("{before}_liveness_with_verify_session{after}"),
        };
        match *self {
            Self::Create(Twin::Plain) => json!({
                "call": "create_liveness_session",
                "args": [content(Twin::Plain, script)],
                "read": ["session_id", "auth_token"],
            }),
            Self::Create(Twin::Verify) => json!({
                "call": "create_liveness_with_verify_session",
                "args": [content(Twin::Verify, script)],
                "options": {"verify_image": {"$bytes": const_hex::encode(PICTURE)}},
                "read": ["session_id", "verify_image.face_rectangle.top"],
            }),
            Self::CreateWithoutPicture => json!({
                "call": "create_liveness_with_verify_session",
                "args": [content(Twin::Verify, script)],
                "options": {"verify_image": null},
            }),
            Self::Get(twin, id) => json!({
                "call": name("get", twin, "_result"),
                "args": [id],
                "read": SESSION_ATTRIBUTES,
            }),
            Self::Check(twin, id, digest) => json!({
                "call": name("get", twin, "_result"),
                "args": [id],
                "options": {"headers": {"Liveness-Client-Digest": digest}},
            }),
            Self::Audit(twin, id, page) => json!({
                "call": name("get", twin, "_audit_entries"),
                "args": [id],
                "options": options(page),
            }),
            Self::List(twin, page) => json!({
                "call": name("get", twin, "s"),
                "options": options(page),
            }),
            Self::Delete(twin, id) => json!({"call": name("delete", twin, ""), "args": [id]}),
            Self::Image(id) => json!({"call": "get_session_image", "args": [id]}),
        }
    }

    /// For the driver of the JavaScript client of the first preview.
    pub(super) fn js_preview(&self) -> Value {
        let sessions = |twin| match twin {
            Twin::Plain => "/detectLiveness/singleModal/sessions",
            Twin::Verify => "/detectLivenessWithVerify/singleModal/sessions",
        };
        let parameters = json!({"name": "Parameters", "body": fields(json!({}))});
        let picture = json!({"name": "VerifyImage", "body": {"$bytes": const_hex::encode(PICTURE)}, "filename": "p.jpg"});
        match *self {
            Self::Create(Twin::Verify) => {
                form(sessions(Twin::Verify), &json!([picture, parameters]))
            }
            Self::CreateWithoutPicture => post(sessions(Twin::Verify)),
            Self::Audit(twin, id, page) => json!({
                "path": format!("{}/{{sessionId}}/audit", sessions(twin)),
                "params": [id],
                "method": "get",
                "options": {"queryParameters": options(page)},
            }),
            Self::List(twin, page) => json!({
                "path": sessions(twin),
                "method": "get",
                "options": {"queryParameters": options(page)},
            }),
            _ => self.js_with(sessions),
        }
    }

    /// For the driver of the JavaScript client of v1.2.
    pub(super) fn js(&self) -> Value {
        let sessions = |twin| match twin {
            Twin::Plain => "/detectLiveness-sessions",
            Twin::Verify => "/detectLivenessWithVerify-sessions",
        };
        if let Self::Create(Twin::Verify) = self {
            let part = |name: &str, body: &Value| json!({"name": name, "body": body});
            let written = fields(json!({"returnVerifyImageHash": true}));
            let written = written.as_object().unwrap();
            let mut parts: Vec<_> = written.iter().map(|(name, body)| part(name, body)).collect();
            parts.push(json!({"name": "verifyImage", "body": {"$bytes": const_hex::encode(PICTURE)}, "filename": "p.jpg"}));
            return form(sessions(Twin::Verify), &json!(parts));
        }
        self.js_with(sessions)
    }

    /// The calls whose form both JavaScript clients share.
    fn js_with(&self, sessions: impl Fn(Twin) -> &'static str) -> Value {
        let one = |twin, id: &str, method: &str| {
            json!({
                "path": format!("{}/{{sessionId}}", sessions(twin)),
                "params": [id],
                "method": method,
            })
        };
        match *self {
            Self::Create(Twin::Plain) => post(sessions(Twin::Plain)),
            Self::Get(twin, id) => one(twin, id, "get"),
            Self::Check(twin, id, digest) => {
                let mut call = one(twin, id, "get");
                call["options"] = json!({"headers": {"Liveness-Client-Digest": digest}});
                call
            }
            Self::Delete(twin, id) => one(twin, id, "delete"),
            Self::Image(id) => json!({
                "path": "/sessionImages/{sessionImageId}",
                "params": [id],
                "method": "get",
                "stream": true,
            }),
            _ => panic!("this client has no such call: {self:?}"),
        }
    }
}

fn post(path: &str) -> Value {
    json!({"path": path, "method": "post", "options": {"body": fields(json!({}))}})
}

fn form(path: &str, parts: &Value) -> Value {
    let options = json!({"contentType": "multipart/form-data", "body": parts});
    json!({"path": path, "method": "post", "options": options})
}

fn fields(more: Value) -> Value {
    let mut fields = json!({
        "livenessOperationMode": "Passive",
        "deviceCorrelationId": DEVICE,
        "authTokenTimeToLiveInSeconds": TOKEN_LIFE,
    });
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}

fn content(twin: Twin, script: Script) -> Value {
    let mut fields = json!({
        "liveness_operation_mode": "Passive",
        "device_correlation_id": DEVICE,
        "auth_token_time_to_live_in_seconds": TOKEN_LIFE,
    });
    let apart = twin == Twin::Verify && script == Script::TwoContents;
    if apart {
        fields["return_verify_image_hash"] = json!(true);
    }
    let model = if apart {
        "CreateLivenessWithVerifySessionContent"
    } else {
        "CreateLivenessSessionContent"
    };
    json!({"$model": model, "fields": fields})
}

fn options(page: Option<Page<'_>>) -> Value {
    let mut options = Map::new();
    if let Some(Page { start, top }) = page {
        options.insert("start".to_owned(), json!(start));
        options.insert("top".to_owned(), json!(top));
    }
    Value::Object(options)
}
