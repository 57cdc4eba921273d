//! A session's body from v1.2 on: attempts within the session, no dates.

use serde::Serialize;
use serde_json::Value;

use super::plan::Attempt;
use super::session::Session;
use super::shared::{FaceRectangle, error_message, verify};
use crate::liveness::{ApiVersion, Operation};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    session_id: String,
    auth_token: String,
    status: String,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_abuse_monitoring_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_client_ip_address: Option<String>,
    results: Results,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Results {
    attempts: Vec<AttemptBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_references: Option<[Reference; 1]>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    reference_type: &'static str,
    face_rectangle: FaceRectangle,
    quality_for_recognition: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptBody {
    attempt_id: usize,
    attempt_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_information: Option<[ClientInformation; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    abuse_monitoring_result: Option<AbuseMonitoring>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    liveness_decision: Option<String>,
    targets: Targets,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_result: Option<VerifyResult>,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_image_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_image_hash: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifyResult {
    match_confidence: f64,
    is_identical: bool,
}

#[derive(Debug, Serialize)]
struct ErrorBody {
    code: String,
    message: String,
    targets: Targets,
}

#[derive(Debug, Default, Serialize)]
struct Targets {
    color: Color,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Color {
    face_rectangle: FaceRectangle,
}

#[derive(Debug, Serialize)]
struct ClientInformation {
    ip: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AbuseMonitoring {
    is_abuse_detected: bool,
    other_flagged_sessions: [Value; 0],
}

/// The session as GET and POST answer it.
pub(super) fn body(session: &Session, version: ApiVersion) -> Body {
    let abuse = version == ApiVersion::V1_3Preview1;
    let with_verify = session.operation == Operation::LivenessWithVerify;
    let reference = Reference {
        reference_type: "image",
        face_rectangle: FaceRectangle::default(),
        quality_for_recognition: "high",
    };
    let planned = session.plan.model_version.clone();
    let model = planned.or_else(|| session.model_version.clone());
    let expected_ip = session.expected_client_ip.clone();
    Body {
        session_id: session.id.clone(),
        auth_token: session.shown_token(),
        status: session.ga_status().to_owned(),
        model_version: model.unwrap_or_else(|| "2024-11-15".to_owned()),
        is_abuse_monitoring_enabled: abuse.then_some(session.abuse_monitoring),
        expected_client_ip_address: expected_ip.filter(|_| abuse),
        results: Results {
            attempts: attempts(session, abuse),
            verify_references: with_verify.then_some([reference]),
        },
    }
}

fn attempts(session: &Session, abuse: bool) -> Vec<AttemptBody> {
    let mut attempts: Vec<_> =
        session.ended().map(|(number, attempt, _)| one(session, number, attempt, abuse)).collect();
    let running = session.started().is_some() && !session.finished();
    if running && session.plan.show_running_attempt {
        attempts.push(AttemptBody {
            attempt_id: attempts.len() + 1,
            attempt_status: "Running".to_owned(),
            result: None,
            error: None,
            client_information: None,
            abuse_monitoring_result: None,
        });
    }
    if !session.plan.oldest_first {
        attempts.reverse();
    }
    attempts
}

fn one(session: &Session, number: usize, attempt: &Attempt, abuse: bool) -> AttemptBody {
    let error = attempt.error.as_ref().map(|code| ErrorBody {
        code: code.clone(),
        message: error_message(attempt),
        targets: Targets::default(),
    });
    let watched = abuse && session.abuse_monitoring;
    let ip = attempt.client_ip.as_deref().unwrap_or("127.0.0.1");
    AttemptBody {
        attempt_id: number,
        attempt_status: attempt.status().to_owned(),
        result: error.is_none().then(|| result(session, number, attempt)),
        client_information: abuse.then(|| [ClientInformation { ip: ip.to_owned() }]),
        abuse_monitoring_result: (watched && error.is_none()).then(|| AbuseMonitoring {
            is_abuse_detected: attempt.abuse_detected.unwrap_or(false),
            other_flagged_sessions: [],
        }),
        error,
    }
}

fn result(session: &Session, number: usize, attempt: &Attempt) -> ResultBody {
    let with_verify = session.operation == Operation::LivenessWithVerify;
    let verified = with_verify.then(|| verify(session, attempt));
    let hash = attempt.verify_image_hash.as_ref();
    let hash = hash.or(session.verify_image_hash.as_ref());
    ResultBody {
        liveness_decision: attempt.decision().map(ToOwned::to_owned),
        targets: Targets::default(),
        verify_result: verified.map(|(match_confidence, is_identical)| VerifyResult {
            match_confidence,
            is_identical,
        }),
        digest: session.digest(number, attempt),
        session_image_id: session.image_id(number, attempt),
        verify_image_hash: hash.filter(|_| with_verify).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::emulator::clock::Moment;
    use crate::emulator::derive::attempt_digest;

    fn shown(plan: &str, operation: Operation, version: ApiVersion) -> Value {
        let plan = serde_json::from_str(plan).unwrap();
        let now = Moment::from_millis(0);
        let mut session = Session::new("s".into(), operation, now, plan);
        session.advance(usize::MAX, now);
        serde_json::to_value(body(&session, version)).unwrap()
    }

    #[test]
    fn the_newest_attempt_is_first_and_a_failed_one_has_no_result() {
        let plan = r#"{"attempts":[{"error":"FaceWithMaskDetected"},{"decision":"spoofface"}]}"#;
        let body = shown(plan, Operation::Liveness, ApiVersion::V1_2);
        let attempts = &body["results"]["attempts"];
        assert_eq!((&attempts[0]["attemptId"], &attempts[1]["attemptId"]), (&json!(2), &json!(1)));
        assert_eq!(attempts[0]["result"]["livenessDecision"], "spoofface");
        assert_eq!(attempts[0]["result"]["digest"], attempt_digest("s", 2));
        assert_eq!(attempts[1]["attemptStatus"], "Failed");
        assert_eq!(attempts[1]["error"]["code"], "FaceWithMaskDetected");
        assert!(attempts[1].get("result").is_none() && attempts[0].get("error").is_none());
        assert!(body.get("isAbuseMonitoringEnabled").is_none());
    }

    #[test]
    fn what_only_some_sessions_have_is_left_out_of_the_others() {
        let plan = r#"{"oldest_first":true,"attempts":[{"decision":"none"},{}]}"#;
        let body = shown(plan, Operation::LivenessWithVerify, ApiVersion::V1_3Preview1);
        let first = &body["results"]["attempts"][0];
        assert_eq!(first["attemptId"], 1);
        assert!(first["result"].get("livenessDecision").is_none());
        assert!(first["result"].get("verifyImageHash").is_none());
        assert_eq!(first["result"]["verifyResult"]["isIdentical"], true);
        assert_eq!(first["clientInformation"], json!([{"ip": "127.0.0.1"}]));
        assert_eq!(body["isAbuseMonitoringEnabled"], true);
        assert_eq!(body["results"]["verifyReferences"][0]["referenceType"], "image");
        let plain = shown(plan, Operation::Liveness, ApiVersion::V1_2);
        assert!(plain["results"].get("verifyReferences").is_none());
        assert!(plain["results"]["attempts"][0]["result"].get("verifyResult").is_none());
    }
}
