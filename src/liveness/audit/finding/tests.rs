use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::liveness::audit::read;
use crate::liveness::audit::signal::Signal;
use crate::liveness::session;

const HEX: &str = "1CC98BA83EAF1D0FF7F566FAEFCCCC787819FFA01251E2D9299143F7AD6651DB";

fn source() -> Source<'static> {
    let fetched = Fetched { at: "now".into(), upstream: "weu", request_id: Some("r") };
    let fetched = serde_json::value::to_raw_value(&fetched).unwrap();
    Source { synthesised: false, of: Some(3), model: None, fetched }
}

fn member(entry: &Value, finding: &Finding) -> Value {
    let body = json!([entry]).to_string();
    let list = read(body.as_bytes()).unwrap();
    let entry = &list.entries[0];
    let client = entry.agent.as_ref().and_then(|agent| Client::parse(agent.as_str()));
    serde_json::to_value(Member::new(entry, client, finding, &source())).unwrap()
}

#[test]
fn what_is_known_is_told() {
    let entry = json!({
        "id": 2,
        "request": {"userAgent": "azure-ai-vision-face-ui/1.4.8 (Android 14)"},
        "response": {
            "body": {
                "livenessDecision": "realface",
                "modelVersionUsed": "2023-12-20-preview.06",
                "verifyResult": {"isIdentical": true, "matchConfidence": 0.93},
            },
            "statusCode": 200,
            "latencyInMilliseconds": 642,
        },
    });
    let mut signals = Signals::default();
    signals.add(Signal::ClockSkew, true);
    signals.add(Signal::RapidRetry, true);
    signals.add(Signal::ImageReuse, false);
    let place =
        Place { ordinal: Some(2), since_previous: Some(8_123), since_first: Some(15_377), signals };
    let finding = Finding {
        place,
        digest: Some("match"),
        picture: Some(Likeness::Match),
        agrees: Some(true),
    };
    let expected = json!({
        "schema": "livegate.audit/1",
        "decision": "realface",
        "outcome": "decided",
        "attempt": {"ordinal": 2, "of": 3},
        "modelVersion": "2023-12-20-preview.06",
        "timing": {"serviceMs": 642, "sincePreviousMs": 8123, "sinceFirstMs": 15377},
        "client": {"platform": "android", "sdk": "1.4.8"},
        "digest": {"verdict": "match", "source": "registered"},
        "verify": {"identical": true, "confidence": 0.93, "image": "match"},
        "crossCheck": "agrees",
        "signals": ["rapid-retry", "clock-skew"],
        "fetched": {"at": "now", "upstream": "weu", "requestId": "r"},
    });
    assert_eq!(member(&entry, &finding), expected);
}

#[test]
fn what_is_not_known_is_absent() {
    let nothing = json!({
        "schema": "livegate.audit/1",
        "outcome": "no-decision",
        "signals": [],
        "fetched": {"at": "now", "upstream": "weu", "requestId": "r"},
    });
    assert_eq!(member(&json!({}), &Finding::default()), nothing);
    let unknown = Finding { picture: Some(Likeness::Unknown), ..Finding::default() };
    assert_eq!(member(&json!({"request": {"userAgent": "x"}}), &unknown), nothing);
    let mismatch = Finding { picture: Some(Likeness::Mismatch), ..Finding::default() };
    assert_eq!(member(&json!({}), &mismatch)["verify"], json!({"image": "mismatch"}));
    let disagrees = Finding { agrees: Some(false), ..Finding::default() };
    assert_eq!(member(&json!({}), &disagrees)["crossCheck"], "disagrees");
    let model = |length| {
        let entry = json!({"response": {"body": {"modelVersionUsed": "m".repeat(length)}}});
        member(&entry, &Finding::default()).get("modelVersion").is_some()
    };
    assert_eq!((model(0), model(1), model(64), model(65)), (false, true, true, false));
}

#[test]
fn what_came_of_a_call_is_told_in_four_words() {
    for (status, body, outcome, decision) in [
        (Some(200), json!({"livenessDecision": "spoofface"}), "decided", Some("spoofface")),
        (None, json!({"livenessDecision": "spoofface"}), "decided", Some("spoofface")),
        (Some(200), json!({"livenessDecision": "brand-new"}), "decided", Some("brand-new")),
        (Some(200), json!({"livenessDecision": "no token"}), "decided", Some("other")),
        (Some(200), json!({}), "no-decision", None),
        (Some(204), json!(null), "no-decision", None),
        (Some(200), json!({"error": {"code": "X"}}), "no-decision", None),
        (Some(400), json!({"livenessDecision": "realface"}), "client-error", None),
        (Some(499), json!("text"), "client-error", None),
        (Some(500), json!({}), "service-error", None),
        (Some(999), json!([]), "service-error", None),
    ] {
        let entry = json!({"response": {"body": body, "statusCode": status}});
        let member = member(&entry, &Finding::default());
        assert_eq!(
            (member["outcome"].as_str(), member["decision"].as_str()),
            (Some(outcome), decision),
            "{entry}"
        );
    }
}

#[test]
fn a_session_agrees_or_not_where_it_shows_the_same_attempt() {
    let entry = json!({
        "id": 7,
        "response": {
            "body": {"livenessDecision": "realface", "verifyResult": {"isIdentical": true}},
            "statusCode": 200,
        },
        "digest": HEX,
    });
    let body = json!([entry]).to_string();
    let list = read(body.as_bytes()).unwrap();
    let compared = |family, session: Value| {
        let (facts, _) = session::read(family, Bytes::from(session.to_string()));
        agrees(&list.entries[0], &facts)
    };
    let preview = |change: fn(&mut Value)| {
        let mut entry = entry.clone();
        change(&mut entry);
        compared(Family::Preview, json!({"status": "ResultAvailable", "result": entry}))
    };
    assert_eq!(preview(|_| {}), Some(true));
    assert_eq!(preview(|entry| entry["id"] = json!(8)), None);
    let spoof =
        |entry: &mut Value| entry["response"]["body"]["livenessDecision"] = json!("spoofface");
    assert_eq!(preview(spoof), Some(false));
    assert_eq!(preview(|entry| entry["digest"] = json!("0".repeat(64))), Some(false));
    let ga = |digest: &str, decision: &str, identical: bool| {
        let result = json!({
            "digest": digest.to_ascii_lowercase(),
            "livenessDecision": decision,
            "verifyResult": {"isIdentical": identical},
        });
        let other = json!({"attemptId": 1, "attemptStatus": "Failed", "error": {"code": "X"}});
        let attempt = json!({"attemptId": 2, "attemptStatus": "Succeeded", "result": result});
        compared(
            Family::Ga,
            json!({"status": "Succeeded", "results": {"attempts": [attempt, other]}}),
        )
    };
    assert_eq!(ga(HEX, "realface", true), Some(true));
    assert_eq!(ga(HEX, "spoofface", true), Some(false));
    assert_eq!(ga(HEX, "realface", false), Some(false));
    assert_eq!(ga(&"0".repeat(64), "spoofface", true), None);
    assert_eq!(compared(Family::Ga, json!({})), None);
}
