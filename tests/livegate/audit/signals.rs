//! The signals of a list by itself, each just inside its rule and just outside.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::stage::{
    at, audit, decided, digest, enriched, entry, has, lists, signals, with, without,
};
use crate::memory::stage::Stage;

/// Entries with one member exchanged each, in the order of their ids; `null` takes it away.
fn row(place: &str, values: &[Value]) -> Vec<Value> {
    let numbered = (1..).zip(values);
    let each = numbered.map(|(number, value)| match value {
        Value::Null => entry(number),
        value => with(entry(number), place, value.clone()),
    });
    each.collect()
}

/// Asserts which entries have this signal, and that none has another.
#[track_caller]
fn only(stage: &Stage, signal: &str, entries: &[Value], expected: &[bool]) {
    let added = enriched(stage, entries);
    assert_eq!(has(&added, signal), expected, "{signal} in {added:#?}");
    for signals in signals(&added) {
        assert!(signals.iter().all(|told| *told == signal), "{signals:?}");
    }
}

#[test]
fn a_retry_within_ten_seconds_is_rapid() {
    let stage = Stage::set();
    let times = [0, 9_999, 19_999, 19_999, 20_000, 30_000].map(at);
    let expected = [false, true, false, true, true, false];
    only(&stage, "rapid-retry", &row("receivedDateTime", &times), &expected);
    // By the order of the ids, not by that of the list.
    let mut entries = row("receivedDateTime", &[at(0), at(9_999), at(19_999)]);
    entries.reverse();
    only(&stage, "rapid-retry", &entries, &[false, true, false]);
    let unknown = [at(0), at(60_000), at(60_001)];
    let mut entries = row("receivedDateTime", &unknown);
    entries[1] = without(entries[1].clone(), "receivedDateTime");
    only(&stage, "rapid-retry", &entries, &[false, false, false]);
}

#[test]
fn a_decision_that_turns_into_its_reverse_is_a_flip() {
    let words = |words: &[&str]| -> Vec<Value> {
        (1..).zip(words).map(|(number, word)| decided(number, word)).collect()
    };
    for (decisions, expected) in [
        (vec!["realface", "spoofface"], vec![false, true]),
        (vec!["spoofface", "realface"], vec![false, true]),
        (vec!["spoofface", "realface", "realface", "spoofface"], vec![false, true, false, true]),
        (vec!["realface", "uncertain", "other", "spoofface"], vec![false, false, false, true]),
        (vec!["realface", "uncertain", "realface"], vec![false; 3]),
        (vec!["uncertain", "realface", "uncertain"], vec![false; 3]),
        (vec!["realface", "RealFace", "deepfake"], vec![false; 3]),
    ] {
        let stage = Stage::set();
        only(&stage, "decision-flip", &words(&decisions), &expected);
        if let [first, second] = decisions[..] {
            let failed = with(decided(2, second), "response.statusCode", 400);
            let entries = [decided(1, first), failed, decided(3, second), decided(4, second)];
            let silent = with(entries[1].clone(), "response.body", json!({}));
            let expected = [false, false, true, false];
            only(&Stage::set(), "decision-flip", &entries, &expected);
            let entries = [decided(1, first), silent, decided(3, second), decided(4, second)];
            only(&Stage::set(), "decision-flip", &entries, &expected);
        }
    }
}

