//! Signals from one session to another, and how often they are counted.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::stage::{PLAIN, added, ask, at, audit, digest, entry, has, lists, made, with};
use crate::decision::stage::{attempt, available, ga, say, sum};
use crate::memory::stage::{Stage, preview, session};
use crate::support::gateway::TOKEN;

const SIGNALS: &str = "livegate_liveness_signals_total";

const FAR: &str = "app-token-far-0123456789";

/// What is added to the list of a session.
#[track_caller]
fn read(stage: &Stage, id: &str, entries: &[Value]) -> Vec<Value> {
    lists(stage, &audit(id), entries);
    added(&stage.get(&audit(id)))
}

#[track_caller]
fn counted(stage: &Stage, signal: &str, times: u64) {
    assert_eq!(stage.metric(&format!("{SIGNALS}{{signal=\"{signal}\"}}")), times, "{signal}");
}

#[test]
fn the_session_that_was_seen_second_has_the_signal() {
    for (place, value, signal) in [
        ("digest", digest(0xABC), "digest-reuse"),
        ("sessionImageId", "image-1".to_owned(), "image-reuse"),
    ] {
        let stage = Stage::set();
        let first = [entry(1), with(entry(2), place, value.as_str())];
        let second = [with(entry(3), place, value.as_str()), entry(4)];
        for _ in 0..3 {
            assert_eq!(has(&read(&stage, "first", &first), signal), [false, false], "{signal}");
            assert_eq!(has(&read(&stage, "second", &second), signal), [true, false], "{signal}");
        }
        counted(&stage, signal, 1);
        assert_eq!(sum(&stage, SIGNALS, &[]), 1.0);
        assert_eq!(has(&read(&stage, "third", &second[..1]), signal), [true]);
        counted(&stage, signal, 2);
        // The spelling of an id makes no other session.
        assert_eq!(has(&read(&stage, "FIRST", &first), signal), [false, false]);
    }
}

#[test]
fn small_letters_make_no_other_digest() {
    let stage = Stage::set();
    read(&stage, "first", &[with(entry(1), "digest", digest(0xABC))]);
    let small = with(entry(2), "digest", digest(0xABC).to_lowercase());
    assert_eq!(has(&read(&stage, "second", &[small]), "digest-reuse"), [true]);
}

/// The session `first` in both shapes, with one attempt that has a digest and an image.
fn sessions() -> [(String, Value); 2] {
    let mut one = attempt(1, "realface", &digest(1));
    one["result"]["sessionImageId"] = "image-1".into();
    let mut open = available(false, &Value::Null, "");
    open["result"] = with(entry(1), "sessionImageId", "image-1");
    [(session("first"), ga("Succeeded", &[one])), (preview("first"), open)]
}

#[test]
fn digests_that_were_seen_in_sessions_count_too() {
    for (path, shown) in sessions() {
        let stage = Stage::set();
        say(&stage, &path, &shown);
        stage.get(&path);
        // The same session in another shape.
        assert_eq!(has(&read(&stage, "first", &[entry(1)]), "digest-reuse"), [false], "{path}");
        assert_eq!(has(&read(&stage, "second", &[entry(1)]), "digest-reuse"), [true], "{path}");
        counted(&stage, "digest-reuse", 1);
    }
}

#[test]
fn images_that_were_seen_in_sessions_count_too() {
    for (path, shown) in sessions() {
        let stage = Stage::set();
        say(&stage, &path, &shown);
        stage.get(&path);
        let entries = [with(entry(2), "sessionImageId", "image-1")];
        assert_eq!(has(&read(&stage, "second", &entries), "image-reuse"), [true], "{path}");
        assert_eq!(has(&read(&stage, "first", &entries), "image-reuse"), [false], "{path}");
        counted(&stage, "image-reuse", 1);
    }
}

#[test]
fn a_list_that_the_gateway_made_has_these_signals_too() {
    let stage = Stage::set();
    say(&stage, &session("a"), &ga("Succeeded", &[attempt(1, "realface", &digest(1))]));
    say(&stage, &session("b"), &ga("Succeeded", &[attempt(1, "realface", &digest(1))]));
    for (id, expected) in [("a", false), ("b", true), ("a", false), ("b", true)] {
        let added = added(&stage.get(&made(id)));
        assert_eq!(has(&added, "digest-reuse"), [expected], "{id}");
    }
    counted(&stage, "digest-reuse", 1);
}

