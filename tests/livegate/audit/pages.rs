//! What is known of an entry's place on the pages of a list.

use serde_json::{Value, json};

use super::stage::{added, at, audit, each, entry, has, lists, signals, with, without};
use crate::memory::stage::Stage;

/// What is added to these entries on the page of this query; Azure may be asked for it in any spelling.
#[track_caller]
fn page(stage: &Stage, query: &str, azures: &str, entries: &[Value]) -> Vec<Value> {
    let azures = audit("abc") + azures;
    lists(stage, &azures, entries);
    let calls = stage.azure.calls(&azures);
    let added = added(&stage.get(&(audit("abc") + query)));
    assert_eq!(stage.azure.calls(&azures), calls + 1, "{query} in place of {azures}");
    added
}

/// What is told of the entries' places and times.
fn places(added: &[Value]) -> Vec<[Value; 4]> {
    let told = |added: &Value| {
        [
            added["attempt"]["ordinal"].clone(),
            added["attempt"]["of"].clone(),
            added["timing"]["sincePreviousMs"].clone(),
            added["timing"]["sinceFirstMs"].clone(),
        ]
    };
    added.iter().map(told).collect()
}

/// What is told where everything is known of three entries, a minute apart.
fn all() -> Vec<[Value; 4]> {
    vec![
        [json!(1), json!(3), Value::Null, json!(0)],
        [json!(2), json!(3), json!(60_000), json!(60_000)],
        [json!(3), json!(3), json!(60_000), json!(120_000)],
    ]
}

/// The same without some of these columns.
fn all_but(columns: &[usize]) -> Vec<[Value; 4]> {
    let mut all = all();
    for row in &mut all {
        for &column in columns {
            row[column] = Value::Null;
        }
    }
    all
}

fn three() -> [Value; 3] {
    [entry(4), entry(6), entry(7)].map(|entry| {
        let id = entry["id"].as_u64().unwrap();
        // A minute apart although the ids are not.
        let minute = [4, 6, 7].iter().position(|number| *number == id).unwrap();
        with(entry, "receivedDateTime", at(i64::try_from(minute).unwrap() * 60_000))
    })
}

#[test]
fn the_first_page_that_is_the_last_too_knows_everything() {
    let stage = Stage::set();
    for (query, azures) in [
        ("", ""),
        ("?top=4", "?top=4"),
        ("?top=1000", "?top=1000"),
        ("?start=0", "?start=0"),
        ("?start=0&top=20", "?start=0&top=20"),
        ("?top=20&start=0&x=1", "?start=0&top=20"),
        ("?start=%30", "?start=0"),
    ] {
        assert_eq!(places(&page(&stage, query, azures, &three())), all(), "{query}");
    }
}

#[test]
fn an_empty_start_is_none() {
    let stage = Stage::set();
    // Whether Azure hears of it does not matter.
    for azures in ["", "?start=", "?top=20", "?start=&top=20"] {
        lists(&stage, &(audit("abc") + azures), &three());
    }
    for query in ["?start=", "?start=&top=20"] {
        let added = added(&stage.get(&(audit("abc") + query)));
        assert_eq!(places(&added), all(), "{query}");
    }
}

#[test]
fn a_first_page_that_is_full_does_not_know_how_many_there_are() {
    let stage = Stage::set();
    for (query, azures) in
        [("?top=3", "?top=3"), ("?start=0&top=3", "?start=0&top=3"), ("?top=2", "?top=2")]
    {
        assert_eq!(places(&page(&stage, query, azures, &three())), all_but(&[1]), "{query}");
    }
}

#[test]
fn a_later_page_knows_only_what_its_entries_say_of_each_other() {
    let stage = Stage::set();
    for query in ["?start=3", "?start=3&top=3", "?start=3&top=1000", "?start=x", "?start=00"] {
        let added = page(&stage, query, query, &three());
        assert_eq!(places(&added), all_but(&[0, 1, 3]), "{query}");
    }
}

#[test]
fn a_thousand_entries_may_not_be_all() {
    let stage = Stage::set();
    let entries: Vec<_> = (1..=1_000).map(entry).collect();
    for (count, of) in [(999, json!(999)), (1_000, Value::Null)] {
        let added = page(&stage, "", "", &entries[..count]);
        let last = added.last().unwrap();
        assert_eq!(last["attempt"]["ordinal"], count);
        assert_eq!(last["attempt"]["of"], of);
    }
}

#[test]
fn places_go_by_ids_as_numbers_wherever_the_entries_stand() {
    let stage = Stage::set();
    let entry =
        |number: u64, minutes: i64| with(entry(number), "receivedDateTime", at(minutes * 60_000));
    let entries = [entry(10, 1), entry(9_223_372_036_854_775_807, 2), entry(9, 0)];
    let mut expected = all();
    expected.rotate_left(1);
    assert_eq!(places(&page(&stage, "", "", &entries)), expected);
}

#[test]
fn an_entry_that_is_there_twice_counts_once() {
    let stage = Stage::set();
    let entries = [entry(1), entry(2), entry(2), entry(3)];
    let added = page(&stage, "", "", &entries);
    let attempt = |ordinal| json!({"ordinal": ordinal, "of": 3});
    assert_eq!(each(&added, "attempt"), [1, 2, 2, 3].map(attempt));
    assert_eq!(signals(&added), [[""; 0]; 4]);
    assert_eq!(added[3]["timing"]["sincePreviousMs"], 60_000);
}

#[test]
fn on_a_page_without_order_nothing_is_told_that_needs_it() {
    let stage = Stage::set();
    let soon = with(entry(7), "receivedDateTime", at(6 * 60_000 + 1));
    let unordered = [entry(6), soon.clone(), entry(5)];
    let nameless = [entry(5), without(entry(6), "id"), soon];
    for entries in [&unordered, &nameless] {
        for query in ["?start=4", "?top=3", "?top=2", "?start=4&top=1000"] {
            let added = page(&stage, query, query, entries);
            assert_eq!(each(&added, "attempt"), vec![Value::Null; 3], "{query}");
            let timing = json!({"serviceMs": 642});
            assert_eq!(each(&added, "timing"), vec![timing; 3], "{query}");
            assert_eq!(signals(&added), [[""; 0]; 3], "{query}");
        }
    }
    // In order there are some.
    let ordered = [entry(5), entry(6), with(entry(7), "receivedDateTime", at(6 * 60_000 + 1))];
    let added = page(&stage, "?start=4", "?start=4", &ordered);
    assert_eq!(has(&added, "rapid-retry"), [false, false, true]);
}

#[test]
fn on_a_page_without_order_there_are_signals_that_need_none() {
    let stage = Stage::set();
    lists(&stage, &audit("seen"), &[entry(5)]);
    stage.get(&audit("seen"));
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600);
    let entries = [entry(6), entry(5), with(entry(4), "receivedDateTime", later.to_string())];
    let added = page(&stage, "?start=3", "?start=3", &entries);
    let expected: [&[&str]; 3] = [&[], &["digest-reuse"], &["clock-skew"]];
    assert_eq!(signals(&added), expected);
}
