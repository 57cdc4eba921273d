//! What must never stand in a log or a metric, whatever is asked and answered.

use serde_json::{Value, json};

use super::stage::{
    CLAIM, ENFORCE, EXPECTED, FIRST, OFF, REQUIRE, SECOND, STRANGE, ask_as, modes, put, register,
    say, verify,
};
use crate::memory::azure::ok;
use crate::memory::stage::Stage;
use crate::support::gateway::{AZURE_KEY, TOKEN};
use crate::support::http::Request;

const VERIFIED: &str =
    include_str!("../../data/samples/v1.3-preview.1/session-result-with-verify.json");

const AUTH_TOKEN: &str = "eyJhbGciOiJFUzI1NiIsIm.planted.one";
const OTHERS_SESSION: &str = "0f0e0d0c-aaaa-4bbb-8ccc-121314151617";
const CLIENT: &str = "73.21.34.122";
const IMAGE: &str = "Ae3PVWlXAmVAnXgkAFt1QSjGUWONKzWiSr2iPh9p9G4I";
const DEVICE: &str = "device-of-somebody-0123";

/// The published sample with all that is personal, and with what must not be told.
fn planted(status: &str, decision: &str) -> Value {
    let mut session: Value = serde_json::from_str(VERIFIED).unwrap();
    session["status"] = json!(status);
    session["authToken"] = json!(AUTH_TOKEN);
    session["deviceCorrelationId"] = json!(DEVICE);
    let last = &mut session["results"]["attempts"][0];
    last["abuseMonitoringResult"]["otherFlaggedSessions"][0]["sessionId"] = json!(OTHERS_SESSION);
    last["result"]["livenessDecision"] = json!(decision);
    assert_eq!(last["clientInformation"][0]["ip"], CLIENT);
    assert_eq!(last["result"]["sessionImageId"], IMAGE);
    session
}

/// Sends everything that may leave a trace.
fn traffic(stage: &Stage) {
    let path = verify("abc").replace("v1.2", "v1.3-preview.1");
    let broken = planted("Succeeded", "realface").to_string();
    let contents = [
        planted("NotStarted", "realface").to_string(),
        planted("Succeeded", "realface").to_string(),
        // Another decision than before, and contents that cannot be read.
        planted("Succeeded", "spoofface").to_string(),
        broken.split_at(broken.len() - 1).0.to_owned(),
        broken.replacen("\"digest\"", "\"digest\":\"\",\"digest\"", 1),
        broken.replacen("0.08871888", "7", 1),
    ];
    for content in contents {
        stage.azure.says(&path, ok(&content));
        for token in [TOKEN, OFF, ENFORCE, REQUIRE] {
            for digest in [Some(FIRST), Some(SECOND), Some(STRANGE), Some("malformed-digest"), None]
            {
                ask_as(stage, token, &path, digest);
            }
        }
        let request = Request::get(&path).key(TOKEN).header("Cache-Control", "no-cache");
        let request = request.header(CLAIM, &format!("{STRANGE};attempt=2"));
        let answer = request.header(EXPECTED, FIRST).send(stage.gateway.public);
        assert_eq!(answer.status, 200);
    }
    for digest in [FIRST, SECOND, "malformed-digest"] {
        register(stage, "abc", digest, None);
    }
    put(stage, TOKEN, "abc", format!("{{\"digest\":\"{STRANGE}\",\"unknown\":\"{DEVICE}\"}}"));
}

#[test]
fn logs_and_metrics_have_nothing_that_is_secret_or_personal() {
    let mut stage = modes();
    traffic(&stage);
    let metrics = Request::get("/metrics").send(stage.gateway.admin).text();
    let status = Request::get("/status").send(stage.gateway.admin).text();
    assert!(stage.gateway.terminate().success());
    let process = &stage.gateway.process;
    let log = process.stderr() + &process.stdout();
    // It is all there: what is looked for is looked for in the right place.
    assert!(metrics.contains("livegate_liveness_attempts_total"), "{metrics}");
    assert!(log.contains("\"WARN\""), "{log}");
    for (place, text) in [("log", log), ("metrics", metrics), ("status", status)] {
        let text = text.to_lowercase();
        for secret in [
            AUTH_TOKEN,
            AZURE_KEY,
            TOKEN,
            OFF,
            ENFORCE,
            REQUIRE,
            FIRST,
            SECOND,
            STRANGE,
            OTHERS_SESSION,
            CLIENT,
            IMAGE,
            DEVICE,
            "malformed-digest",
            // The picture's hash.
            "43B7D8E8769533C3290DBD37A84D821B2C28CB4381DF9C6784DBC4AAF7E45018",
        ] {
            let secret = secret.to_lowercase();
            assert!(!text.contains(&secret), "{secret} in the {place}: {text}");
        }
    }
}

#[test]
fn metrics_name_no_session() {
    let stage = modes();
    let id = "b12e033e-bda7-4b83-a211-e721c661f30e";
    say(&stage, &verify(id), &planted("Succeeded", "realface"));
    for token in [TOKEN, ENFORCE] {
        ask_as(&stage, token, &verify(id), Some(STRANGE));
    }
    register(&stage, id, SECOND, Some(2));
    let metrics = Request::get("/metrics").send(stage.gateway.admin).text();
    assert!(metrics.contains("livegate_digest_checks_total{"), "{metrics}");
    assert!(!metrics.contains(id), "{metrics}");
}
