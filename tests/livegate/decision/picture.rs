//! The picture that a session was verified against: what the app expects, and what went through when it was created.

mod pieces;

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::stage::{
    EXPECTED, FIRST, SECOND, STRANGE, available, decision, failed, ga, picture, preview_verify,
    say, twice, verdict, verified, verify,
};
use crate::memory::azure::{error, ok};
use crate::memory::stage::{Stage, hit, session};
use crate::support::gateway::TOKEN;
use crate::support::http::{Answer, Request};
use crate::support::upstream;

const CREATE: &str = "/face/v1.2/detectLivenessWithVerify-sessions";
const CREATE_OLD: &str = "/face/v1.2-preview.1/detectLivenessWithVerify/singleModal/sessions";
const BOUNDARY: &str = "----a-boundary-0123456789";

/// A picture with what looks like the end of its part, and is none.
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0\r\n------a-boundary-01234567\r\n--\r\n\r\n\0\xff\xd9\r\n";

/// So many bytes, of every value.
fn bytes(length: u32) -> Vec<u8> {
    (0..length).map(|number| number.wrapping_mul(0x9E37_79B1).to_be_bytes()[0]).collect()
}

fn hash(picture: &[u8]) -> String {
    const_hex::encode_upper(Sha256::digest(picture))
}

/// A part of a form: its name, with a file name if there is one, and its content.
fn part(name: &str, file: Option<&str>, content: &[u8]) -> Vec<u8> {
    let mut head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"");
    if let Some(file) = file {
        write!(head, "; filename=\"{file}\"\r\nContent-Type: image/jpeg").unwrap();
    }
    [head.as_bytes(), b"\r\n\r\n", content, b"\r\n"].concat()
}

/// A form as v1.2 describes it, field by field.
fn fields(wish: &str, image: &[u8]) -> Vec<u8> {
    [
        part("livenessOperationMode", None, b"Passive"),
        part("deviceCorrelationId", None, b"phone"),
        part("returnVerifyImageHash", None, wish.as_bytes()),
        part("verifyImage", Some("face.jpg"), image),
        format!("--{BOUNDARY}--\r\n").into_bytes(),
    ]
    .concat()
}

/// A form as the older samples have it.
fn parameters(parameters: &Value, image: &[u8]) -> Vec<u8> {
    [
        part("Parameters", None, parameters.to_string().as_bytes()),
        part("VerifyImage", Some("face.jpg"), image),
        format!("--{BOUNDARY}--\r\n").into_bytes(),
    ]
    .concat()
}

fn content_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// Creates the session of this id with a form, and asserts that it arrives as it was sent.
#[track_caller]
fn create(stage: &Stage, at: &str, id: &str, kind: &str, form: &[u8]) {
    let made = json!({"sessionId": id, "authToken": "token", "status": "NotStarted"});
    stage.azure.says_in_turn("POST", at, [ok(&made.to_string())]);
    let request = Request::new("POST", at).key(TOKEN).body(kind, form);
    arrived(stage, &request.send(stage.gateway.public), kind, form);
}

#[track_caller]
fn arrived(stage: &Stage, answer: &Answer, kind: &str, form: &[u8]) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((verdict(answer), picture(answer)), (None, None), "{answer:?}");
    let last = stage.azure.upstream.recorded().pop().unwrap();
    assert_eq!((last.method.as_str(), last.headers.get("content-type")), ("POST", Some(kind)));
    assert!(last.body == form, "{} bytes in place of {}", last.body.len(), form.len());
}

/// The session of this id ends, verified against the picture of this hash; what is said of it then.
#[track_caller]
fn said(stage: &Stage, id: &str, hash: &str) -> Option<String> {
    say(stage, &verify(id), &ga("Succeeded", &[verified(1, 0.9, true, hash)]));
    let answer = stage.get(&verify(id));
    assert_eq!(decision(&answer), "realface;attempt=1;attempts=1;identical=?1");
    picture(&answer).map(str::to_owned)
}