#[test]
fn a_digest_that_is_there_before_in_the_list_is_reused() {
    let digests = [1, 2, 1, 3, 1].map(|number| json!(digest(number + 100)));
    let expected = [false, false, true, false, true];
    only(&Stage::set(), "digest-reuse", &row("digest", &digests), &expected);
    let small = json!(digest(0xABC).to_lowercase());
    let entries = row("digest", &[json!(digest(0xABC)), small]);
    only(&Stage::set(), "digest-reuse", &entries, &[false, true]);
    // By the order of the ids.
    let mut entries = row("digest", &[json!(digest(300)), json!(digest(300))]);
    entries.reverse();
    only(&Stage::set(), "digest-reuse", &entries, &[true, false]);
    // No digest is no digest, and an entry that is there twice is one entry.
    let none = [without(entry(1), "digest"), without(entry(2), "digest")];
    only(&Stage::set(), "digest-reuse", &none, &[false, false]);
    only(&Stage::set(), "digest-reuse", &row("digest", &[json!(""), json!("")]), &[false, false]);
    only(&Stage::set(), "digest-reuse", &[entry(7), entry(7)], &[false, false]);
}

#[test]
fn an_image_that_is_there_before_in_the_list_is_reused() {
    let stage = Stage::set();
    let images = ["a-1", "b-1", "a-1", "A-1"].map(|image| json!(image));
    let expected = [false, false, true, false];
    only(&stage, "image-reuse", &row("sessionImageId", &images), &expected);
    only(&stage, "image-reuse", &[entry(1), entry(2)], &[false, false]);
    let twice = with(entry(1), "sessionImageId", "c-1");
    only(&stage, "image-reuse", &[twice.clone(), twice], &[false, false]);
}

#[test]
fn a_picture_that_becomes_another_has_changed() {
    let hash = |number| json!(digest(number));
    for (hashes, expected) in [
        (vec![hash(1), hash(1), hash(2), hash(2), hash(1)], vec![false, false, true, false, true]),
        (vec![hash(1), Value::Null, hash(2)], vec![false, false, true]),
        (vec![Value::Null, hash(1), Value::Null, hash(1)], vec![false; 4]),
        (vec![hash(0xABC), json!(digest(0xABC).to_lowercase())], vec![false; 2]),
    ] {
        let entries = row("verifyImageHash", &hashes);
        only(&Stage::set(), "verify-image-changed", &entries, &expected);
    }
}

#[test]
fn an_entry_that_becomes_another_is_a_mismatch() {
    let compared = |identical: bool| {
        let result = json!({"matchConfidence": 0.5, "isIdentical": identical});
        with(entry(1), "response.body.verifyResult", result)
    };
    for (before, after, expected) in [
        (entry(1), decided(1, "spoofface"), true),
        (entry(1), with(entry(1), "digest", digest(9)), true),
        (compared(true), compared(false), true),
        (entry(1), with(entry(1), "digest", digest(1).to_lowercase()), false),
        (entry(1), with(entry(1), "response.latencyInMilliseconds", 7), false),
        (entry(1), entry(1), false),
    ] {
        let stage = Stage::set();
        only(&stage, "result-mismatch", &[before], &[false]);
        only(&stage, "result-mismatch", &[after], &[expected]);
    }
}

#[test]
fn what_another_version_showed_was_seen_too() {
    let stage = Stage::set();
    let old = audit("abc").replace("v1.2-preview.1", "v1.1-preview.1");
    lists(&stage, &old, &[entry(1)]);
    assert_eq!(stage.get(&old).status, 200);
    only(&stage, "result-mismatch", &[decided(1, "spoofface")], &[true]);
}

#[test]
fn a_clock_that_goes_back_or_ahead_is_skewed() {
    let stage = Stage::set();
    let times = [100_000, 99_000, 120_000, 118_999, 140_000].map(at);
    let added = enriched(&stage, &row("receivedDateTime", &times));
    assert_eq!(has(&added, "clock-skew"), [false, false, false, true, false]);
    // The gateway's time goes on meanwhile, so that what is in bounds now stays there.
    for (seconds, expected) in [(-60, false), (0, false), (59, false), (180, true), (86_400, true)]
    {
        let moment = Timestamp::now() + SignedDuration::from_secs(seconds);
        let entries = [with(entry(1), "receivedDateTime", moment.to_string())];
        only(&Stage::set(), "clock-skew", &entries, &[expected]);
    }
}
