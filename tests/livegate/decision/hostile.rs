//! Sessions that cannot be read: they pass as they are, and nothing is believed of them.

mod members;

use super::stage::{
    ENFORCE, FIRST, REQUIRE, SECOND, ask_as, claim, decision, modes, only, register, stands, sum,
    verdict,
};
use crate::memory::azure::ok;
use crate::memory::stage::{MISS, Stage, cache_status, hit, preview, session};
use crate::support::gateway::TOKEN;
use crate::support::http::Request;
use crate::support::{upstream, wait};

const BAD_JSON: &str = "livegate_upstream_errors_total{kind=\"bad_json\",upstream=\"emulated\"}";

/// A session of v1.2 with these members beside its status.
fn ga(members: &str) -> String {
    format!("{{\"status\":\"Succeeded\",{members}}}")
}

/// The same with these attempts.
fn attempts(attempts: &str) -> String {
    ga(&format!("\"results\":{{\"attempts\":[{attempts}]}}"))
}

/// One attempt of this id that would decide.
fn numbered(id: &str) -> String {
    format!("{{\"attemptId\":{id},\"attemptStatus\":\"Succeeded\",\"result\":{}}}", good(FIRST))
}

fn good(digest: &str) -> String {
    format!("{{\"livenessDecision\":\"realface\",\"digest\":\"{digest}\"}}")
}

/// A preview's session with these members beside its status.
fn old(members: &str) -> String {
    format!("{{\"status\":\"ResultAvailable\",\"sessionExpired\":true,{members}}}")
}

/// The same with a result of these members.
fn entry(members: &str) -> String {
    old(&format!("\"result\":{{\"id\":1,{members}}}"))
}

/// The beginning of a content, for who reads why a test failed.
fn start(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned()
}

/// Asserts that contents pass byte for byte, and that nothing else comes of them.
#[track_caller]
fn unreadable(path: &str, bodies: impl IntoIterator<Item = Vec<u8>>) {
    let stage = modes();
    let fields = [("Content-Type", "application/json")];
    let mut believed = Vec::new();
    for body in bodies {
        // What was believed of one must not hide what is believed of the next.
        let purge = Request::new("POST", "/cache/purge").send(stage.gateway.admin);
        assert_eq!(purge.status, 200);
        stage.azure.says(path, upstream::answer(200, &fields, &body));
        for (token, digest) in
            [(TOKEN, None), (TOKEN, Some(FIRST)), (ENFORCE, Some(SECOND)), (REQUIRE, None)]
        {
            let before = (stage.metric(BAD_JSON), stage.azure.calls(path));
            let answer = ask_as(&stage, token, path, digest);
            let after = (stage.metric(BAD_JSON), stage.azure.calls(path));
            let right = answer.status == 200
                && answer.body == body
                && cache_status(&answer) == MISS
                && only(&answer, "liveness-decision") == Some("none")
                && verdict(&answer) == Some("unavailable")
                && after == (before.0 + 1, before.1 + 1);
            if !right {
                let body = start(&body);
                let told = ["liveness-decision", "liveness-digest", "cache-status"]
                    .map(|name| answer.header(name));
                believed.push(format!("{body}\n    {told:?} {before:?} {after:?}"));
                break;
            }
        }
    }
    assert!(believed.is_empty(), "{} were believed:\n{}", believed.len(), believed.join("\n"));
    assert_eq!(stage.metric("livegate_cache_entries"), 0);
    for counted in ["attempts", "attempt_errors", "sessions", "signals"] {
        assert_eq!(sum(&stage, &format!("livegate_liveness_{counted}_total"), &[]), 0.0);
    }
}

#[track_caller]
fn unreadable_texts<'a>(path: &str, bodies: impl IntoIterator<Item = &'a str>) {
    unreadable(path, bodies.into_iter().map(|body| body.as_bytes().to_vec()));
}

/// Asserts that contents are read, so that those beside them fail for what they should.
#[track_caller]
fn readable(path: &str, said: &str, bodies: impl IntoIterator<Item = String>) {
    let stage = Stage::set();
    for body in bodies {
        assert_eq!(stage.delete(path).status, 204);
        stage.azure.says(path, ok(&body));
        let answer = stage.get(path);
        assert_eq!(decision(&answer), said, "{}", start(body.as_bytes()));
    }
    assert_eq!(stage.metric(BAD_JSON), 0);
}

#[test]
fn what_is_no_object_with_a_status() {
    let whole = attempts(&numbered("1"));
    readable(&session("abc"), "realface;attempt=1;attempts=1", [whole.clone()]);
    let bodies = [
        "",
        " ",
        "{}",
        "[]",
        "null",
        "1",
        "\"Succeeded\"",
        "Succeeded",
        "<html></html>",
        "{\"status\":null}",
        "{\"status\":5}",
        "{\"status\":[\"Succeeded\"]}",
        "{\"status\":true}",
        "{\"sessionId\":\"abc\",\"authToken\":\"t\"}",
        "{\"Status\":\"Succeeded\"}",
        "{\"status\":\"Succeeded\"",
        "{\"status\":\"Succeeded\"}}",
        "{\"status\":\"Succeeded\"} {}",
        "{\"status\":\"Succeeded\",}",
        "{'status':'Succeeded'}",
        "\u{feff}{\"status\":\"Succeeded\"}",
        "[{\"status\":\"Succeeded\"}]",
        "{\"status\":\"Succeeded\\ud800\"}",
        whole.split_at(whole.len() - 1).0,
        whole.split_at(whole.len() / 2).0,
        &format!("{whole}x"),
    ];
    unreadable_texts(&session("abc"), bodies);
    unreadable_texts(&preview("abc"), bodies);
}

