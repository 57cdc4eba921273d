//! What is said of a digest that comes with a GET, and which answers are refused for it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::stage::{
    CLAIM, ENFORCE, FIRST, OFF, REQUIRE, SECOND, STRANGE, ask_as, available, claim, decision,
    failed, ga, modes, only, refused, say, twice, verdict,
};
use crate::memory::stage::{Stage, cache_status, hit, preview, session, told};
use crate::support::gateway::TOKEN;
use crate::support::http::{self, Headers, Request};

#[test]
fn all_verdicts_in_all_modes() {
    let stage = modes();
    let (two, none, open) = (session("two"), session("none"), session("open"));
    say(&stage, &two, &twice());
    say(&stage, &none, &ga("Failed", &[failed(1, "FaceWithMaskDetected")]));
    say(&stage, &open, &ga("Running", &[]));
    let second = SECOND.to_lowercase();
    for (path, digest, said, enforced, required) in [
        (&two, Some(second.as_str()), "match;attempt=2", false, false),
        (&two, Some(FIRST), "other-attempt;attempt=1", true, true),
        (&two, Some(STRANGE), "mismatch", true, true),
        (&two, Some("what is this"), "malformed", true, true),
        (&two, None, "unreported", false, true),
        (&none, None, "unavailable", false, false),
        (&none, Some(STRANGE), "unavailable", false, false),
        (&open, None, "pending", false, false),
        (&open, Some(STRANGE), "pending", false, false),
    ] {
        let off = ask_as(&stage, OFF, path, digest);
        assert_eq!((off.status, verdict(&off)), (200, None), "{off:?}");
        let observed = ask_as(&stage, TOKEN, path, digest);
        assert_eq!((observed.status, verdict(&observed)), (200, Some(said)), "{observed:?}");
        for (token, is_refused) in [(ENFORCE, enforced), (REQUIRE, required)] {
            let answer = ask_as(&stage, token, path, digest);
            if is_refused {
                refused(&answer, said);
                continue;
            }
            assert_eq!(verdict(&answer), Some(said), "{answer:?}");
            // A verdict that refuses nothing changes nothing of the answer.
            assert_eq!(decision(&answer), decision(&observed));
            assert_eq!((&answer.body, answer.header("etag")), (&off.body, off.header("etag")));
        }
        assert_eq!(decision(&off), decision(&observed));
    }
}

#[test]
fn what_a_verdict_is_about_is_told_to_whatever_keeps_the_answer() {
    let stage = modes();
    let (path, open) = (session("abc"), session("open"));
    say(&stage, &path, &twice());
    say(&stage, &open, &ga("Running", &[]));
    for _ in 0..2 {
        for token in [TOKEN, ENFORCE] {
            for digest in [None, Some(SECOND)] {
                let answer = ask_as(&stage, token, &path, digest);
                assert_eq!(only(&answer, "cache-control"), Some("private"));
                assert_eq!(
                    only(&answer, "vary"),
                    Some("Liveness-Client-Digest, Liveness-Expected-Verify-Image")
                );
            }
        }
        let off = ask_as(&stage, OFF, &path, Some(SECOND));
        assert_eq!(only(&off, "cache-control"), Some("private"));
        let off = ask_as(&stage, OFF, &open, None);
        assert_eq!(only(&off, "cache-control"), Some("private, no-cache"));
    }
}

#[test]
fn refusals_are_not_kept_and_what_is_kept_has_no_verdict() {
    let stage = modes();
    let path = session("abc");
    say(&stage, &path, &twice());
    let ask = |token, digest| ask_as(&stage, token, &path, digest);
    for _ in 0..3 {
        refused(&ask(ENFORCE, Some(STRANGE)), "mismatch");
        refused(&ask(REQUIRE, None), "unreported");
        for (token, digest, said) in [
            (ENFORCE, SECOND, "match;attempt=2"),
            (TOKEN, FIRST, "other-attempt;attempt=1"),
            (REQUIRE, SECOND, "match;attempt=2"),
            (TOKEN, STRANGE, "mismatch"),
        ] {
            let answer = ask(token, Some(digest));
            hit(&answer);
            assert_eq!(verdict(&answer), Some(said), "{answer:?}");
        }
        let off = ask(OFF, None);
        hit(&off);
        assert_eq!(verdict(&off), None);
    }
    assert_eq!(stage.azure.calls(&path), 1);
    // A refusal says how it was come by as any other answer to a GET does.
    let status = ask(ENFORCE, Some(STRANGE));
    assert!(cache_status(&status).starts_with("livegate"), "{status:?}");
}

#[test]
fn who_shares_an_answer_has_a_verdict_of_its_own() {
    let stage = Stage::with("running_ttl = \"60s\"\n");
    let path = preview("abc");
    let content = json!({"livenessDecision": "realface"});
    say(&stage, &path, &available(false, &content, FIRST));
    assert_eq!(verdict(&claim(&stage, &path, FIRST)), Some("match"));
    for (digest, said) in [(FIRST, "match"), (STRANGE, "mismatch"), ("", "malformed")] {
        let answer = claim(&stage, &path, digest);
        told(&answer, 200, "livegate; hit; ttl=0");
        assert_eq!(verdict(&answer), Some(said), "{digest}");
        assert_eq!(decision(&answer), "realface;final=?0");
    }
    assert_eq!(verdict(&stage.get(&path)), Some("unreported"));
    assert_eq!(stage.azure.calls(&path), 1);
}

