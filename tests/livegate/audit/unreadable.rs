//! Lists that cannot be read: they pass, the reason is counted, and the log has nothing of what they held.

use serde_json::{Value, json};

use super::stage::{added, ask, audit, digest, entry, with};
use crate::decision::stage::{only, sum};
use crate::memory::azure::{cut_off, ok};
use crate::memory::stage::Stage;
use crate::support::gateway::TOKEN;
use crate::support::upstream;

const LISTS: &str = "livegate_audit_lists_total";
const ERRORS: &str = "livegate_upstream_errors_total";

/// Each reason, with lists of which it is the reason.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    let entry_of = |length: usize| {
        let frame = r#"{"id":1,"x":""}"#.len();
        format!(r#"[{{"id":1,"x":"{}"}}]"#, "a".repeat(length - frame))
    };
    let many: Vec<_> = (1..=1_001).map(entry).collect();
    let deep = format!(r#"[{{"id":1,"x":{}{}}}]"#, "[".repeat(129), "]".repeat(129));
    let mut cases: Vec<(&'static str, Vec<u8>)> = [
        ("not_json", ""),
        ("not_json", "no list"),
        ("not_json", r#"[{"id":1}"#),
        ("not_json", r#"[{"id":1},]"#),
        ("not_json", r#"[{"id":1}] x"#),
        ("not_json", r#"[{"id":1}{"id":2}]"#),
        ("not_json", r#"[{"id":01}]"#),
        ("not_json", r#"[{id:1}]"#),
        ("not_json", "[{\"x\":\"\n\"}]"),
        ("no_list", "{}"),
        ("no_list", r#"{"value":[{"id":1}]}"#),
        ("no_list", "null"),
        ("no_list", "7"),
        ("no_list", r#""[]""#),
        ("bad_entry", "[7]"),
        ("bad_entry", "[null]"),
        ("bad_entry", "[[]]"),
        ("bad_entry", r#"[{"id":1},"x"]"#),
        ("too_long", &entry_of(256 * 1_024 + 1)),
        ("too_deep", &deep),
        ("taken", r#"[{"id":1,"gateway":{}}]"#),
        ("taken", r#"[{"id":1},{"gateway":null,"id":2}]"#),
        ("taken", r#"[{"id":1,"g\u0061teway":7}]"#),
    ]
    .map(|(reason, list)| (reason, list.as_bytes().to_vec()))
    .into();
    cases.push(("not_json", b"[{\"id\":1,\"x\":\"\xff\"}]".to_vec()));
    cases.push(("too_many", json!(many).to_string().into_bytes()));
    cases.extend(bad_entries().into_iter().map(|list| ("bad_entry", list.into_bytes())));
    cases
}

/// Lists with a member that matters, and is there twice, of another type, or out of its range.
fn bad_entries() -> Vec<String> {
    let mut lists: Vec<_> = [
        r#"{"id":1,"id":1}"#,
        r#"{"id":1,"\u0069d":2}"#,
        r#"{"digest":"a","digest":"b"}"#,
        r#"{"receivedDateTime":"2024-03-05T11:07:29Z","receivedDateTime":""}"#,
        r#"{"response":{},"response":{}}"#,
        r#"{"response":{"body":{},"body":{}}}"#,
        r#"{"response":{"statusCode":200,"statusCode":400}}"#,
        r#"{"response":{"body":{"livenessDecision":"realface","livenessDecision":"spoofface"}}}"#,
        r#"{"sessionImageId":"a","sessionImageId":"b"}"#,
        r#"{"id":9223372036854775808}"#,
        r#"{"id":18446744073709551616}"#,
        r#"{"id":1.5}"#,
    ]
    .map(|entry| format!("[{{\"id\":7}},{entry}]"))
    .into();
    for (place, value) in [
        ("id", json!("7")),
        ("id", json!([7])),
        ("digest", json!(7)),
        ("receivedDateTime", json!(1_709_636_849)),
        ("sessionImageId", json!({})),
        ("verifyImageHash", json!(7)),
        ("request", json!("POST")),
        ("request.userAgent", json!(["x"])),
        ("response", json!([])),
        ("response.statusCode", json!("200")),
        ("response.latencyInMilliseconds", json!("642")),
        ("response.body", json!("{}")),
        ("response.body.livenessDecision", json!(true)),
        ("response.body.modelVersionUsed", json!(7)),
        ("response.body.verifyResult", json!(true)),
        ("response.body.verifyResult", json!({"isIdentical": "true"})),
        ("response.body.verifyResult", json!({"matchConfidence": "0.5"})),
        ("response.body.verifyResult", json!({"matchConfidence": 1.01})),
        ("response.body.verifyResult", json!({"matchConfidence": -0.01})),
    ] {
        lists.push(json!([entry(1), with(entry(2), place, value)]).to_string());
    }
    lists
}

/// How many lists were counted for each reason so far, and how many errors.
fn counts(stage: &Stage) -> (Vec<(&'static str, f64)>, f64) {
    let reasons = ["not_json", "no_list", "too_many", "bad_entry", "too_long", "too_deep", "taken"];
    let counted = |reason| sum(stage, LISTS, &[&format!("result=\"{reason}\"")]);
    let each = reasons.map(|reason| (reason, counted(reason)));
    (each.into(), sum(stage, ERRORS, &["kind=\"bad_json\""]))
}

#[test]
fn what_cannot_be_read_passes_and_its_reason_is_counted() {
    let stage = Stage::set();
    let mut wrong = Vec::new();
    for (reason, list) in unreadable() {
        let fields = [("ETag", "\"azures\""), ("Content-Type", "application/json")];
        stage.azure.says(&audit("abc"), upstream::answer(200, &fields, &list));
        let shown = String::from_utf8_lossy(&list[list.len().saturating_sub(200)..]).into_owned();
        for prefer in [None, Some("enrich=gateway"), Some("enrich=none")] {
            let (mut expected, errors) = counts(&stage);
            let answer = ask(&stage, TOKEN, &audit("abc"), prefer);
            assert!(answer.status == 200 && answer.body == list, "{shown}");
            let applied = prefer.filter(|prefer| *prefer == "enrich=none");
            assert_eq!(only(&answer, "preference-applied"), applied, "{shown}");
            assert_eq!(only(&answer, "vary").map(str::to_lowercase).as_deref(), Some("prefer"));
            expected.iter_mut().find(|(name, _)| *name == reason).unwrap().1 += 1.0;
            let now = counts(&stage);
            if now != (expected, errors + 1.0) {
                wrong.push(format!("{reason} of {shown}: {now:?}"));
            }
            assert_eq!(only(&answer, "etag"), Some("\"azures\""), "{shown}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let all: f64 = counts(&stage).0.iter().map(|(_, times)| times).sum();
    assert_eq!(sum(&stage, LISTS, &[]), all);
    assert_eq!(sum(&stage, "livegate_audit_entries_total", &[]), 0.0);
    assert_eq!(sum(&stage, "livegate_liveness_signals_total", &[]), 0.0);
}

#[test]
fn what_matters_nothing_may_be_anything() {
    let stage = Stage::set();
    for entry in [
        with(entry(1), "sessionId", 7),
        with(entry(1), "requestId", Value::Null),
        with(entry(1), "clientRequestId", json!({})),
        with(entry(1), "request.url", 7),
        with(entry(1), "request.method", json!([])),
        with(entry(1), "request.contentLength", "eighteen"),
        with(entry(1), "response.body.target", 7),
        with(entry(1), "response.body.verifyResult.verifyImage", "x"),
    ] {
        stage.azure.says(&audit("abc"), ok(&json!([entry]).to_string()));
        assert_eq!(added(&stage.get(&audit("abc"))).len(), 1, "{entry}");
    }
    assert_eq!(sum(&stage, ERRORS, &["kind=\"bad_json\""]), 0.0);
}

#[test]
fn the_log_warns_and_tells_nothing_of_the_list() {
    let mut stage = Stage::set();
    const SECRET: &str = "planted-0f0e0d0c";
    let secret = with(entry(1), "sessionImageId", SECRET);
    let whole = json!([with(secret, "request.userAgent", SECRET)]).to_string();
    let half = whole.split_at(whole.len() - 1).0.to_owned();
    for (list, path) in [
        (half, audit("planted-session")),
        (whole.replacen("\"id\":1", "\"id\":\"planted-0f0e0d0c\"", 1), audit("abc")),
        (whole.replacen('{', "{\"gateway\":\"planted-0f0e0d0c\",", 1), audit("abc")),
    ] {
        stage.azure.says(&path, ok(&list));
        assert_eq!(stage.get(&path).text(), list);
    }
    assert!(stage.gateway.terminate().success());
    let log = stage.gateway.process.stderr();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let warnings = lines.filter(|line| line["level"] == "WARN").count();
    assert!(warnings >= 1, "{log}");
    for secret in [SECRET, "planted-session", TOKEN, &digest(1)] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn a_list_that_broke_off_is_refused() {
    let stage = Stage::set();
    let mut broken = ok(&json!([entry(1), entry(2)]).to_string());
    broken.truncate(broken.len() - 20);
    for answer in [broken, cut_off()] {
        stage.azure.says(&audit("abc"), answer);
        for prefer in [None, Some("enrich=gateway"), Some("enrich=none")] {
            let answer = ask(&stage, TOKEN, &audit("abc"), prefer);
            let said = (answer.status, answer.error_code());
            assert_eq!(said, (502, "UpstreamInvalidResponse".to_owned()), "{prefer:?}");
            assert_eq!(only(&answer, "preference-applied"), None, "{prefer:?}");
        }
    }
}