#[test]
fn attempts_that_cannot_be_told_apart() {
    let nameless = format!("{{\"attemptStatus\":\"Succeeded\",\"result\":{}}}", good(FIRST));
    let (one, two) = (numbered("1"), numbered("2"));
    unreadable_texts(
        &session("abc"),
        [
            attempts(&format!("{one},{one}")),
            attempts(&format!("{two},{one},{two}")),
            attempts(&format!("{nameless},{one}")),
            attempts(&format!("{one},{nameless}")),
            attempts(&format!("{nameless},{nameless}")),
        ]
        .iter()
        .map(String::as_str),
    );
}

#[test]
fn more_attempts_than_anybody_makes() {
    let many = |count: usize| {
        let all: Vec<_> = (1..=count).map(|id| format!("{{\"attemptId\":{id}}}")).collect();
        attempts(&format!("{},{}", numbered(&(count + 1).to_string()), all.join(",")))
    };
    readable(&session("abc"), "realface;attempt=100;attempts=100", [many(99)]);
    unreadable(&session("abc"), [many(100), many(9_999)].map(String::into_bytes));
}

#[test]
fn more_levels_than_anybody_needs() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let objects = |levels: usize| "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
    let results = format!("\"results\":{{\"attempts\":[{}]}}", numbered("1"));
    let unknown = |value: &str| ga(&format!("{results},\"unknown\":{value}"));
    // The object itself is a level too. Brackets within a text are none.
    let text = unknown(&format!("\"{}\"", "[".repeat(1_000)));
    let flat = unknown(&format!("[{}1]", "[],".repeat(1_000)));
    let fitting = [unknown(&nested(127)), unknown(&objects(127)), text, flat];
    readable(&session("abc"), "realface;attempt=1;attempts=1", fitting);
    unreadable(
        &session("abc"),
        [
            unknown(&nested(128)),
            unknown(&objects(128)),
            unknown(&nested(10_000)),
            unknown(&objects(10_000)),
            ga(&format!("\"results\":{}", nested(10_000))),
            nested(10_000),
            "[".repeat(100_000),
            "{\"status\":".repeat(10_000),
        ]
        .map(String::into_bytes),
    );
    unreadable(
        &preview("abc"),
        [
            entry(&format!("\"response\":{{\"statusCode\":200,\"body\":{}}}", objects(10_000))),
            old(&format!("\"unknown\":{}", nested(128))),
        ]
        .map(String::into_bytes),
    );
}

#[test]
fn bytes_that_are_no_text() {
    let whole = attempts(&numbered("1"));
    let with = |bytes: &[u8]| {
        let unknown = [b"{\"unknown\":\"", bytes, b"\","].concat();
        [&unknown, &whole.as_bytes()[1..]].concat()
    };
    readable(
        &session("abc"),
        "realface;attempt=1;attempts=1",
        [String::from_utf8(with("é漢".as_bytes())).unwrap()],
    );
    // Broken, overlong, half of a pair, beyond the last, and UTF-16.
    let wide: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let broken = [
        with(b"\xff"),
        with(b"\xc0\xaf"),
        with(b"\xed\xa0\x80"),
        with(b"\xf5\x80\x80\x80"),
        with(b"\xe6\xbc"),
        with(b"\0"),
        with(b"\n"),
        wide,
    ];
    unreadable(&session("abc"), broken.clone());
    unreadable(&preview("abc"), broken);
}

#[test]
fn each_is_warned_of_in_the_log() {
    let stage = Stage::set();
    let path = session("abc");
    let warnings = || {
        let log = stage.gateway.process.stderr();
        log.lines().filter(|line| line.contains("\"WARN\"")).count()
    };
    let before = warnings();
    stage.azure.says(&path, ok("{\"status\":\"Succeeded\",\"secret-content\":"));
    assert_eq!(claim(&stage, &path, FIRST).status, 200);
    assert!(wait::until(|| (warnings() > before).then_some(())).is_some(), "no warning");
    // What is logged next comes behind it, and there is no second one.
    let reload = Request::new("POST", "/reload").send(stage.gateway.admin);
    assert_eq!(reload.status, 200);
    assert_eq!(warnings(), before + 1, "{}", stage.gateway.process.stderr());
    assert!(!stage.gateway.process.stderr().contains("secret-content"));
}

#[test]
fn what_can_be_read_again_is_believed_again() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok("{"));
    assert_eq!(verdict(&claim(&stage, &path, FIRST)), Some("unavailable"));
    stands(&register(&stage, "abc", FIRST, None), "pending");
    stage.azure.says(&path, ok(&attempts(&numbered("1"))));
    for _ in 0..2 {
        let answer = stage.get(&path);
        assert_eq!(decision(&answer), "realface;attempt=1;attempts=1");
        assert_eq!(verdict(&answer), Some("match;attempt=1"));
    }
    hit(&stage.get(&path));
    assert_eq!(stage.metric(BAD_JSON), 1);
}
