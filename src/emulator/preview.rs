//! A session's bodies in the previews: the session with its latest audit entry, lists, audit lists.

use serde::Serialize;
use serde_json::{Value, json};

use super::clock::Moment;
use super::derive;
use super::plan::Attempt;
use super::session::Session;
use super::shared::{FaceRectangle, error_message, verify};
use crate::liveness::{ApiVersion, Operation};

const USER_AGENT: &str = "Mozilla/5.0 (Linux; Android 15) LivegateEmulator/1.0";

/// One row of the list of sessions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    id: String,
    created_date_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_start_date_time: Option<String>,
    session_expired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_correlation_id: Option<String>,
    auth_token_time_to_live_in_seconds: i64,
}

/// What a create answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    session_id: String,
    auth_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_image: Option<VerifyImage>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifyImage {
    face_rectangle: FaceRectangle,
    quality_for_recognition: &'static str,
}

/// One session.
#[derive(Debug, Serialize)]
pub(super) struct Body {
    #[serde(flatten)]
    item: Item,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Entry>,
}

/// One entry of an audit list: one call of the device.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) id: i64,
    session_id: String,
    request_id: String,
    client_request_id: String,
    received_date_time: String,
    request: Request,
    response: Answer,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_image_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_image_hash: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    url: String,
    method: &'static str,
    content_length: u32,
    content_type: &'static str,
    user_agent: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    body: Value,
    status_code: u16,
    latency_in_milliseconds: u64,
}

pub(super) fn created(session: &Session, has_image: bool) -> Created {
    Created {
        session_id: session.id.clone(),
        auth_token: derive::auth_token(&session.id),
        verify_image: has_image.then(VerifyImage::default),
    }
}

impl Default for VerifyImage {
    fn default() -> Self {
        Self { face_rectangle: FaceRectangle::default(), quality_for_recognition: "high" }
    }
}

pub(super) fn item(session: &Session, now: Moment) -> Item {
    Item {
        id: session.id.clone(),
        created_date_time: session.created.iso(),
        session_start_date_time: session.started().map(Moment::iso),
        session_expired: session.expired(now),
        device_correlation_id: session.device_correlation_id.clone(),
        auth_token_time_to_live_in_seconds: session.token_seconds,
    }
}

pub(super) fn body(session: &Session, version: ApiVersion, now: Moment) -> Body {
    let latest = session.ended().next_back();
    Body {
        item: item(session, now),
        status: session.preview_status(),
        result: latest.map(|(number, attempt, at)| entry(session, version, number, attempt, at)),
    }
}

/// All entries, ascending by id.
pub(super) fn audit(session: &Session, version: ApiVersion) -> Vec<Entry> {
    let mut entries: Vec<_> = session
        .ended()
        .map(|(number, attempt, at)| entry(session, version, number, attempt, at))
        .collect();
    entries.sort_by_key(|entry| entry.id);
    entries
}

fn entry(
    session: &Session,
    version: ApiVersion,
    number: usize,
    attempt: &Attempt,
    at: Moment,
) -> Entry {
    let request_id = derive::request_id(&session.id, number).to_string();
    let operation = match session.operation {
        Operation::Liveness => "detectliveness",
        Operation::LivenessWithVerify => "detectlivenesswithverify",
    };
    let failed = attempt.error.is_some();
    let user_agent = attempt.user_agent.as_deref().unwrap_or(USER_AGENT);
    let image = session.image_id(number, attempt);
    let hash = attempt.verify_image_hash.as_ref();
    let hash = hash.or(session.verify_image_hash.as_ref());
    let known = version.has_images() && !failed;
    Entry {
        id: attempt.audit_id.unwrap_or_else(|| i64::try_from(number).unwrap_or(i64::MAX)),
        session_id: session.id.clone(),
        client_request_id: request_id.clone(),
        request_id,
        received_date_time: at.iso(),
        request: Request {
            url: format!("/face/{}/{operation}/singlemodal", version.as_str()),
            method: "POST",
            content_length: 352_568,
            content_type: "multipart/form-data",
            user_agent: user_agent.to_owned(),
        },
        response: Answer {
            body: answer(session, version, attempt),
            status_code: attempt.status_code.unwrap_or(if failed { 400 } else { 200 }),
            latency_in_milliseconds: attempt.latency_ms.unwrap_or(640),
        },
        digest: session.digest(number, attempt),
        session_image_id: image.filter(|_| known),
        verify_image_hash: hash.filter(|_| known).cloned(),
    }
}

