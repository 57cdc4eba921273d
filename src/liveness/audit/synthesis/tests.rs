use bytes::Bytes;

use super::*;
use crate::liveness::Family;
use crate::liveness::session::read;

fn made(session: &str) -> Vec<String> {
    let (facts, body) = read(Family::Ga, Bytes::copy_from_slice(session.as_bytes()));
    let attempts = Attempts::of(&body).unwrap();
    let entries = entries(facts);
    let made = entries.iter().map(|entry| attempts.made(entry.attempt.proof.attempt, "here"));
    made.map(|made| serde_json::to_string(&made).unwrap()).collect()
}

#[test]
fn an_entry_says_what_azure_said_and_nothing_else() {
    let session = r#"{"sessionId":"s\u0031","authToken":"","status":"Succeeded","modelVersion":"m","results":{"attempts":[
        {"attemptId":3,"attemptStatus":"Running"},
        {"attemptId":2,"attemptStatus":"Succeeded","result":{"livenessDecision":"realface","targets":{"color": {"x":1.0}},
         "verifyResult":{"matchConfidence":0.08871888,"isIdentical":false},"digest":"D","sessionImageId":"i","verifyImageHash":"H","new":1},
         "clientInformation":[{"ip":"192.0.2.1"}],"abuseMonitoringResult":{"otherFlaggedSessions":[{"sessionId":"other"}]}},
        {"attemptId":1,"attemptStatus":"Failed","error":{"code":"FaceWithMaskDetected","message":"No."}}]}}"#;
    assert_eq!(
        made(session),
        [
            r#"{"id":1,"sessionId":"s\u0031","response":{"body":{"error":{"code":"FaceWithMaskDetected","message":"No."}}},"gateway":"here"}"#,
            r#"{"id":2,"sessionId":"s\u0031","response":{"body":{"livenessDecision":"realface","targets":{"color": {"x":1.0}},"verifyResult":{"matchConfidence":0.08871888,"isIdentical":false}}},"digest":"D","sessionImageId":"i","verifyImageHash":"H","gateway":"here"}"#,
        ]
    );
}

#[test]
fn a_session_without_attempts_makes_an_empty_list() {
    for session in [
        r#"{"status":"NotStarted"}"#,
        r#"{"status":"NotStarted","results":{}}"#,
        r#"{"status":"Running","results":{"attempts":[]}}"#,
        r#"{"status":"Running","results":{"attempts":[{"attemptId":1,"attemptStatus":"Running"}]}}"#,
    ] {
        assert_eq!(made(session), [] as [&str; 0]);
    }
    let only = r#"{"status":"Succeeded","results":{"attempts":[{"attemptStatus":"Succeeded","result":{}}]}}"#;
    assert_eq!(made(only), [r#"{"response":{"body":{}},"gateway":"here"}"#]);
}
