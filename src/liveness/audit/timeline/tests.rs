use super::*;
use crate::liveness::audit::read;

const NOW: &str = "2026-11-23T12:00:00Z";

/// Entries by id, seconds after 11:00, and further members.
fn list(entries: &[(&str, &str, &str)]) -> String {
    let entry = |(id, seconds, more): &(&str, &str, &str)| {
        let start: Timestamp = "2026-11-23T11:00:00Z".parse().unwrap();
        let received = seconds.parse::<f64>().map(|seconds| {
            let millis = jiff::SignedDuration::from_millis((seconds * 1000.0) as i64);
            format!(r#","receivedDateTime":"{}""#, start + millis)
        });
        format!(r#"{{"id":{id}{}{more}}}"#, received.unwrap_or_default())
    };
    format!("[{}]", entries.iter().map(entry).collect::<Vec<_>>().join(","))
}

fn timeline(body: &str, reach: Reach) -> Timeline {
    let list = read(body.as_bytes()).unwrap();
    Timeline::new(&list.entries, reach, NOW.parse().unwrap())
}

/// Ordinals, and times since the one before and the first.
fn told(entries: &[(&str, &str)], reach: Reach) -> (Vec<Told>, Option<usize>) {
    let entries: Vec<_> = entries.iter().map(|(id, at)| (*id, *at, "")).collect();
    let Timeline { places, of } = timeline(&list(&entries), reach);
    let place = |place: &Place| (place.ordinal, place.since_previous, place.since_first);
    (places.iter().map(place).collect(), of)
}

type Told = (Option<usize>, Option<i64>, Option<i64>);

fn signals(entries: &[(&str, &str, &str)], reach: Reach) -> Vec<Vec<Signal>> {
    let timeline = timeline(&list(entries), reach);
    timeline.places.iter().map(|place| place.signals.iter().collect()).collect()
}

const FIRST: Reach = Reach { first: true, last: false };
const LATER: Reach = Reach { first: false, last: true };

#[test]
fn a_page_reaches_as_far_as_is_known() {
    for (start, top, count, first, last) in [
        (None, None, 0, true, true),
        (None, None, 999, true, true),
        (None, None, 1_000, true, false),
        (Some(""), Some(5), 4, true, true),
        (Some("0"), Some(5), 5, true, false),
        (Some("4"), Some(5), 4, false, true),
        (Some("00"), Some(1), 1, false, false),
    ] {
        assert_eq!(Reach::of_page(start, top, count), Reach { first, last }, "{start:?} {top:?}");
    }
}

#[test]
fn a_whole_list_tells_places_in_whatever_order_it_comes() {
    let expected = [
        (Some(3), Some(10_000), Some(15_500)),
        (Some(1), None, Some(0)),
        (Some(2), Some(5_500), Some(5_500)),
        (Some(2), Some(5_500), Some(5_500)),
    ];
    let entries = [("10", "25.5"), ("4", "10"), ("9", "15.5"), ("9", "15.5")];
    assert_eq!(told(&entries, Reach::WHOLE), (expected.to_vec(), Some(3)));
    assert_eq!(told(&[], Reach::WHOLE), (vec![], Some(0)));
    let minimum = [("-9223372036854775808", "0"), ("9223372036854775807", "1")];
    let expected = vec![(Some(1), None, Some(0)), (Some(2), Some(1_000), Some(1_000))];
    assert_eq!(told(&minimum, Reach::WHOLE), (expected, Some(2)));
}

#[test]
fn a_page_tells_what_can_be_seen_on_it() {
    let entries = [("4", "10"), ("9", "15.5"), ("10", "16")];
    let first = vec![
        (Some(1), None, Some(0)),
        (Some(2), Some(5_500), Some(5_500)),
        (Some(3), Some(500), Some(6_000)),
    ];
    assert_eq!(told(&entries, FIRST), (first, None));
    let later = vec![(None, None, None), (None, Some(5_500), None), (None, Some(500), None)];
    assert_eq!(told(&entries, LATER), (later, None));
    let unordered = [("4", "10"), ("10", "16"), ("9", "15.5")];
    let nothing = vec![(None, None, None); 3];
    assert_eq!(told(&unordered, FIRST), (nothing.clone(), None));
    assert_eq!(told(&unordered, LATER), (nothing, None));
}

#[test]
fn what_has_no_id_or_no_time_has_no_place() {
    let nothing = vec![(None, None, None); 2];
    assert_eq!(told(&[("4", "10"), ("null", "12")], Reach::WHOLE), (nothing, None));
    let timeless = vec![
        (Some(1), None, None),
        (Some(2), None, None),
        (Some(3), Some(1_000), None),
        (Some(4), None, None),
    ];
    let entries = [("1", ""), ("2", "5"), ("3", "6"), ("4", "")];
    assert_eq!(told(&entries, Reach::WHOLE), (timeless, Some(4)));
    let backwards = vec![(Some(1), None, Some(0)), (Some(2), None, None)];
    assert_eq!(told(&[("1", "5"), ("2", "4.9")], Reach::WHOLE), (backwards, Some(2)));
}

#[test]
fn times_that_are_odd() {
    let of = |entries: &[(&str, &str)]| {
        let entries: Vec<_> = entries.iter().map(|(id, at)| (*id, *at, "")).collect();
        signals(&entries, Reach::WHOLE).concat()
    };
    use Signal::{ClockSkew, RapidRetry};
    assert_eq!(of(&[("1", "0"), ("2", "9.999")]), [RapidRetry]);
    assert_eq!(of(&[("1", "0"), ("2", "10")]), []);
    assert_eq!(of(&[("1", "0"), ("2", "0")]), [RapidRetry]);
    assert_eq!(of(&[("1", "5"), ("2", "4")]), []);
    assert_eq!(of(&[("1", "5"), ("2", "3.999")]), [ClockSkew]);
    assert_eq!(of(&[("1", "3660")]), []);
    assert_eq!(of(&[("1", "3660.001")]), [ClockSkew]);
    assert_eq!(of(&[("1", "0"), ("1", "0")]), [], "the same entry twice");
    assert_eq!(of(&[("1", "0"), ("null", "1"), ("2", "2")]), [], "no order is known");
    assert_eq!(of(&[("1", "3661"), ("null", "1")]), [ClockSkew], "that needs none");
}

#[test]
fn decisions_that_turn() {
    let decided = |words: &[&str], reach| {
        let bodies: Vec<_> = words
            .iter()
            .map(|word| match *word {
                "failed" => r#","response":{"statusCode":500}"#.to_owned(),
                word => format!(r#","response":{{"body":{{"livenessDecision":"{word}"}}}}"#),
            })
            .collect();
        let ids: Vec<_> = (1..=words.len()).map(|id| id.to_string()).collect();
        let entries: Vec<_> =
            ids.iter().zip(&bodies).map(|(id, body)| (id.as_str(), "", body.as_str())).collect();
        let flips = signals(&entries, reach);
        flips.iter().map(|signals| signals.contains(&Signal::DecisionFlip)).collect::<Vec<_>>()
    };
    for reach in [Reach::WHOLE, FIRST, LATER] {
        assert_eq!(decided(&["realface", "spoofface"], reach), [false, true]);
        assert_eq!(decided(&["spoofface", "realface", "realface"], reach), [false, true, false]);
        assert_eq!(decided(&["spoofface", "spoofface"], reach), [false, false]);
        assert_eq!(
            decided(&["spoofface", "uncertain", "failed", "realface"], reach),
            [false, false, false, true]
        );
        assert_eq!(decided(&["uncertain", "realface", "maybe"], reach), [false, false, false]);
    }
}

#[test]
fn digests_and_pictures_that_come_again() {
    let hex = |fill: char| fill.to_string().repeat(64);
    let digest = |fill| format!(r#","digest":"{}""#, hex(fill));
    let image = |id: &str| format!(r#","sessionImageId":"{id}""#);
    let picture = |fill| format!(r#","verifyImageHash":"{}""#, hex(fill));
    let of = |members: &[String], reach| {
        let ids: Vec<_> = (1..=members.len()).rev().map(|id| id.to_string()).collect();
        let mut entries: Vec<_> =
            ids.iter().zip(members).map(|(id, more)| (id.as_str(), "", more.as_str())).collect();
        entries.reverse();
        signals(&entries, reach)
    };
    use Signal::{DigestReuse, ImageReuse, VerifyImageChanged};
    // Members are given from the highest id, answers come from the lowest.
    for reach in [Reach::WHOLE, LATER] {
        let again = of(&[digest('a'), digest('b'), digest('A')], reach);
        assert_eq!(again, [vec![], vec![], vec![DigestReuse]]);
        assert_eq!(of(&[image("x"), image("x")], reach), [vec![], vec![ImageReuse]]);
        let changed = of(&[picture('b'), String::new(), picture('a'), picture('A')], reach);
        assert_eq!(changed, [vec![], vec![], vec![], vec![VerifyImageChanged]]);
    }
    let twice = list(&[
        ("1", "", &digest('a')),
        ("2", "", &digest('a')),
        ("1", "", &digest('a')),
        ("2", "", &digest('a')),
    ]);
    let places = timeline(&twice, Reach::WHOLE).places;
    let reused: Vec<_> = places.iter().map(|place| place.signals.iter().count()).collect();
    assert_eq!(reused, [0, 1, 0, 1], "an entry that is there twice is one");
    assert_eq!(of(&[image(""), image("")], Reach::WHOLE), [vec![], vec![]], "no pictures at all");
    let odd = || r#","digest":"none""#.to_owned();
    assert_eq!(of(&[odd(), odd()], Reach::WHOLE), [vec![], vec![]], "no digests at all");
    let unordered = list(&[("2", "", &digest('a')), ("1", "", &digest('a'))]);
    let places = timeline(&unordered, FIRST).places;
    let reused: Vec<_> = places.iter().map(|place| place.signals.iter().count()).collect();
    assert_eq!(reused, [1, 0], "a lower id can be told without the order");
}
