//! Sessions whose attempts have digests, what apps claim of them, and how the verdicts are read.

use serde_json::{Value, json};

use crate::memory::azure::{DEAD_TOKEN, ok};
use crate::memory::stage::Stage;
use crate::support::gateway::TOKEN;
use crate::support::http::{Answer, Request};

/// Digests as Azure writes them. [`FIRST`] is the first attempt's, [`SECOND`] the second one's, and [`STRANGE`] nobody's.
pub(crate) const FIRST: &str = "517A0E700859E42107FA47E957DD12F54211C1A021A969CD391AC38BB88295A2";
pub(crate) const SECOND: &str = "B0A803BB7B26F3C8F29CD36030F8E63ED3FAF955FEEF8E01C88AB8FD89CCF761";
pub(crate) const STRANGE: &str = "0000111122223333444455556666777788889999AAAABBBBCCCCDDDDEEEEFFFF";

const MODEL: &str = "2024-11-15";

/// Apps that have other modes than the default.
pub(crate) const OFF: &str = "app-token-off-0123456789";
pub(crate) const ENFORCE: &str = "app-token-enforce-0123456789";
pub(crate) const REQUIRE: &str = "app-token-require-0123456789";

/// The field that a digest comes in.
pub(crate) const CLAIM: &str = "Liveness-Client-Digest";

/// The field that a picture's hash comes in.
pub(crate) const EXPECTED: &str = "Liveness-Expected-Verify-Image";

/// A session's path with verify.
pub(crate) fn verify(id: &str) -> String {
    format!("/face/v1.2/detectLivenessWithVerify-sessions/{id}")
}

/// The path of a session with verify of the previews.
pub(crate) fn preview_verify(id: &str) -> String {
    format!("/face/v1.2-preview.1/detectLivenessWithVerify/singleModal/sessions/{id}")
}

/// An attempt that succeeded.
pub(crate) fn attempt(number: u64, decision: &str, digest: &str) -> Value {
    let result = json!({"livenessDecision": decision, "targets": {}, "digest": digest});
    json!({"attemptId": number, "attemptStatus": "Succeeded", "result": result})
}

/// An attempt that failed with a code.
pub(crate) fn failed(number: u64, code: &str) -> Value {
    let error = json!({"code": code, "message": "No.", "targets": {}});
    json!({"attemptId": number, "attemptStatus": "Failed", "error": error})
}

/// An attempt that was verified against a picture.
pub(crate) fn verified(number: u64, confidence: f64, identical: bool, hash: &str) -> Value {
    let mut attempt = attempt(number, "realface", SECOND);
    attempt["result"]["verifyResult"] =
        json!({"matchConfidence": confidence, "isIdentical": identical});
    attempt["result"]["verifyImageHash"] = json!(hash);
    attempt
}

/// A session of v1.2 and later.
pub(crate) fn ga(status: &str, attempts: &[Value]) -> Value {
    json!({
        "sessionId": "abc",
        "authToken": DEAD_TOKEN,
        "status": status,
        "modelVersion": MODEL,
        "results": {"attempts": attempts}
    })
}

/// A session whose second attempt decides, and whose first one has a digest too.
pub(crate) fn twice() -> Value {
    let attempts = [attempt(2, "realface", SECOND), attempt(1, "spoofface", FIRST)];
    ga("Succeeded", &attempts)
}

/// A preview's session with a result: what the device was answered, and its digest.
pub(crate) fn available(expired: bool, content: &Value, digest: &str) -> Value {
    json!({
        "id": "abc",
        "createdDateTime": jiff::Timestamp::now().to_string(),
        "sessionExpired": expired,
        "status": "ResultAvailable",
        "result": {
            "id": 1,
            "sessionId": "abc",
            "response": {"body": content, "statusCode": 200, "latencyInMilliseconds": 1200},
            "digest": digest
        }
    })
}

/// From now on Azure says this of a session.
pub(crate) fn say(stage: &Stage, path: &str, session: &Value) {
    stage.azure.says(path, ok(&session.to_string()));
}

/// Asks as the app of this token, with a digest if there is one.
pub(crate) fn ask_as(stage: &Stage, token: &str, path: &str, claim: Option<&str>) -> Answer {
    let request = Request::get(path).key(token);
    match claim {
        Some(digest) => request.header(CLAIM, digest),
        None => request,
    }
    .send(stage.gateway.public)
}