#[test]
fn what_is_the_same_as_before_has_a_verdict_too() {
    let stage = modes();
    let path = session("abc");
    say(&stage, &path, &twice());
    let tag = stage.get(&path).header("etag").unwrap().to_owned();
    let unless = |token: &str, digest: Option<&str>| {
        let request = Request::get(&path).key(token).header("If-None-Match", &tag);
        let request = match digest {
            Some(digest) => request.header(CLAIM, digest),
            None => request,
        };
        request.send(stage.gateway.public)
    };
    for (token, digest, said) in [
        (TOKEN, None, Some("unreported")),
        (TOKEN, Some(SECOND), Some("match;attempt=2")),
        (TOKEN, Some(FIRST), Some("other-attempt;attempt=1")),
        (TOKEN, Some(STRANGE), Some("mismatch")),
        (TOKEN, Some("x"), Some("malformed")),
        (ENFORCE, Some(SECOND), Some("match;attempt=2")),
        (OFF, Some(SECOND), None),
    ] {
        let answer = unless(token, digest);
        assert_eq!((answer.status, verdict(&answer)), (304, said), "{digest:?} {answer:?}");
        assert!(answer.body.is_empty());
    }
    // That the app has the same bytes is no way around a refusal.
    refused(&unless(ENFORCE, Some(STRANGE)), "mismatch");
    refused(&unless(REQUIRE, None), "unreported");
}

#[test]
fn head_says_the_same_without_content() {
    let stage = modes();
    let path = session("abc");
    say(&stage, &path, &twice());
    let (line, fields, rest) = stage.raw("HEAD", &path, &format!("{CLAIM}: {SECOND}\r\n"));
    assert!(line.contains(" 200 "), "{line}");
    assert_eq!(fields.get("liveness-digest"), Some("match;attempt=2"));
    assert_eq!(fields.get("liveness-decision"), Some("realface;attempt=2;attempts=2"));
    assert_eq!(rest, b"");
    let (line, fields, rest) = head_as(&stage, ENFORCE, &path, FIRST);
    assert!(line.contains(" 412 "), "{line}");
    assert_eq!(fields.get("liveness-digest"), Some("other-attempt;attempt=1"));
    assert_eq!(fields.get("x-ms-error-code"), Some("DigestMismatch"));
    for absent in ["liveness-decision", "etag"] {
        assert_eq!(fields.get(absent), None, "{absent} in {fields:?}");
    }
    assert_eq!(rest, b"");
}

/// Sends HEAD with a digest and reads to the end of the connection.
fn head_as(stage: &Stage, token: &str, path: &str, digest: &str) -> (String, Headers, Vec<u8>) {
    let mut stream = TcpStream::connect(stage.gateway.public).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!(
        "HEAD {path} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {token}\r\n\
         {CLAIM}: {digest}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut rest = bytes.as_slice();
    let (line, fields) = http::read_head(&mut rest).unwrap();
    (line, fields, rest.to_vec())
}

#[test]
fn what_is_no_digest_is_malformed() {
    let stage = modes();
    let path = session("abc");
    say(&stage, &path, &twice());
    let (short, long) = (SECOND.split_at(1).1, format!("{SECOND}0"));
    let odd = format!("{short}G");
    let (list, quoted) = (format!("{SECOND}, {SECOND}"), format!("\"{SECOND}\""));
    let (prefixed, bytes) = (format!("0x{}", SECOND.split_at(2).1), format!(":{SECOND}:"));
    let attempts = ["x", "-1", "1.5", "\"two\""].map(|name| format!("{SECOND};attempt={name}"));
    let mut forms = vec![short, &long, &odd, &list, &quoted, &prefixed, &bytes, "", "é"];
    forms.extend(attempts.iter().map(String::as_str));
    for form in forms {
        let answer = claim(&stage, &path, form);
        assert_eq!((answer.status, verdict(&answer)), (200, Some("malformed")), "{form}");
        refused(&ask_as(&stage, ENFORCE, &path, Some(form)), "malformed");
    }
    // Several are malformed, even where all are right.
    for second in [SECOND, STRANGE, ""] {
        let request = Request::get(&path).key(TOKEN).header(CLAIM, SECOND).header(CLAIM, second);
        let answer = request.send(stage.gateway.public);
        assert_eq!(verdict(&answer), Some("malformed"), "{second}");
    }
}

/// It is for the log of whoever reads it: the digest itself tells which attempt it is of.
#[test]
fn the_attempt_that_is_named_beside_a_digest_changes_nothing() {
    let stage = modes();
    let path = session("abc");
    say(&stage, &path, &twice());
    for named in [1, 2, 7] {
        for (digest, said) in
            [(SECOND, "match;attempt=2"), (FIRST, "other-attempt;attempt=1"), (STRANGE, "mismatch")]
        {
            let answer = claim(&stage, &path, &format!("{digest};attempt={named}"));
            assert_eq!(verdict(&answer), Some(said), "{digest};attempt={named}");
        }
    }
}