#[test]
fn what_is_expected_is_compared_with_the_deciding_attempts_picture() {
    let stage = Stage::set();
    let path = verify("abc");
    let all = [verified(2, 0.9, true, FIRST), verified(1, 0.1, false, SECOND)];
    say(&stage, &path, &ga("Succeeded", &all));
    let short = FIRST.split_at(1).1;
    let forms = [format!("{FIRST}0"), short.to_owned(), format!("{short}G")];
    let list = format!("{FIRST}, {FIRST}");
    for _ in 0..2 {
        for (expected, said) in [
            (FIRST, "match"),
            (&FIRST.to_lowercase(), "match"),
            // Another attempt's picture is another picture.
            (SECOND, "mismatch"),
            (STRANGE, "mismatch"),
            (&forms[0], "unknown"),
            (&forms[1], "unknown"),
            (&forms[2], "unknown"),
            (&list, "unknown"),
            ("", "unknown"),
            ("match", "unknown"),
        ] {
            let answer = stage.get_with(&path, EXPECTED, expected);
            assert_eq!(decision(&answer), "realface;attempt=2;attempts=2;identical=?1");
            assert_eq!(picture(&answer), Some(said), "{expected}");
            assert_eq!(verdict(&answer), Some("unreported"));
        }
        assert_eq!(picture(&stage.get(&path)), None);
        hit(&stage.get(&path));
    }
    let content = json!({
        "livenessDecision": "realface",
        "verifyResult": {"matchConfidence": 0.9, "isIdentical": true}
    });
    let mut old = available(true, &content, SECOND);
    old["result"]["verifyImageHash"] = json!(FIRST);
    say(&stage, &preview_verify("old"), &old);
    for (expected, said) in [(FIRST, "match"), (STRANGE, "mismatch"), ("x", "unknown")] {
        let answer = stage.get_with(&preview_verify("old"), EXPECTED, expected);
        assert_eq!(picture(&answer), Some(said), "{expected}");
    }
}

#[test]
fn where_azure_tells_no_picture_it_is_unknown() {
    let stage = Stage::set();
    for (path, content) in [
        (verify("a"), ga("Running", &[])),
        // Nothing is said of an attempt before the session is decided.
        (verify("b"), ga("Running", &[verified(1, 0.9, true, FIRST)])),
        (verify("c"), twice()),
        (verify("d"), ga("Failed", &[failed(1, "No")])),
        (session("e"), twice()),
        // The picture is not the deciding attempt's.
        (verify("f"), ga("Succeeded", &[failed(2, "No"), verified(1, 0.9, true, FIRST)])),
    ] {
        say(&stage, &path, &content);
        for expected in [FIRST, STRANGE, "x"] {
            let answer = stage.get_with(&path, EXPECTED, expected);
            assert_eq!(picture(&answer), Some("unknown"), "{expected} for {content}");
        }
        assert_eq!(picture(&stage.get(&path)), None, "{content}");
    }
    let gone = stage.get_with(&verify("gone"), EXPECTED, FIRST);
    assert_eq!((gone.status, picture(&gone)), (404, None));
}

#[test]
fn several_expectations_are_none() {
    let stage = Stage::set();
    let path = verify("abc");
    say(&stage, &path, &ga("Succeeded", &[verified(1, 0.9, true, FIRST)]));
    let request = Request::get(&path).key(TOKEN).header(EXPECTED, FIRST).header(EXPECTED, FIRST);
    assert_eq!(picture(&request.send(stage.gateway.public)), Some("unknown"));
}

