//! Digests that are reported before anybody asks for the session: `PUT /livegate/v1/sessions/{id}/client-digest`.

use std::thread;

use serde_json::json;

use super::stage::{
    ENFORCE, FIRST, OFF, REQUIRE, SECOND, STRANGE, ask_as, attempt, available, decision, failed,
    ga, modes, only, preview_verify, put, refused, register, say, stands, twice, verdict, verify,
};
use crate::memory::stage::{STORED, Stage, hit, preview, session, told};
use crate::support::gateway::TOKEN;
use crate::support::http::{Answer, Connection, Request};

const OTHER: &str = "app-token-other-0123456789";

fn target(id: &str) -> String {
    format!("/livegate/v1/sessions/{id}/client-digest")
}

/// Asserts one of the gateway's own errors, which says nothing of any digest.
#[track_caller]
fn failed_with(what: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert_eq!(answer.error_code(), code, "{what}");
    assert_eq!(answer.header("x-ms-error-code"), Some(code), "{what}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(verdict(answer), None, "{what}");
}

#[track_caller]
fn conflicts(answer: &Answer) {
    failed_with("another one", answer, 409, "DigestConflict");
    let text = answer.text().to_uppercase();
    for digest in [FIRST, SECOND, STRANGE] {
        assert!(!text.contains(digest), "{text}");
    }
}

#[test]
fn the_first_report_stands() {
    let stage = Stage::set();
    let report = |digest: &str, attempt| register(&stage, "abc", digest, attempt);
    for digest in [FIRST, FIRST, &FIRST.to_lowercase()] {
        let answer = report(digest, None);
        stands(&answer, "pending");
        assert_eq!((answer.body.len(), only(&answer, "liveness-decision")), (0, None));
    }
    conflicts(&report(SECOND, None));
    // Each attempt has a place of its own, and none of them is that of no attempt.
    for (number, digest, other) in [(1, SECOND, FIRST), (2, FIRST, SECOND), (100, STRANGE, FIRST)] {
        stands(&report(digest, Some(number)), "pending");
        stands(&report(&digest.to_lowercase(), Some(number)), "pending");
        conflicts(&report(other, Some(number)));
    }
    // Refused ones changed nothing.
    stands(&report(FIRST, None), "pending");
    stands(&report(SECOND, Some(1)), "pending");
    // Another session has places of its own.
    stands(&register(&stage, "abd", SECOND, None), "pending");
    assert!(stage.azure.upstream.recorded().is_empty());
}

#[test]
fn of_many_at_once_one_stands() {
    let stage = Stage::set();
    let digests: Vec<_> = (0..8).map(|number| STRANGE.replace('0', &number.to_string())).collect();
    let answers: Vec<_> = thread::scope(|scope| {
        let report = |digest| register(&stage, "abc", digest, Some(1)).status;
        let all: Vec<_> =
            digests.iter().map(|digest| scope.spawn(move || report(digest))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let standing: Vec<_> =
        digests.iter().zip(&answers).filter(|(_, status)| **status == 204).collect();
    assert_eq!((standing.len(), answers.iter().filter(|status| **status == 409).count()), (1, 7));
    stands(&register(&stage, "abc", standing[0].0, Some(1)), "pending");
}

#[test]
fn what_is_no_report_is_refused() {
    let stage = Stage::set();
    let digest = |value: &str| format!("{{\"digest\":{value}}}");
    let attempt = |value: &str| format!("{{\"digest\":\"{FIRST}\",\"attempt\":{value}}}");
    let quoted = |value: &str| digest(&format!("\"{value}\""));
    let mut contents = vec![
        String::new(),
        "{".to_owned(),
        "digest".to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        format!("\"{FIRST}\""),
        format!("[\"{FIRST}\"]"),
        format!("[\"{FIRST}\",1]"),
        "{\"attempt\":1}".to_owned(),
        format!("{{\"digest\":\"{FIRST}\"}} {{}}"),
        format!("{{\"digest\":\"{FIRST}\",\"unknown\":1}}"),
        format!("{{\"Digest\":\"{FIRST}\"}}"),
        format!("{{\"digest\":\"{FIRST}\",\"digest\":\"{SECOND}\"}}"),
    ];
    contents.extend(["null", "1", "[]", "{}", "true"].map(digest));
    let (short, long) = (FIRST.split_at(1).1, format!("{FIRST}0"));
    let odd = format!("{short}G");
    contents.extend([short, &long, &odd, "", " "].map(quoted));
    contents.push(quoted(&format!("{FIRST};attempt=1")));
    contents.extend(["0", "101", "\"2\"", "-1", "1.5", "[1]", "true", "1e99"].map(attempt));
    contents.push(attempt(&"9".repeat(30)));
    for content in contents {
        let answer = put(&stage, TOKEN, "abc", content.clone());
        failed_with(&content, &answer, 400, "BadArgument");
    }
    let broken = [b"{\"digest\":\"", &FIRST.as_bytes()[1..], b"\xff\"}"].concat();
    failed_with("no text", &put(&stage, TOKEN, "abc", broken), 400, "BadArgument");
    // Nothing of all this was taken in.
    stands(&register(&stage, "abc", STRANGE, None), "pending");
    stands(&register(&stage, "abc", STRANGE, Some(1)), "pending");
    assert!(stage.azure.upstream.recorded().is_empty());
}

#[test]
fn ids_are_as_for_sessions() {
    let stage = Stage::set();
    for id in ["a%20b", "a_b", "a.b", "%61bc", "a%2Fb", &"a".repeat(65)] {
        let answer = register(&stage, id, FIRST, None);
        failed_with(id, &answer, 400, "BadArgument");
    }
    let longest = "a".repeat(64);
    for id in ["a", "0", "A-b-9", "b12e033e-bda7-4b83-a211-e721c661f30e", &longest] {
        stands(&register(&stage, id, FIRST, None), "pending");
    }
    let odd = Request::new("PUT", "/LiveGate/V1/SESSIONS/a/Client-Digest").key(TOKEN);
    let odd = odd.json(&json!({"digest": SECOND})).send(stage.gateway.public);
    failed_with("whatever the path's case", &odd, 409, "DigestConflict");
    for path in ["/livegate/v1/sessions/a", "/livegate/v2/sessions/a/client-digest", "/livegate"] {
        let answer = Request::new("PUT", path).key(TOKEN).json(&json!({"digest": FIRST}));
        failed_with(path, &answer.send(stage.gateway.public), 404, "ResourceNotFound");
    }
}

#[test]
fn who_may_report_is_who_may_read_sessions() {
    let stage = Stage::built(|builder| {
        builder
            .app("lister", "app-token-lister-0123456789", &["list", "create", "delete", "audit"])
            .app("reader", OTHER, &["session"])
    });
    let content = json!({"digest": FIRST}).to_string();
    for token in ["app-token-of-a-stranger", ""] {
        let answer = put(&stage, token, "abc", content.clone());
        failed_with(token, &answer, 401, "Unauthorized");
        assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
    }
    let nobody = Request::new("PUT", &target("abc")).body("application/json", content.clone());
    failed_with("nobody", &nobody.send(stage.gateway.public), 401, "Unauthorized");
    let lister = put(&stage, "app-token-lister-0123456789", "abc", content.clone());
    failed_with("lister", &lister, 403, "Forbidden");
    // None of them took the place.
    stands(&register(&stage, "abc", SECOND, None), "pending");
    let bearer = Request::new("PUT", &target("abc")).body("application/json", content);
    let bearer = bearer.header("Authorization", &format!("Bearer {OTHER}"));
    conflicts(&bearer.send(stage.gateway.public));
}

#[test]
fn it_can_only_be_put() {
    let stage = Stage::set();
    for method in ["GET", "POST", "DELETE", "PATCH", "OPTIONS"] {
        let answer = Request::new(method, &target("abc")).key(TOKEN).send(stage.gateway.public);
        failed_with(method, &answer, 405, "MethodNotAllowed");
        assert_eq!(only(&answer, "allow"), Some("PUT"), "{method}");
    }
    assert!(stage.azure.upstream.recorded().is_empty());
}

#[test]
fn a_report_has_4_kib_at_most() {
    let stage = Stage::set();
    let content = json!({"digest": FIRST}).to_string();
    let padded = |length: usize| content.clone() + &" ".repeat(length - content.len());
    let answer = put(&stage, TOKEN, "longer", padded(4097));
    failed_with("longer", &answer, 413, "RequestTooLarge");
    stands(&put(&stage, TOKEN, "abc", padded(4096)), "pending");
    // The same where its length is not told before.
    for (length, status) in [(4096, 204), (4097, 413), (40_000, 413)] {
        let mut connection = Connection::open(stage.gateway.public);
        let head = format!(
            "PUT {} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            target(&format!("chunks-{length}"))
        );
        connection.write(head.as_bytes()).unwrap();
        for chunk in padded(length).as_bytes().chunks(500) {
            let chunk = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
            // It may be refused before all is written.
            drop(connection.write(&chunk));
        }
        drop(connection.write(b"0\r\n\r\n"));
        let answer = connection.read().unwrap();
        assert_eq!(answer.status, status, "{length}: {answer:?}");
    }
}

#[test]
fn what_was_reported_is_used_by_every_path_of_the_session() {
    let stage = Stage::set();
    let content = json!({"livenessDecision": "realface"});
    let next = |path: String| path.replace("/v1.2/", "/v1.3-preview.1/");
    let first = |path: String| path.replace("/v1.2-preview.1/", "/v1.1-preview.1/");
    stands(&register(&stage, "abc", SECOND, None), "pending");
    for path in [session("abc"), next(session("abc")), verify("abc"), next(verify("abc"))] {
        say(&stage, &path, &twice());
        assert_eq!(verdict(&stage.get(&path)), Some("match;attempt=2"), "{path}");
    }
    for path in [preview("abc"), preview_verify("abc")] {
        for path in [first(path.clone()), path] {
            say(&stage, &path, &available(true, &content, SECOND));
            assert_eq!(verdict(&stage.get(&path)), Some("match"), "{path}");
            hit(&stage.get(&path));
        }
    }
    let other = session("abd");
    say(&stage, &other, &twice());
    assert_eq!(verdict(&stage.get(&other)), Some("unreported"));
}

#[test]
fn what_comes_with_the_question_counts_before_what_was_reported() {
    let stage = Stage::set();
    let (right, wrong) = (session("right"), session("wrong"));
    say(&stage, &right, &twice());
    say(&stage, &wrong, &twice());
    stands(&register(&stage, "right", SECOND, Some(2)), "pending");
    stands(&register(&stage, "wrong", STRANGE, Some(2)), "pending");
    for _ in 0..2 {
        for (path, digest, said) in [
            (&right, None, "match;attempt=2"),
            (&right, Some(STRANGE), "mismatch"),
            (&right, Some(FIRST), "other-attempt;attempt=1"),
            (&right, Some("x"), "malformed"),
            (&wrong, None, "mismatch"),
            (&wrong, Some(SECOND), "match;attempt=2"),
            (&wrong, Some(""), "malformed"),
        ] {
            let answer = ask_as(&stage, TOKEN, path, digest);
            assert_eq!(verdict(&answer), Some(said), "{digest:?} for {path}");
        }
    }
}

#[test]
fn of_what_was_reported_the_deciding_attempts_counts_first() {
    let stage = Stage::set();
    let all = [attempt(1, "realface", FIRST), attempt(3, "realface", SECOND), failed(2, "No")];
    let none = None::<u64>;
    // What is reported, and what is said of it where attempt 3 decides; STRANGE tells which one was taken.
    for (index, (reports, said)) in [
        (vec![(Some(3), SECOND), (none, STRANGE), (Some(4), STRANGE)], "match;attempt=3"),
        (vec![(Some(4), SECOND), (none, SECOND), (Some(3), STRANGE)], "mismatch"),
        (vec![(none, SECOND), (Some(1), STRANGE), (Some(4), STRANGE)], "match;attempt=3"),
        (vec![(Some(9), SECOND), (Some(1), SECOND), (none, STRANGE)], "mismatch"),
        (vec![(Some(1), STRANGE), (Some(2), SECOND)], "match;attempt=3"),
        (vec![(Some(2), STRANGE), (Some(1), SECOND)], "mismatch"),
        (vec![(Some(10), FIRST), (Some(9), STRANGE)], "other-attempt;attempt=1"),
        (vec![(Some(1), FIRST)], "other-attempt;attempt=1"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("s-{index}");
        for (number, digest) in &reports {
            stands(&register(&stage, &id, digest, *number), "pending");
        }
        say(&stage, &session(&id), &ga("Succeeded", &all));
        let answer = stage.get(&session(&id));
        assert_eq!(verdict(&answer), Some(said), "{reports:?}");
        assert_eq!(decision(&answer), "realface;attempt=3;attempts=3");
    }
}

/// The previews do not tell which attempt decided.
#[test]
fn for_a_preview_what_names_no_attempt_counts_first() {
    let stage = Stage::set();
    let content = json!({"livenessDecision": "realface"});
    for (id, reports, said) in [
        ("a", vec![(Some(1), STRANGE), (None, FIRST), (Some(2), STRANGE)], "match"),
        ("b", vec![(Some(1), STRANGE), (Some(2), FIRST)], "match"),
        ("c", vec![(Some(2), STRANGE), (Some(1), FIRST)], "mismatch"),
    ] {
        for (number, digest) in reports {
            stands(&register(&stage, id, digest, number), "pending");
        }
        say(&stage, &preview(id), &available(true, &content, FIRST));
        assert_eq!(verdict(&stage.get(&preview(id))), Some(said), "{id}");
    }
}

#[test]
fn the_verdict_is_told_at_once_where_the_session_is_kept() {
    let stage = Stage::set();
    for (id, digest, said) in [
        ("right", SECOND, "match;attempt=2"),
        ("other", FIRST, "other-attempt;attempt=1"),
        ("wrong", STRANGE, "mismatch"),
    ] {
        say(&stage, &session(id), &twice());
        told(&stage.get(&session(id)), 200, STORED);
        stands(&register(&stage, id, digest, Some(2)), said);
        stands(&register(&stage, id, digest, Some(2)), said);
        let answer = stage.get(&session(id));
        hit(&answer);
        assert_eq!(verdict(&answer), Some(said));
        assert_eq!(stage.azure.calls(&session(id)), 1);
    }
    say(&stage, &verify("failed"), &ga("Failed", &[failed(1, "No")]));
    stage.get(&verify("failed"));
    stands(&register(&stage, "failed", SECOND, None), "unavailable");
    say(&stage, &preview("old"), &available(true, &json!({}), FIRST));
    stage.get(&preview("old"));
    stands(&register(&stage, "old", FIRST, Some(1)), "match");
    // What is not kept is not asked for.
    say(&stage, &session("running"), &ga("Running", &[]));
    stage.get(&session("running"));
    stands(&register(&stage, "running", FIRST, None), "pending");
    assert_eq!(stage.azure.upstream.recorded().len(), 6);
}

#[test]
fn the_mode_decides_over_questions_and_not_over_reports() {
    let stage = modes();
    let ask = |token: &str, id: &str| ask_as(&stage, token, &session(id), None);
    for (id, digest, said) in [("right", SECOND, "match;attempt=2"), ("wrong", STRANGE, "mismatch")]
    {
        say(&stage, &session(id), &twice());
        refused(&ask(REQUIRE, id), "unreported");
        let content = json!({"digest": digest}).to_string();
        stands(&put(&stage, REQUIRE, id, content.clone()), said);
        let off = put(&stage, OFF, id, content);
        assert_eq!((off.status, verdict(&off)), (204, None), "{off:?}");
        assert_eq!(verdict(&ask(OFF, id)), None);
        // One app's report counts for all apps of the upstream.
        assert_eq!(verdict(&ask(TOKEN, id)), Some(said));
        for token in [ENFORCE, REQUIRE] {
            let answer = ask(token, id);
            if said == "mismatch" {
                refused(&answer, said);
            } else {
                assert_eq!((answer.status, verdict(&answer)), (200, Some(said)), "{answer:?}");
            }
        }
    }
}
