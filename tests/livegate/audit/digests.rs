//! What an entry's digest is worth, where the client reported some.

use serde_json::{Value, json};

use super::stage::{added, ask, audit, digest, each, enriched, entry, lists, with, without};
use crate::decision::stage::{ENFORCE, REQUIRE};
use crate::decision::stage::{FIRST, OFF, SECOND, STRANGE, modes, register};
use crate::memory::stage::{Stage, preview};
use crate::support::gateway::TOKEN;

/// A verdict as a list has it.
fn said(verdict: &str) -> Value {
    json!({"verdict": verdict, "source": "registered"})
}

/// An entry with this digest.
fn of(number: u64, digest: &str) -> Value {
    with(entry(number), "digest", digest)
}

#[test]
fn without_a_report_there_is_no_verdict() {
    let stage = Stage::set();
    register(&stage, "other", FIRST, None);
    let added = enriched(&stage, &[of(1, FIRST), without(entry(2), "digest")]);
    assert_eq!(each(&added, "digest"), [Value::Null, Value::Null]);
}

#[test]
fn each_entry_is_compared_with_all_that_was_reported() {
    let stage = Stage::set();
    let entries = [of(1, FIRST), of(2, SECOND), without(entry(3), "digest"), entry(4)];
    register(&stage, "abc", &FIRST.to_lowercase(), Some(7));
    let [hit, other, none] = ["match", "other-attempt", "unavailable"].map(said);
    let added = enriched(&stage, &entries);
    assert_eq!(each(&added, "digest"), [&hit, &other, &none, &other].map(Clone::clone));
    register(&stage, "abc", SECOND, None);
    register(&stage, "abc", STRANGE, Some(3));
    let added = enriched(&stage, &entries);
    assert_eq!(each(&added, "digest"), [&hit, &hit, &none, &other].map(Clone::clone));
}

#[test]
fn a_digest_of_no_entry_is_a_mismatch_where_the_whole_list_is_known() {
    let stage = Stage::set();
    register(&stage, "abc", STRANGE, None);
    let entries = [of(1, FIRST), without(entry(2), "digest"), of(3, SECOND)];
    let whole = enriched(&stage, &entries);
    assert_eq!(each(&whole, "digest"), ["mismatch", "unavailable", "mismatch"].map(said));
    for query in ["?top=3", "?start=0&top=3", "?start=9", "?start=9&top=500"] {
        let path = audit("abc") + query;
        lists(&stage, &path, &entries);
        let page = added(&stage.get(&path));
        let expected = [Value::Null, said("unavailable"), Value::Null];
        assert_eq!(each(&page, "digest"), expected, "{query}");
    }
    // One that was found is told of any page.
    register(&stage, "abc", FIRST, Some(1));
    let page = added(&stage.get(&(audit("abc") + "?start=9")));
    assert_eq!(each(&page, "digest"), ["match", "unavailable", "other-attempt"].map(said));
}

#[test]
fn an_apps_mode_off_has_none_and_all_others_have_it() {
    let stage = modes();
    register(&stage, "abc", STRANGE, None);
    lists(&stage, &audit("abc"), &[entry(1)]);
    for (token, expected) in [
        (TOKEN, said("mismatch")),
        (ENFORCE, said("mismatch")),
        (REQUIRE, said("mismatch")),
        (OFF, Value::Null),
    ] {
        let answer = ask(&stage, token, &audit("abc"), None);
        assert_eq!(each(&added(&answer), "digest"), [expected], "{token}");
    }
}

#[test]
fn what_was_deleted_through_the_gateway_is_no_longer_compared() {
    let stage = Stage::set();
    register(&stage, "ABC", &digest(1), None);
    assert_eq!(each(&enriched(&stage, &[entry(1)]), "digest"), [said("match")]);
    assert_eq!(stage.delete(&preview("abc")).status, 204);
    assert_eq!(each(&enriched(&stage, &[entry(1)]), "digest"), [Value::Null]);
}

#[test]
fn what_comes_with_the_question_is_no_report() {
    let stage = Stage::set();
    lists(&stage, &audit("abc"), &[of(1, FIRST)]);
    for claim in [FIRST, STRANGE, "malformed"] {
        let answer = stage.get_with(&audit("abc"), "Liveness-Client-Digest", claim);
        assert_eq!(each(&added(&answer), "digest"), [Value::Null], "{claim}");
        for absent in ["liveness-digest", "liveness-decision", "liveness-verify-image"] {
            assert_eq!(answer.header(absent), None, "{absent}");
        }
    }
}
