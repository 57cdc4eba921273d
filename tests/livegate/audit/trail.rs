//! The access trail: one line for each read by who may, with no secret in it.

use serde_json::{Value, json};

use super::stage::{audit, entry, lists, made};
use crate::decision::stage::{
    ENFORCE, FIRST, REQUIRE, SECOND, STRANGE, ask_as, modes, register, say, twice, verify,
};
use crate::memory::azure::DEAD_TOKEN;
use crate::memory::stage::{Stage, preview, session};
use crate::support::gateway::{AZURE_KEY, TOKEN};
use crate::support::http::Request;

const ID: &str = "b12e033e-BDA7-4b83-a211-e721c661f30e";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The lines of the trail so far, once there are as many as there must be; the gateway is stopped then.
#[track_caller]
fn trail(stage: &mut Stage, count: usize) -> Vec<Value> {
    assert!(stage.gateway.terminate().success());
    let log = stage.gateway.process.stderr();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<_> = lines.filter(|line| line["target"] == "livegate::access").collect();
    assert_eq!(lines.len(), count, "{lines:#?}");
    for line in &lines {
        assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("read")), "{line}");
        let time: Result<jiff::Timestamp, _> = line["timestamp"].as_str().unwrap().parse();
        assert!(time.is_ok(), "{line}");
    }
    lines
}

/// What a line says under these names.
fn says<const N: usize>(line: &Value, names: [&str; N]) -> [Value; N] {
    names.map(|name| line.get(name).cloned().unwrap_or_default())
}

fn hex(value: &Value, digits: usize) -> bool {
    value.as_str().is_some_and(|text| {
        text.len() == digits && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
    })
}

#[test]
fn each_read_is_a_line_with_all_that_the_answer_told() {
    let mut stage = Stage::set();
    say(&stage, &session(ID), &twice());
    lists(&stage, &audit(ID), &[entry(1)]);
    let request = |path: &str| {
        let request = Request::get(path).key(TOKEN).header("x-ms-client-request-id", "client-1");
        let trace = format!("00-{TRACE}-b7ad6b7169203331-01");
        let request = request.header("traceparent", &trace);
        request.header("Liveness-Client-Digest", FIRST).send(stage.gateway.public)
    };
    let paths = [session(ID), session(ID), audit(ID), made(ID), session("none")];
    let answers: Vec<_> = paths.iter().map(|path| request(path)).collect();
    stage.raw("HEAD", &session(ID), "");
    let lines = trail(&mut stage, 6);
    let decision = "realface;attempt=2;attempts=2";
    let verdict = "other-attempt;attempt=1";
    for (line, [route, version, status, decision, verdict]) in lines.iter().zip([
        [json!("session"), json!("v1.2"), json!(200), json!(decision), json!(verdict)],
        [json!("session"), json!("v1.2"), json!(200), json!(decision), json!(verdict)],
        [json!("audit"), json!("v1.2-preview.1"), json!(200), Value::Null, Value::Null],
        [json!("audit"), json!("v1.2"), json!(200), Value::Null, Value::Null],
        [json!("session"), json!("v1.2"), json!(404), Value::Null, Value::Null],
        [json!("session"), json!("v1.2"), json!(200), json!(decision), json!("unreported")],
    ]) {
        let names = ["app", "route", "version", "status", "decision", "verdict"];
        let expected = [json!("onboarding"), route, version, status, decision, verdict];
        assert_eq!(says(line, names), expected, "{line}");
        assert!(hex(&line["session"], 32) && hex(&line["key"], 8), "{line}");
    }
    for (line, answer) in lines.iter().zip(&answers) {
        let expected = [json!("client-1"), json!(TRACE)];
        assert_eq!(says(line, ["client_request_id", "trace_id"]), expected, "{line}");
        assert_eq!(line["status"], answer.status);
        let told = answer.header("liveness-decision").map(Value::from).unwrap_or_default();
        assert_eq!(says(line, ["decision"]), [told]);
        assert!(line["cache"].is_string(), "{line}");
    }
    assert_eq!(lines[1]["cache"], "hit");
    assert_ne!(lines[0]["cache"], "hit");
    assert!(lines[5]["client_request_id"].is_string() && hex(&lines[5]["trace_id"], 32));
}

