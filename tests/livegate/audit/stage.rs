//! Audit lists as Azure writes them, how they are read, and how to take out again what the gateway put in.

use serde_json::{Value, json};

use crate::memory::azure::ok;
use crate::memory::stage::{Stage, preview, session};
use crate::support::http::{Answer, Request};

/// An app that gets lists as Azure sent them unless it asks for more.
pub(super) const PLAIN: &str = "app-token-plain-0123456789";

/// The path of a session's audit list, without verify.
pub(super) fn audit(id: &str) -> String {
    format!("{}/audit", preview(id))
}

/// The same with verify.
pub(super) fn verify_audit(id: &str) -> String {
    audit(id).replace("detectLiveness/", "detectLivenessWithVerify/")
}

/// The path of a list that Azure has not.
pub(super) fn made(id: &str) -> String {
    format!("{}/audit", session(id))
}

/// The same with verify.
pub(super) fn made_verify(id: &str) -> String {
    made(id).replace("detectLiveness-", "detectLivenessWithVerify-")
}

/// A digest of 64 digits that is this number's only.
pub(super) fn digest(number: u64) -> String {
    format!("{number:064X}")
}

/// So many milliseconds after a moment of long ago.
pub(super) fn at(milliseconds: i64) -> Value {
    let moment = jiff::Timestamp::from_millisecond(1_709_636_849_698 + milliseconds).unwrap();
    json!(moment.to_string())
}

/// An entry with a decision, as the API describes it. Entries of other numbers are a minute apart and have other digests.
pub(super) fn entry(number: u64) -> Value {
    json!({
        "id": number,
        "sessionId": "abc",
        "requestId": format!("request-{number}"),
        "clientRequestId": format!("client-{number}"),
        "receivedDateTime": at(i64::try_from(number % 10_000).unwrap() * 60_000),
        "request": {
            "url": "/face/v1.2-preview.1/detectliveness/singlemodal",
            "method": "POST",
            "contentLength": 18,
            "contentType": "multipart/form-data",
            "userAgent": "Mozilla/5.0 (Linux; Android 14) AzureAIVision/1.4.8"
        },
        "response": {
            "body": {"livenessDecision": "realface", "modelVersionUsed": "2023-12-20-preview.06"},
            "statusCode": 200,
            "latencyInMilliseconds": 642
        },
        "digest": digest(number)
    })
}

/// The same with another value at a place such as `response.body`.
pub(super) fn with(mut entry: Value, place: &str, value: impl Into<Value>) -> Value {
    let mut member = &mut entry;
    for name in place.split('.') {
        member = &mut member[name];
    }
    *member = value.into();
    entry
}

/// The same without the member at a place.
pub(super) fn without(mut entry: Value, place: &str) -> Value {
    let (parents, name) = place.rsplit_once('.').unwrap_or(("", place));
    let mut member = &mut entry;
    for name in parents.split('.').filter(|name| !name.is_empty()) {
        member = &mut member[name];
    }
    member.as_object_mut().unwrap().remove(name).unwrap();
    entry
}

/// An entry of this number with this decision.
pub(super) fn decided(number: u64, decision: &str) -> Value {
    with(entry(number), "response.body.livenessDecision", decision)
}

/// From now on Azure has these entries.
pub(super) fn lists(stage: &Stage, path: &str, entries: &[Value]) {
    stage.azure.says(path, ok(&json!(entries).to_string()));
}

/// Asks as the app of this token, with a preference if there is one.
pub(super) fn ask(stage: &Stage, token: &str, path: &str, prefer: Option<&str>) -> Answer {
    let request = Request::get(path).key(token);
    match prefer {
        Some(prefer) => request.header("Prefer", prefer),
        None => request,
    }
    .send(stage.gateway.public)
}

/// What was added to each entry of an answer, in the order of the list.
#[track_caller]
pub(super) fn added(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let list = answer.json();
    let added = list.as_array().unwrap().iter().map(|entry| entry["gateway"].clone());
    let added: Vec<_> = added.collect();
    for member in &added {
        assert_eq!(member["schema"], "livegate.audit/1", "{list:#}");
    }
    added
}