#[test]
fn a_picture_that_went_through_is_compared_without_being_asked_for() {
    let stage = Stage::set();
    for (index, (picture, azures, expected)) in [
        (PICTURE.to_vec(), PICTURE.to_vec(), "match"),
        (PICTURE.to_vec(), PICTURE[1..].to_vec(), "mismatch"),
        (PICTURE.to_vec(), b"".to_vec(), "mismatch"),
        (bytes(1 << 20), bytes(1 << 20), "match"),
        (b"\r\n".to_vec(), b"\r\n".to_vec(), "match"),
        (b"\r\n".to_vec(), b"".to_vec(), "mismatch"),
    ]
    .into_iter()
    .enumerate()
    {
        let (new, old) = (format!("new-{index}"), format!("old-{index}"));
        create(&stage, CREATE, &new, &content_type(), &fields("true", &picture));
        let wish = json!({"livenessOperationMode": "Passive", "returnVerifyImageHash": true});
        create(&stage, CREATE, &old, &content_type(), &parameters(&wish, &picture));
        for id in [new, old] {
            assert_eq!(said(&stage, &id, &hash(&azures)).as_deref(), Some(expected), "{id}");
            // The same from memory.
            let kept = stage.get(&verify(&id));
            hit(&kept);
            assert_eq!(super::stage::picture(&kept), Some(expected), "{id}");
        }
    }
}

#[test]
fn the_older_versions_forms_are_read_too() {
    let stage = Stage::set();
    let wish = json!({"livenessOperationMode": "Passive", "returnVerifyImageHash": true});
    create(&stage, CREATE_OLD, "abc", &content_type(), &parameters(&wish, PICTURE));
    let content = json!({"livenessDecision": "realface"});
    let mut result = available(true, &content, SECOND);
    for (azures, expected) in [(hash(PICTURE), "match"), (STRANGE.to_owned(), "mismatch")] {
        result["result"]["verifyImageHash"] = json!(azures);
        say(&stage, &preview_verify("abc"), &result);
        let answer = stage.get_with(&preview_verify("abc"), "Cache-Control", "no-cache");
        assert_eq!(picture(&answer), Some(expected));
    }
}

#[test]
fn only_who_wishes_for_the_hash_is_told_of_it() {
    let stage = Stage::set();
    let form = |wish| fields(wish, PICTURE);
    let json = |wish: Value| parameters(&json!({"returnVerifyImageHash": wish}), PICTURE);
    let unwished = [
        part("livenessOperationMode", None, b"Passive"),
        part("verifyImage", Some("face.jpg"), PICTURE),
        format!("--{BOUNDARY}--\r\n").into_bytes(),
    ]
    .concat();
    // The order of a form's parts means nothing.
    let late = [
        part("verifyImage", Some("face.jpg"), PICTURE),
        part("returnVerifyImageHash", None, b"true"),
        part("deviceCorrelationId", None, b"phone"),
        format!("--{BOUNDARY}--\r\n").into_bytes(),
    ]
    .concat();
    for (id, form, expected) in [
        ("true", form("true"), Some("match")),
        ("True", form("True"), Some("match")),
        ("late", late, Some("match")),
        ("false", form("false"), None),
        ("False", form("False"), None),
        ("empty", form(""), None),
        ("unwished", unwished, None),
        ("json-true", json(json!(true)), Some("match")),
        ("json-false", json(json!(false)), None),
        ("json-null", json(Value::Null), None),
    ] {
        create(&stage, CREATE, id, &content_type(), &form);
        assert_eq!(said(&stage, id, &hash(PICTURE)).as_deref(), expected, "{id}");
    }
}

#[test]
fn the_boundary_may_stand_in_quotes() {
    let stage = Stage::set();
    for (index, kind) in [
        format!("multipart/form-data; boundary={BOUNDARY}"),
        format!("multipart/form-data; boundary=\"{BOUNDARY}\""),
        format!("Multipart/Form-Data;Boundary=\"{BOUNDARY}\"; charset=utf-8"),
        format!("multipart/form-data; charset=utf-8; boundary={BOUNDARY}"),
    ]
    .iter()
    .enumerate()
    {
        let id = format!("s-{index}");
        create(&stage, CREATE, &id, kind, &fields("true", PICTURE));
        assert_eq!(said(&stage, &id, &hash(PICTURE)).as_deref(), Some("match"), "{kind}");
    }
}

