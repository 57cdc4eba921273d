//! The demo's sessions, one in every state, and the traffic that keeps flowing.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::interval;

use super::super::plain::fetch;
use super::{Stage, TOKEN};
use crate::emulator::attempt_digest;

/// The sessions that the demo opens: what is to be seen, and the id.
pub(super) const SESSIONS: [(&str, &str); 5] = [
    ("a session that succeeded at the second attempt", "11111111-1111-4111-8111-111111111111"),
    ("a session of somebody who held up a picture", "22222222-2222-4222-8222-222222222222"),
    ("a session that failed", "33333333-3333-4333-8333-333333333333"),
    ("a session that nobody has begun", "44444444-4444-4444-8444-444444444444"),
    ("a session that is running", "55555555-5555-4555-8555-555555555555"),
];

/// Puts the sessions in place, each in its state.
pub(super) async fn open(stage: &Stage) -> Result<(), String> {
    let states = [
        json!({"final": true, "session_image": true, "plan": {"attempts": [{"error": "FaceWithMaskDetected"}, {"decision": "realface"}]}}),
        json!({"final": true, "plan": {"attempts": [{"decision": "spoofface"}]}}),
        json!({"final": true, "plan": {"attempts": [{"error": "FaceWithMaskDetected"}]}}),
        json!({"plan": {"manual": true}}),
        json!({"plan": {"manual": true}, "advance": 1}),
    ];
    for ((_, id), mut session) in SESSIONS.into_iter().zip(states) {
        if let Value::Object(members) = &mut session {
            members.insert("id".to_owned(), Value::from(id));
        }
        let answer =
            ask(&stage.emulator, Method::POST, "/emulator/sessions", Some(&session)).await?;
        if !answer.status().is_success() {
            return Err(format!(
                "the emulator refused a session: {}",
                String::from_utf8_lossy(answer.body())
            ));
        }
    }
    Ok(())
}

/// Asks for one session after the other, and opens a new one now and then. Ends only where that fails.
pub(super) async fn flow(stage: &Stage) -> String {
    let mut tick = interval(Duration::from_millis(500));
    let mut round = 0_usize;
    loop {
        tick.tick().await;
        round = round.wrapping_add(1);
        let asked = match SESSIONS.get(round % (SESSIONS.len() + 1)) {
            Some((_, id)) => {
                let path = format!("/face/v1.2/detectLiveness-sessions/{id}");
                // Somebody on the way to the second session's app exchanges what its client reports.
                let digest = attempt_digest(id, if *id == SESSIONS[1].1 { 9 } else { 2 });
                send(&stage.gateway, Method::GET, &path, None, Some(&digest)).await
            }
            None => {
                ask(
                    &stage.gateway,
                    Method::POST,
                    "/face/v1.2/detectLiveness-sessions",
                    Some(&a_session()),
                )
                .await
            }
        };
        if let Err(told) = asked {
            return told;
        }
    }
}

/// What it takes to create a session.
pub(super) fn a_session() -> Value {
    json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "demo", "authTokenTimeToLiveInSeconds": 600, "enableSessionImage": true})
}

/// Sends a request as the demo's app would.
pub(super) async fn ask(
    base: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Response<Bytes>, String> {
    send(base, method, path, body, None).await
}

/// The same, with the digest that the app's client reported.
pub(super) async fn send(
    base: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
    digest: Option<&str>,
) -> Result<Response<Bytes>, String> {
    let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
    if let Some(digest) = digest {
        request = request.header("Liveness-Client-Digest", digest);
    }
    let request = request
        .header("Ocp-Apim-Subscription-Key", TOKEN)
        .header("Content-Type", "application/json");
    let body = Full::from(body.map(Value::to_string).unwrap_or_default());
    fetch(request.body(body).map_err(|error| error.to_string())?).await
}
