//! What an app has already need not be told again; and HEAD tells all but the content.

use super::azure::{DEAD_TOKEN, absent, ended, ok, result, running, succeeded};
use super::stage::{MISS, STORED, Stage, cache_status, hit, session, told, ttl};
use crate::support::http::Answer;

/// Without the members whose values depend on the moment.
fn lasting(fields: &[(String, String)]) -> Vec<(String, String)> {
    let lasting = |name: &str| {
        let passing = ["age", "date", "cache-status", "connection"];
        !passing.iter().any(|other| other.eq_ignore_ascii_case(name))
    };
    let mut fields: Vec<_> = fields.iter().filter(|(name, _)| lasting(name)).cloned().collect();
    fields.sort();
    fields
}

/// RFC 9110 §15.4.5.
#[track_caller]
fn unchanged(answer: &Answer, tag: &str, control: &str) {
    assert_eq!(answer.status, 304, "{answer:?}");
    assert_eq!(answer.header("etag"), Some(tag), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some(control), "{answer:?}");
    for field in ["content-type", "liveness-decision"] {
        assert_eq!(answer.header(field), None, "{field} of {answer:?}");
    }
    let length = answer.header("content-length");
    assert!(length.is_none_or(|length| length != "0"), "{answer:?}");
}

fn tag_of(answer: &Answer) -> String {
    answer.header("etag").unwrap().to_owned()
}

#[test]
fn what_an_app_has_of_a_kept_session_is_not_sent_again() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let tag = tag_of(&stage.get(&path));
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = stage.get_with(&path, "If-None-Match", &known);
        unchanged(&answer, &tag, "private");
        assert!(ttl(&answer).unwrap() > 3500, "{answer:?}");
        assert!(answer.header("age").is_some());
        // There is nothing behind the head.
        let (line, _, rest) = stage.raw("GET", &path, &format!("If-None-Match: {known}\r\n"));
        assert!(line.contains(" 304 ") && rest.is_empty(), "{line} {rest:?}");
    }
    for unknown in ["\"other\"", "other", "\"\"", &tag.to_uppercase(), tag.trim_matches('"')] {
        let answer = stage.get_with(&path, "If-None-Match", unknown);
        hit(&answer);
        assert_eq!(answer.text(), succeeded("abc").replace(DEAD_TOKEN, ""), "{unknown}");
    }
    assert_eq!(stage.azure.calls(&path), 1);
}

#[test]
fn what_an_app_has_of_a_session_that_goes_on_is_asked_for_and_not_sent_again() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let tag = tag_of(&stage.get(&path));
    for calls in 2..=3 {
        let answer = stage.get_with(&path, "If-None-Match", &tag);
        unchanged(&answer, &tag, "private, no-cache");
        assert_eq!(cache_status(&answer), MISS);
        assert_eq!(stage.azure.calls(&path), calls);
    }
    stage.azure.says(&path, ok(&succeeded("abc")));
    let answer = stage.get_with(&path, "If-None-Match", &tag);
    told(&answer, 200, STORED);
    assert_ne!(tag_of(&answer), tag);
    // The other way round as well: first 304, and kept all the same.
    let (other, tag) = (session("other"), tag_of(&answer));
    stage.azure.says(&other, ok(&succeeded("abc")));
    let answer = stage.get_with(&other, "If-None-Match", &tag);
    unchanged(&answer, &tag, "private");
    assert_eq!(cache_status(&answer), STORED);
    let answer = stage.get(&other);
    hit(&answer);
    assert_eq!(answer.text(), succeeded("abc").replace(DEAD_TOKEN, ""));
}

#[test]
fn the_tag_changes_whenever_the_content_does() {
    let stage = Stage::set();
    let path = session("abc");
    let attempt = |status: &str| format!("{{\"attemptId\":1,\"attemptStatus\":\"{status}\"}}");
    let mut seen = Vec::new();
    for body in [
        ended("abc", "NotStarted", ""),
        running("abc"),
        ended("abc", "Running", &attempt("Running")),
        ended("abc", "Running", &attempt("Failed")),
        format!("{} ", ended("abc", "Running", &attempt("Failed"))),
        ended("abc", "Succeeded", &result("AB12")),
    ] {
        stage.azure.says(&path, ok(&body));
        let answer = stage.get(&path);
        let tag = tag_of(&answer);
        assert!(!seen.contains(&tag), "{body}");
        seen.push(tag);
    }
    // What is no session has none, and what is not there cannot be had already.
    stage.azure.says(&session("gone"), absent());
    let answer = stage.get_with(&session("gone"), "If-None-Match", "*");
    assert_eq!((answer.status, answer.header("etag")), (404, None));
}

#[test]
fn head_tells_what_get_would_without_the_content() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let (line, first, rest) = stage.raw("HEAD", &path, "");
    assert!(line.contains(" 200 ") && rest.is_empty(), "{line} {rest:?}");
    assert_eq!(first.get("cache-status"), Some(STORED));
    let get = stage.get(&path);
    hit(&get);
    assert_eq!(first.get("content-length"), Some(get.body.len().to_string().as_str()));
    assert_eq!(lasting(&first.0), lasting(&get.headers.0));
    let (line, second, rest) = stage.raw("HEAD", &path, "");
    assert!(line.contains(" 200 ") && rest.is_empty(), "{line} {rest:?}");
    assert!(second.get("cache-status").unwrap().starts_with("livegate; hit; ttl="));
    assert_eq!(lasting(&second.0), lasting(&get.headers.0));
    let (line, same, rest) =
        stage.raw("HEAD", &path, &format!("If-None-Match: {}\r\n", tag_of(&get)));
    assert!(line.contains(" 304 ") && rest.is_empty(), "{line} {rest:?}");
    assert_eq!(same.get("etag"), get.header("etag"));
    // Azure is asked by GET, for its answer is what is kept.
    assert_eq!((stage.azure.calls(&path), stage.azure.asked("HEAD", &path)), (1, 0));
}