#[test]
fn what_comes_with_the_question_counts_before_what_went_through() {
    let stage = Stage::set();
    create(&stage, CREATE, "abc", &content_type(), &fields("true", PICTURE));
    assert_eq!(said(&stage, "abc", FIRST).as_deref(), Some("mismatch"));
    let own = hash(PICTURE);
    for (expected, said) in [(FIRST, "match"), (&own, "mismatch"), ("x", "unknown")] {
        let answer = stage.get_with(&verify("abc"), EXPECTED, expected);
        assert_eq!(picture(&answer), Some(said), "{expected}");
    }
    assert_eq!(picture(&stage.get(&verify("abc"))), Some("mismatch"));
}

#[test]
fn until_azure_tells_a_hash_the_picture_is_unknown() {
    let stage = Stage::set();
    create(&stage, CREATE, "abc", &content_type(), &fields("true", PICTURE));
    let path = verify("abc");
    say(&stage, &path, &ga("Running", &[]));
    let answer = stage.get(&path);
    assert_eq!((decision(&answer), picture(&answer)), ("pending", Some("unknown")));
    assert_eq!(said(&stage, "abc", &hash(PICTURE)).as_deref(), Some("match"));
    // The twin of the same id is another session.
    say(&stage, &session("abc"), &twice());
    assert_eq!(picture(&stage.get(&session("abc"))), None);
    // What is deleted through the gateway leaves nothing.
    assert_eq!(stage.delete(&path).status, 204);
    assert_eq!(said(&stage, "abc", &hash(PICTURE)), None);
}

#[test]
fn what_is_no_whole_form_passes_and_says_nothing() {
    let stage = Stage::set();
    let whole = fields("true", PICTURE);
    let no_end = whole[..whole.len() - format!("--{BOUNDARY}--\r\n").len()].to_vec();
    let half = whole[..whole.len() / 2].to_vec();
    let text = String::from_utf8_lossy(&whole).replace("name=\"verifyImage\"", "name=\"other\"");
    let no_head = [format!("--{BOUNDARY}\r\n").as_bytes(), PICTURE, b"\r\n"].concat();
    let kind = content_type();
    let wish = part("Parameters", None, b"{\"returnVerifyImageHash\":tru");
    let bad_json = [
        wish,
        part("VerifyImage", Some("face.jpg"), PICTURE),
        format!("--{BOUNDARY}--\r\n").into_bytes(),
    ]
    .concat();
    for (index, (kind, form)) in [
        (kind.as_str(), no_end),
        (&kind, half),
        (&kind, text.into_bytes()),
        (&kind, no_head),
        (&kind, bad_json),
        (&kind, parameters(&json!([true]), PICTURE)),
        (&kind, Vec::new()),
        (&kind, b"{\"returnVerifyImageHash\":true}".to_vec()),
        ("multipart/form-data", whole.clone()),
        ("multipart/form-data; boundary=", whole.clone()),
        ("multipart/form-data; boundary=another", whole.clone()),
        ("application/json", whole),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("s-{index}");
        create(&stage, CREATE, &id, kind, &form);
        assert_eq!(said(&stage, &id, &hash(PICTURE)), None, "{index}");
    }
}

#[test]
fn what_azure_did_not_create_is_not_remembered() {
    let stage = Stage::set();
    let made = json!({"sessionId": "abc", "authToken": "t", "status": "NotStarted"}).to_string();
    let answers = [
        error(400, "BadArgument", &[]),
        upstream::answer(500, &[], made.as_bytes()),
        ok("{\"sessionId\":"),
        ok("[]"),
    ];
    let form = fields("true", PICTURE);
    for (index, answer) in answers.into_iter().enumerate() {
        stage.azure.says_in_turn("POST", CREATE, [answer]);
        let request = Request::new("POST", CREATE).key(TOKEN).body(&content_type(), form.clone());
        request.send(stage.gateway.public);
        assert_eq!(stage.azure.asked("POST", CREATE), index + 1);
    }
    assert_eq!(said(&stage, "abc", &hash(PICTURE)), None);
}