#[test]
fn a_session_is_the_same_in_all_lines_and_another_is_another() {
    let mut stage = Stage::set();
    for path in [
        session(ID),
        session(&ID.to_lowercase()),
        preview(&ID.to_uppercase()),
        audit(ID),
        made(ID),
        session("b12e033e-BDA7-4b83-a211-e721c661f30f"),
        session("B12E033E"),
    ] {
        stage.get(&path);
    }
    let lines = trail(&mut stage, 7);
    let [names, keys] = ["session", "key"].map(|name| {
        lines.iter().map(|line| line[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(keys, vec![keys[0].clone(); 7]);
    assert_eq!(names[..5], vec![names[0].clone(); 5]);
    let [.., one, two] = &names[..] else { panic!("{names:?}") };
    assert!(*one != names[0] && *two != names[0] && one != two, "{names:?}");
    // Of another process the same session has another name.
    let mut other = Stage::set();
    other.get(&session(ID));
    let line = &trail(&mut other, 1)[0];
    assert_ne!(
        (line["session"].as_str(), line["key"].as_str()),
        (Some(&*names[0]), Some(&*keys[0]))
    );
    assert_ne!(line["session"].as_str(), Some(&*names[0]));
}

#[test]
fn the_trail_has_nothing_that_is_secret() {
    let mut stage = modes();
    say(&stage, &session(ID), &twice());
    say(&stage, &verify(ID), &twice());
    lists(&stage, &audit(ID), &[entry(1)]);
    register(&stage, ID, SECOND, Some(2));
    for token in [TOKEN, ENFORCE, REQUIRE] {
        for claim in [Some(FIRST), Some(STRANGE), Some("malformed-digest"), None] {
            for path in [session(ID), verify(ID), audit(ID), made(ID)] {
                ask_as(&stage, token, &path, claim);
            }
        }
    }
    trail(&mut stage, 48);
    let log = stage.gateway.process.stderr().to_lowercase();
    for secret in [
        ID,
        TOKEN,
        ENFORCE,
        REQUIRE,
        AZURE_KEY,
        DEAD_TOKEN,
        FIRST,
        SECOND,
        STRANGE,
        "malformed-digest",
        &super::stage::digest(1),
    ] {
        assert!(!log.contains(&secret.to_lowercase()), "{secret} in {log}");
    }
}

#[test]
fn by_configuration_a_session_has_its_own_name() {
    let mut stage = Stage::built(|builder| builder.more("[access]\nsession = \"raw\"\n"));
    say(&stage, &session(ID), &twice());
    lists(&stage, &audit(ID), &[entry(1)]);
    for path in [session(ID), audit(ID), made(ID)] {
        assert_eq!(stage.get(&path).status, 200);
    }
    for line in trail(&mut stage, 3) {
        assert_eq!(says(&line, ["session", "key"]), [json!(ID), Value::Null], "{line}");
    }
}

#[test]
fn a_refusal_has_its_verdict_and_no_decision() {
    let mut stage = modes();
    say(&stage, &session(ID), &twice());
    for (token, claim) in [
        (ENFORCE, Some(STRANGE)),
        (ENFORCE, Some(FIRST)),
        (ENFORCE, Some("malformed")),
        (REQUIRE, None),
        (REQUIRE, Some(SECOND)),
    ] {
        ask_as(&stage, token, &session(ID), claim);
    }
    let lines = trail(&mut stage, 5);
    for (line, (app, status, verdict, decision)) in lines.iter().zip([
        ("enforce", 412, "mismatch", None),
        ("enforce", 412, "other-attempt;attempt=1", None),
        ("enforce", 412, "malformed", None),
        ("require", 428, "unreported", None),
        ("require", 200, "match;attempt=2", Some("realface;attempt=2;attempts=2")),
    ]) {
        let decision = decision.map(Value::from).unwrap_or_default();
        let expected = [json!(app), json!(status), json!(verdict), decision];
        assert_eq!(says(line, ["app", "status", "verdict", "decision"]), expected, "{line}");
    }
}

#[test]
fn who_may_not_read_leaves_no_line_and_what_is_no_read_neither() {
    const LISTER: &str = "app-token-lister-0123456789";
    let mut stage = Stage::built(|builder| builder.app("lister", LISTER, &["list", "delete"]));
    say(&stage, &session(ID), &twice());
    for path in [session(ID), audit(ID), made(ID)] {
        for (token, status) in [("app-token-of-nobody", 401), ("", 401), (LISTER, 403)] {
            let answer = ask_as(&stage, token, &path, None);
            assert_eq!(answer.status, status, "{token} {path}");
        }
    }
    register(&stage, ID, SECOND, None);
    stage.delete(&session(ID));
    for path in [
        "/face/v1.2-preview.1/detectLiveness/singleModal/sessions",
        "/face/v1.2/sessionImages/abc",
        "/face/v1.2/nothing",
        "/face/v1.2/detectLiveness-sessions/no_id",
    ] {
        stage.get(path);
    }
    trail(&mut stage, 0);
}

#[test]
fn what_azure_or_the_way_to_it_refused_has_its_status() {
    let mut stage = Stage::set();
    for path in [session("cut"), audit("cut")] {
        stage.azure.says(&path, crate::memory::azure::cut_off());
        assert_eq!(stage.get(&path).status, 502);
    }
    assert_eq!(stage.get(&audit("none")).status, 404);
    let lines = trail(&mut stage, 3);
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].clone()).collect();
    assert_eq!(statuses, [502, 502, 404]);
}

#[test]
fn an_app_cannot_fill_the_log_with_a_name() {
    let mut stage = Stage::set();
    stage.get_with(&session("abc"), "client-request-id", &"n".repeat(5_000));
    let lines = trail(&mut stage, 1);
    assert_eq!(lines[0]["client_request_id"], "n".repeat(128));
}
