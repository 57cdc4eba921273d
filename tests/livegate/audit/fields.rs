//! The fields of an audit answer, and who decides whether a list is enriched: the request before the app.

use serde_json::json;

use super::stage::{PLAIN, added, ask, audit, entry, lists};
use crate::decision::stage::only;
use crate::memory::azure::error;
use crate::memory::stage::Stage;
use crate::support::gateway::TOKEN;
use crate::support::http::{Answer, Request};
use crate::support::upstream;

fn stage() -> Stage {
    let stage = Stage::built(|builder| {
        builder.app_with("plain", PLAIN, &["audit"], "enrich = false\n").app_with(
            "rich",
            "app-token-rich-0123456789",
            &["audit"],
            "enrich = true\n",
        )
    });
    lists(&stage, &audit("abc"), &[entry(1), entry(2)]);
    stage
}

/// Whether a list is enriched, in each entry or in none.
#[track_caller]
fn is_rich(answer: &Answer) -> bool {
    let sent = json!([entry(1), entry(2)]).to_string();
    if answer.text() == sent {
        return false;
    }
    assert_eq!(added(answer).len(), 2);
    true
}

#[track_caller]
fn varies(answer: &Answer, field: &str) {
    let all: Vec<_> = answer.headers.all("vary").flat_map(|value| value.split(',')).collect();
    assert!(all.iter().any(|name| name.trim().eq_ignore_ascii_case(field)), "{field} in {all:?}");
}

#[test]
fn without_a_preference_the_apps_default_counts() {
    let stage = stage();
    for (token, expected) in [(TOKEN, true), ("app-token-rich-0123456789", true), (PLAIN, false)] {
        let answer = ask(&stage, token, &audit("abc"), None);
        assert_eq!(is_rich(&answer), expected, "{token}");
        assert_eq!(only(&answer, "preference-applied"), None, "{token}");
        varies(&answer, "prefer");
    }
}

#[test]
fn a_preference_counts_before_the_apps_default() {
    let stage = stage();
    for token in [TOKEN, PLAIN] {
        for (prefer, rich, applied) in [
            ("enrich=gateway", true, "enrich=gateway"),
            ("enrich=none", false, "enrich=none"),
            ("Enrich=gateway", true, "enrich=gateway"),
            ("enrich=\"none\"", false, "enrich=none"),
            ("respond-async, enrich=gateway;x=1, wait=5", true, "enrich=gateway"),
            ("handling=\"a, enrich=gateway\", enrich=none", false, "enrich=none"),
            // The first one counts.
            ("enrich=gateway, enrich=none", true, "enrich=gateway"),
            ("enrich=none, enrich=gateway", false, "enrich=none"),
        ] {
            let answer = ask(&stage, token, &audit("abc"), Some(prefer));
            assert_eq!(is_rich(&answer), rich, "{prefer}");
            assert_eq!(only(&answer, "preference-applied"), Some(applied), "{prefer}");
            varies(&answer, "prefer");
        }
    }
}

#[test]
fn the_first_of_two_fields_counts() {
    let stage = stage();
    for token in [TOKEN, PLAIN] {
        for (first, second) in [("none", "gateway"), ("gateway", "none")] {
            let request = Request::get(&audit("abc")).key(token);
            let request = request.header("Prefer", &format!("enrich={first}"));
            let request = request.header("Prefer", &format!("enrich={second}"));
            let answer = request.send(stage.gateway.public);
            assert_eq!(is_rich(&answer), first == "gateway", "{first}");
            let applied = format!("enrich={first}");
            assert_eq!(only(&answer, "preference-applied"), Some(applied.as_str()));
        }
    }
}

#[test]
fn what_nobody_knows_is_no_preference() {
    let stage = stage();
    for (token, default) in [(TOKEN, true), (PLAIN, false)] {
        for prefer in [
            "",
            "enrich",
            "enrich=",
            "enrich=all",
            "enrich=gateways",
            "enriched=none",
            "wait=5",
            "return=minimal",
            "x; enrich=none",
            "handling=\"enrich=none\"",
            "=none,,;",
        ] {
            let answer = ask(&stage, token, &audit("abc"), Some(prefer));
            assert_eq!(is_rich(&answer), default, "{prefer}");
            assert_eq!(only(&answer, "preference-applied"), None, "{prefer}");
            varies(&answer, "prefer");
        }
    }
}

#[test]
fn an_enriched_list_has_none_of_azures_validators_and_is_kept_by_nobody() {
    let stage = stage();
    let fields = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("ETag", "\"azures\""),
        ("Last-Modified", "Tue, 05 Mar 2024 11:07:29 GMT"),
        ("Cache-Control", "private, max-age=60"),
        ("Vary", "Accept-Encoding"),
        ("Content-MD5", "Q2hlY2sgSW50ZWdyaXR5IQ=="),
        ("Content-Digest", "sha-256=:AAAA:"),
        ("apim-request-id", "apim-1"),
        ("x-ms-region", "West Europe"),
    ];
    let list = json!([entry(1), entry(2)]).to_string();
    stage.azure.says(&audit("abc"), upstream::answer(200, &fields, list.as_bytes()));
    for prefer in [None, Some("enrich=gateway")] {
        let answer = ask(&stage, TOKEN, &audit("abc"), prefer);
        assert!(is_rich(&answer));
        assert_eq!(only(&answer, "cache-control"), Some("no-store"));
        for absent in ["etag", "last-modified", "content-md5", "content-digest", "age"] {
            assert_eq!(answer.header(absent), None, "{absent} in {answer:?}");
        }
        for (name, value) in [fields[0], fields[7], fields[8]] {
            assert_eq!(only(&answer, name), Some(value));
        }
        varies(&answer, "prefer");
        varies(&answer, "accept-encoding");
    }
    let plain = ask(&stage, TOKEN, &audit("abc"), Some("enrich=none"));
    assert!(!is_rich(&plain));
    for (name, value) in [fields[0], fields[1], fields[2], fields[3], fields[5], fields[6]] {
        assert_eq!(only(&plain, name), Some(value));
    }
    varies(&plain, "prefer");
    varies(&plain, "accept-encoding");
}

#[test]
fn azure_is_asked_for_each_list_and_hears_of_no_preference() {
    let stage = stage();
    for calls in 1..=4 {
        ask(&stage, TOKEN, &audit("abc"), Some("enrich=gateway"));
        assert_eq!(stage.azure.calls(&audit("abc")), calls);
        let last = stage.azure.upstream.recorded().pop().unwrap();
        assert_eq!(last.headers.get("prefer"), None, "{last:?}");
    }
}

#[test]
fn an_error_of_azures_passes() {
    let stage = stage();
    let path = audit("other");
    for (status, code) in [(404, "SessionNotFound"), (400, "BadArgument"), (500, "Unspecified")] {
        let said = error(status, code, &[]);
        stage.azure.says(&path, said.clone());
        for prefer in [None, Some("enrich=gateway"), Some("enrich=none")] {
            let answer = ask(&stage, TOKEN, &path, prefer);
            assert_eq!((answer.status, answer.error_code().as_str()), (status, code));
            assert_eq!(only(&answer, "x-ms-error-code"), Some(code));
            assert_eq!(only(&answer, "preference-applied"), None, "{answer:?}");
            assert!(said.ends_with(&answer.body), "{answer:?}");
        }
    }
}