/// What the device was answered.
fn answer(session: &Session, version: ApiVersion, attempt: &Attempt) -> Value {
    let face = FaceRectangle::default();
    if let Some(code) = &attempt.error {
        let targets = json!({"color": {"faceRectangle": face}});
        let error = json!({"code": code, "message": error_message(attempt), "targets": targets});
        return json!({ "error": error });
    }
    let model = match version {
        ApiVersion::V1_1Preview1 => "2022-10-15-preview.04",
        _ => "2023-12-20-preview.06",
    };
    let planned = session.plan.model_version.as_ref();
    let model = planned.or(session.model_version.as_ref()).map_or(model, |model| model);
    let mut body = json!({
        "target": {"faceRectangle": face, "fileName": "content", "timeOffsetWithinFile": 0, "imageType": "Color"},
        "modelVersionUsed": model,
    });
    let Some(members) = body.as_object_mut() else {
        return body;
    };
    if let Some(decision) = attempt.decision() {
        members.insert("livenessDecision".into(), decision.into());
    }
    if session.operation == Operation::LivenessWithVerify {
        let (confidence, identical) = verify(session, attempt);
        let image = VerifyImage::default();
        let result =
            json!({"verifyImage": image, "matchConfidence": confidence, "isIdentical": identical});
        members.insert("verifyResult".into(), result);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(plan: &str) -> Session {
        let plan = serde_json::from_str(plan).unwrap();
        let created = Moment::from_millis(0);
        let mut session = Session::new("s".into(), Operation::LivenessWithVerify, created, plan);
        session.session_image = true;
        session.verify_image_hash = Some("AB".into());
        session
    }

    #[test]
    fn the_result_is_the_latest_entry_and_absent_before_the_first() {
        let mut session = session(r#"{"attempts":[{"error":"X"},{"audit_id":10}]}"#);
        let now = session.created;
        let shown =
            |session: &Session, version| serde_json::to_value(body(session, version, now)).unwrap();
        let before = shown(&session, ApiVersion::V1_2Preview1);
        assert_eq!(before["status"], "NotStarted");
        assert!(before.get("result").is_none() && before.get("sessionStartDateTime").is_none());
        session.advance(2, now);
        let failed = shown(&session, ApiVersion::V1_2Preview1);
        assert_eq!(
            (&failed["status"], &failed["sessionExpired"]),
            (&json!("ResultAvailable"), &json!(false))
        );
        assert_eq!(failed["result"]["response"]["statusCode"], 400);
        assert_eq!(failed["result"]["response"]["body"]["error"]["code"], "X");
        assert_eq!(failed["result"]["digest"], derive::attempt_digest("s", 1));
        session.advance(1, now);
        let ended = shown(&session, ApiVersion::V1_2Preview1);
        assert_eq!((&ended["result"]["id"], &ended["sessionExpired"]), (&json!(10), &json!(true)));
        assert_eq!(ended["result"]["verifyImageHash"], "AB");
        assert!(ended["result"]["sessionImageId"].is_string());
        let first = shown(&session, ApiVersion::V1_1Preview1);
        assert!(first["result"].get("sessionImageId").is_none());
        assert!(first["result"].get("verifyImageHash").is_none());
    }

    #[test]
    fn an_audit_list_ascends_by_id() {
        let mut session = session(r#"{"attempts":[{"audit_id":10},{"audit_id":9}]}"#);
        session.advance(usize::MAX, session.created);
        let ids: Vec<_> =
            audit(&session, ApiVersion::V1_2Preview1).iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [9, 10]);
    }
}
