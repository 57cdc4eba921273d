//! Sessions that are put in place and moved from outside, by script or control API.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::clock::Moment;
use super::derive;
use super::plan::Plan;
use super::session::{DEFAULT_TOKEN_SECONDS, Session};
use super::world::World;
use crate::liveness::{Operation, SessionId};

/// A session put straight in place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionSpec {
    #[serde(deserialize_with = "session_id")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) operation: OperationName,
    #[serde(default)]
    created_seconds_ago: i64,
    #[serde(default = "default_token_seconds")]
    token_seconds: i64,
    device_correlation_id: Option<String>,
    #[serde(default)]
    session_image: bool,
    verify_image_hash: Option<String>,
    model_version: Option<String>,
    expected_client_ip: Option<String>,
    plan: Option<Plan>,
    #[serde(default)]
    advance: usize,
    #[serde(default, rename = "final")]
    finish: bool,
    #[serde(default)]
    expired: bool,
    session_body: Option<Box<RawValue>>,
    audit_body: Option<Box<RawValue>>,
}

/// What `PATCH /emulator/sessions/{id}` does to one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SessionChange {
    plan: Option<Plan>,
    advance: usize,
    #[serde(rename = "final")]
    finish: bool,
    expired: Option<bool>,
    session_body: Option<Box<RawValue>>,
    audit_body: Option<Box<RawValue>>,
}

/// Which of the twins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OperationName {
    #[default]
    Liveness,
    LivenessWithVerify,
}

impl SessionSpec {
    /// Puts the session in place; one of the same id and operation makes room.
    pub(super) fn put(self, world: &mut World) {
        let now = world.clock.now();
        let created = now.plus_seconds(self.created_seconds_ago.saturating_neg());
        let plan = self.plan.unwrap_or_else(|| world.default_plan.clone());
        let mut session = Session::new(self.id, self.operation.into(), created, plan);
        session.token_seconds = self.token_seconds;
        session.device_correlation_id = self.device_correlation_id;
        session.session_image = self.session_image;
        session.verify_image_hash = self.verify_image_hash;
        session.model_version = self.model_version;
        session.expected_client_ip = self.expected_client_ip;
        session.abuse_monitoring = world.abuse_monitoring;
        session.forced_expired = self.expired;
        session.session_body = self.session_body;
        session.audit_body = self.audit_body;
        session.live_through(if self.finish { usize::MAX } else { self.advance }, now);
        world.store.put(session);
    }
}

impl SessionChange {
    pub(super) fn apply(self, session: &mut Session, now: Moment) {
        if let Some(plan) = self.plan {
            session.replan(plan);
        }
        let steps = if self.finish { usize::MAX } else { self.advance };
        if steps > 0 {
            session.advance(steps, now);
        }
        session.forced_expired = self.expired.unwrap_or(session.forced_expired);
        session.session_body = self.session_body.or_else(|| session.session_body.take());
        session.audit_body = self.audit_body.or_else(|| session.audit_body.take());
    }
}

/// What the control API tells of a session, with the values that its attempts have or will have.
pub(super) fn summary(session: &Session, now: Moment) -> Value {
    let attempts = session.plan.attempts.iter().enumerate();
    let attempts = attempts.map(|(index, attempt)| {
        let number = index + 1;
        json!({
            "attempt": number,
            "digest": session.digest(number, attempt),
            "imageId": session.image_id(number, attempt),
            "requestId": derive::request_id(&session.id, number).to_string(),
        })
    });
    json!({
        "id": session.id,
        "operation": match session.operation {
            Operation::Liveness => "liveness",
            Operation::LivenessWithVerify => "liveness_with_verify",
        },
        "createdDateTime": session.created.iso(),
        "status": session.ga_status(),
        "previewStatus": session.preview_status(),
        "expired": session.expired(now),
        "finished": session.finished(),
        "attemptsEnded": session.ended().count(),
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

impl From<OperationName> for Operation {
    fn from(name: OperationName) -> Self {
        match name {
            OperationName::Liveness => Self::Liveness,
            OperationName::LivenessWithVerify => Self::LivenessWithVerify,
        }
    }
}

const fn default_token_seconds() -> i64 {
    DEFAULT_TOKEN_SECONDS
}

fn session_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if SessionId::parse(&id).is_some() {
        return Ok(id);
    }
    Err(serde::de::Error::custom(format!(
        "'{id}' cannot be a session's id: 1 to 64 letters, digits and hyphens"
    )))
}