/// What is added to these entries, which are all that Azure has of the session `abc`.
#[track_caller]
pub(super) fn enriched(stage: &Stage, entries: &[Value]) -> Vec<Value> {
    lists(stage, &audit("abc"), entries);
    let answer = stage.get(&audit("abc"));
    let sent = json!(entries).to_string();
    assert_eq!(String::from_utf8(bare(&answer.body)).unwrap(), sent);
    added(&answer)
}

/// The signals of each entry.
#[track_caller]
pub(super) fn signals(added: &[Value]) -> Vec<Vec<&str>> {
    let each = added.iter().map(|member| member["signals"].as_array().unwrap());
    each.map(|signals| signals.iter().map(|signal| signal.as_str().unwrap()).collect()).collect()
}

/// Whether each entry has this signal.
#[track_caller]
pub(super) fn has(added: &[Value], signal: &str) -> Vec<bool> {
    signals(added).iter().map(|signals| signals.contains(&signal)).collect()
}

/// One member of what was added to each entry; `null` where it is absent.
pub(super) fn each(added: &[Value], member: &str) -> Vec<Value> {
    added.iter().map(|added| added[member].clone()).collect()
}

/// Asserts that what was added has no members but these, which may be absent.
#[track_caller]
pub(super) fn no_more_than(added: &Value, members: &[&str]) {
    for name in added.as_object().unwrap().keys() {
        assert!(members.contains(&name.as_str()), "{name} in {added:#}");
    }
}

/// A list without what was added at the ends of its entries, every other byte as it was.
#[track_caller]
pub(super) fn bare(list: &[u8]) -> Vec<u8> {
    const ADDED: &[u8] = b"\"gateway\":{";
    let mut rest = list;
    let (mut out, mut depth, mut quoted) = (Vec::new(), 0, false);
    while let Some((&byte, behind)) = rest.split_first() {
        let empty = out.iter().rev().find(|byte: &&u8| !byte.is_ascii_whitespace()) == Some(&b'{');
        let candidate = if empty { Some(rest) } else { rest.strip_prefix(b",") };
        if !quoted
            && depth == 2
            && let Some(member) = candidate.and_then(|rest| rest.strip_prefix(ADDED))
        {
            rest = behind_object(member);
            assert!(rest.trim_ascii_start().starts_with(b"}"), "nothing stands behind it");
            continue;
        }
        match byte {
            b'\\' if quoted => {
                out.extend_from_slice(&rest[..2]);
                rest = &rest[2..];
                continue;
            }
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
        out.push(byte);
        rest = behind;
    }
    out
}

/// What follows the object of which the opening brace has gone by.
#[track_caller]
fn behind_object(mut rest: &[u8]) -> &[u8] {
    let (mut depth, mut quoted) = (1, false);
    while depth > 0 {
        match rest[0] {
            b'\\' => rest = &rest[1..],
            b'"' => quoted = !quoted,
            b'{' if !quoted => depth += 1,
            b'}' if !quoted => depth -= 1,
            _ => {}
        }
        rest = &rest[1..];
    }
    rest
}

#[test]
fn what_was_added_is_taken_out_and_nothing_else() {
    for (whole, expected) in [
        ("[]", "[]"),
        (r#"[{"gateway":{"a":"}"}}]"#, "[{}]"),
        (r#" [ { "gateway":{}} ] "#, " [ { } ] "),
        (
            r#"[{"a":1 ,"gateway":{"b":{"c":"\"}"}}},{"a":[{"x":1,"gateway":{}}]}]"#,
            r#"[{"a":1 },{"a":[{"x":1,"gateway":{}}]}]"#,
        ),
        (r#"[{"a":"{\",\"gateway\":{}"}]"#, r#"[{"a":"{\",\"gateway\":{}"}]"#),
    ] {
        assert_eq!(String::from_utf8(bare(whole.as_bytes())).unwrap(), expected);
    }
}