/// Asks with a digest.
pub(crate) fn claim(stage: &Stage, path: &str, digest: &str) -> Answer {
    ask_as(stage, TOKEN, path, Some(digest))
}

/// The one value of a field; `None` where there is none.
#[track_caller]
pub(crate) fn only<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let values: Vec<_> = answer.headers.all(name).collect();
    assert!(values.len() <= 1, "{name} in {answer:?}");
    values.first().copied()
}

/// The decision; every answer here must be a session.
#[track_caller]
pub(crate) fn decision(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{answer:?}");
    only(answer, "liveness-decision").unwrap_or_else(|| panic!("no decision in {answer:?}"))
}

/// The verdict on the digest.
#[track_caller]
pub(crate) fn verdict(answer: &Answer) -> Option<&str> {
    only(answer, "liveness-digest")
}

/// The verdict on the picture.
#[track_caller]
pub(crate) fn picture(answer: &Answer) -> Option<&str> {
    only(answer, "liveness-verify-image")
}

/// Reports a digest with a content that may be anything.
pub(crate) fn put(stage: &Stage, token: &str, id: &str, content: impl Into<Vec<u8>>) -> Answer {
    let target = format!("/livegate/v1/sessions/{id}/client-digest");
    let request = Request::new("PUT", &target).key(token).body("application/json", content);
    request.send(stage.gateway.public)
}

/// Reports a digest, of an attempt or of none.
pub(crate) fn register(stage: &Stage, id: &str, digest: &str, attempt: Option<u64>) -> Answer {
    let mut content = json!({"digest": digest});
    if let Some(attempt) = attempt {
        content["attempt"] = json!(attempt);
    }
    put(stage, TOKEN, id, content.to_string())
}

/// Asserts that a report stands, and what is said of it.
#[track_caller]
pub(crate) fn stands(answer: &Answer, said: &str) {
    assert_eq!((answer.status, verdict(answer)), (204, Some(said)), "{answer:?}");
}

/// The sum of a metric over all its series that have these labels.
pub(crate) fn sum(stage: &Stage, name: &str, labels: &[&str]) -> f64 {
    let metrics = Request::get("/metrics").send(stage.gateway.admin).text();
    let meant = |line: &&str| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
    };
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    metrics.lines().filter(meant).map(value).sum()
}

/// A gateway with an app for each mode; that of [`TOKEN`] has the default.
pub(crate) fn modes() -> Stage {
    modes_with("running_ttl = \"0s\"\n")
}

/// The same with these lines about its memory.
pub(crate) fn modes_with(cache: &str) -> Stage {
    Stage::built(|builder| {
        builder
            .cache(cache)
            .app_with("off", OFF, &["session", "audit"], "digest = \"off\"\n")
            .app_with("enforce", ENFORCE, &["session", "audit"], "digest = \"enforce\"\n")
            .app_with("require", REQUIRE, &["session", "audit"], "digest = \"require\"\n")
    })
}

/// Asserts all that a refusal has, and that it tells nothing of what was decided.
#[track_caller]
pub(crate) fn refused(answer: &Answer, said: &str) {
    let (status, code) = match said {
        "unreported" => (428, "DigestRequired"),
        _ => (412, "DigestMismatch"),
    };
    assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{answer:?}");
    assert_eq!(answer.header("x-ms-error-code"), Some(code));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(only(answer, "cache-control"), Some("no-store"));
    assert_eq!(verdict(answer), Some(said), "{answer:?}");
    for absent in ["liveness-decision", "etag", "liveness-verify-image"] {
        assert_eq!(answer.header(absent), None, "{absent} in {answer:?}");
    }
    let content = answer.json();
    assert_eq!(content.as_object().unwrap().len(), 1, "{content}");
    let error = content["error"].as_object().unwrap();
    let mut members: Vec<_> = error.keys().collect();
    members.sort();
    assert_eq!(members, ["code", "message"]);
    let text = answer.text();
    for secret in ["realface", "spoofface", "attemptId", FIRST, SECOND, DEAD_TOKEN] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