#[test]
fn another_resource_is_looked_at_too() {
    let far = crate::memory::azure::Azure::start();
    let hash = const_hex::encode(Sha256::digest(FAR));
    let url = far.url();
    let stage = Stage::built(|builder| {
        builder.more(&format!(
            "[[upstreams]]\nname = \"far\"\nendpoint = \"{url}\"\ntier = \"unlimited\"\n\
             [upstreams.keys]\nprimary = {{ file = \"azure.key\" }}\n\
             [[apps]]\nname = \"far\"\ntoken_sha256 = [\"{hash}\"]\nupstream = \"far\"\n",
        ))
    });
    let entries = [entry(1)];
    assert_eq!(has(&read(&stage, "abc", &entries), "digest-reuse"), [false]);
    // The same id of another resource is another session.
    let said = crate::memory::azure::ok(&serde_json::json!(entries).to_string());
    far.says(&audit("abc"), said);
    let answer = ask(&stage, FAR, &audit("abc"), None);
    let added = added(&answer);
    assert_eq!(
        (added[0]["fetched"]["upstream"].as_str(), has(&added, "digest-reuse")),
        (Some("far"), vec![true])
    );
    assert_eq!(has(&read(&stage, "abc", &entries), "digest-reuse"), [false]);
}

#[test]
fn each_signal_is_counted_once_for_a_session() {
    let stage =
        Stage::built(|builder| builder.app_with("plain", PLAIN, &["audit"], "enrich = false\n"));
    let mut entries: Vec<_> = (1..=4).map(entry).collect();
    for (second, entry) in (0..).zip(&mut entries) {
        *entry = with(entry.take(), "receivedDateTime", at(second * 1_000));
    }
    // An app that gets lists as Azure sent them comes first.
    lists(&stage, &audit("a"), &entries);
    assert_eq!(ask(&stage, PLAIN, &audit("a"), None).status, 200);
    counted(&stage, "rapid-retry", 1);
    for prefer in ["enrich=gateway", "enrich=none"] {
        ask(&stage, TOKEN, &audit("a"), Some(prefer));
    }
    counted(&stage, "rapid-retry", 1);
    lists(&stage, &audit("b"), &entries);
    stage.get(&audit("b"));
    counted(&stage, "rapid-retry", 2);
    counted(&stage, "digest-reuse", 1);
    // Of another version it is the same session.
    let old = audit("b").replace("v1.2-preview.1", "v1.1-preview.1");
    lists(&stage, &old, &entries);
    stage.get(&old);
    counted(&stage, "rapid-retry", 2);
    assert_eq!(sum(&stage, SIGNALS, &[]), 3.0);
}

#[test]
fn what_an_entry_shows_later_is_looked_at_too() {
    for (place, value, signal) in [
        ("digest", digest(0xABC), "digest-reuse"),
        ("sessionImageId", "image-1".to_owned(), "image-reuse"),
    ] {
        let stage = Stage::set();
        read(&stage, "first", &[with(entry(1), place, value.as_str())]);
        assert_eq!(has(&read(&stage, "second", &[entry(2)]), signal), [false]);
        let later = with(entry(2), place, value.as_str());
        assert_eq!(has(&read(&stage, "second", &[later]), signal), [true], "{signal}");
    }
}

#[test]
fn what_the_session_showed_before_is_compared_with_the_list() {
    let stage = Stage::set();
    let mut open = available(false, &Value::Null, "");
    open["result"] = entry(1);
    say(&stage, &preview("abc"), &open);
    stage.get(&preview("abc"));
    let flipped = super::stage::decided(1, "spoofface");
    let added = read(&stage, "abc", &[flipped]);
    // It is not kept, and yet it was seen.
    assert_eq!((added[0].get("crossCheck"), has(&added, "result-mismatch")), (None, vec![true]));
    counted(&stage, "result-mismatch", 1);
}

#[test]
fn what_the_list_showed_before_is_compared_with_the_session() {
    for (decision, mismatches) in [("realface", 0), ("spoofface", 1)] {
        let stage = Stage::set();
        read(&stage, "abc", &[entry(1)]);
        let mut open = available(false, &Value::Null, "");
        open["result"] = super::stage::decided(1, decision);
        say(&stage, &preview("abc"), &open);
        stage.get(&preview("abc"));
        let signal = ["signal=\"result-mismatch\""];
        assert_eq!(sum(&stage, SIGNALS, &signal), f64::from(mismatches), "{decision}");
    }
}
