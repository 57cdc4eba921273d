//! Bodies that no service should send, and what must hold for any body at all.

use proptest::prelude::*;

use super::*;
use crate::liveness::decision::Decision;
use crate::liveness::mutation::{changes, config};

const GA: &str = r#"{"sessionId":"a","authToken":"ey","status":"Succeeded","modelVersion":"m","results":{"attempts":[{"attemptId":1,"attemptStatus":"Succeeded","result":{"livenessDecision":"realface","digest":"DD","verifyResult":{"isIdentical":true,"matchConfidence":0.93},"verifyImageHash":"HH"}}]}}"#;
const PREVIEW: &str = r#"{"id":"a","createdDateTime":"2024-03-05T11:07:29Z","sessionExpired":true,"status":"ResultAvailable","result":{"id":4,"digest":"DD","verifyImageHash":"HH","response":{"statusCode":200,"body":{"livenessDecision":"realface","modelVersionUsed":"m","verifyResult":{"isIdentical":true,"matchConfidence":0.93}}}}}"#;

fn facts(family: Family, body: &str) -> Facts {
    read(family, Bytes::copy_from_slice(body.as_bytes())).0
}

/// It decides nothing, proves nothing, is never kept, and passes as it is.
#[track_caller]
fn unreadable(family: Family, body: &[u8]) {
    let came = Bytes::copy_from_slice(body);
    let (facts, passed) = read(family, came.clone());
    let start = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    assert_eq!(facts, Facts::unreadable(family), "{start}");
    assert_eq!((facts.decision(), facts.evidence()), (Decision::Unreadable, Evidence::Unreadable));
    assert_eq!(passed, came);
}

#[test]
fn the_good_ones_are_good() {
    for (family, body) in [(Family::Ga, GA), (Family::Preview, PREVIEW)] {
        assert!(facts(family, body).decision().to_string().starts_with("realface"), "{body}");
    }
}

#[test]
fn a_member_that_matters_is_of_its_type_and_in_its_range() {
    let ga = [
        (r#""Succeeded","modelVersion""#, r#"7,"modelVersion""#),
        (r#""m""#, "7"),
        (r#""attemptId":1"#, r#""attemptId":"1""#),
        (r#""attemptId":1"#, r#""attemptId":0"#),
        (r#""attemptId":1"#, r#""attemptId":-1"#),
        (r#""attemptId":1"#, r#""attemptId":1.5"#),
        (r#""attemptId":1"#, r#""attemptId":12345678901234567890"#),
        (r#""attemptId":1"#, r#""attemptId":1,"attemptId":2"#),
        (r#""attemptStatus":"Succeeded""#, r#""attemptStatus":true"#),
        (r#""realface""#, "7"),
        (r#""realface""#, r#""realface","livenessDecision":"spoofface""#),
        (r#""DD""#, "7"),
        (r#""HH""#, "{}"),
        ("true,", "1,"),
        ("0.93", r#""0.93""#),
        ("0.93", "1e999"),
        ("0.93", "7"),
        (r#"{"attempts""#, r#"{"attempts":[],"attempts""#),
        (r#""status""#, r#""status":"Running","st\u0061tus""#),
        (r#"[{"attemptId""#, r#"{"0":{"attemptId""#),
        (r#""result":{"#, r#""error":7,"result":{"#),
        (r#""result":{"#, r#""error":{"code":7},"result":{"#),
    ];
    for (good, odd) in ga {
        assert!(GA.contains(good), "{good}");
        unreadable(Family::Ga, GA.replacen(good, odd, 1).as_bytes());
    }
    let preview = [
        (r#""ResultAvailable""#, "null"),
        (r#""sessionExpired":true"#, r#""sessionExpired":"true""#),
        (r#""2024-03-05T11:07:29Z""#, "7"),
        (r#""id":4"#, r#""id":12345678901234567890"#),
        (r#""id":4"#, r#""id":"4""#),
        (r#""DD""#, "null,\"digest\":\"DD\""),
        ("200", "70000"),
        ("200", "\"200\""),
        (r#""realface""#, "[]"),
        ("0.93", "-1"),
    ];
    for (good, odd) in preview {
        assert!(PREVIEW.contains(good), "{good}");
        unreadable(Family::Preview, PREVIEW.replacen(good, odd, 1).as_bytes());
    }
}

#[test]
fn attempts_can_be_told_apart() {
    let attempts = |attempts: &str| {
        format!(r#"{{"status":"Succeeded","results":{{"attempts":[{attempts}]}}}}"#)
    };
    let one = |id: &str| format!(r#"{{{id}"result":{{"livenessDecision":"realface"}}}}"#);
    let (first, second) = (one(r#""attemptId":1,"#), one(r#""attemptId":2,"#));
    assert_eq!(facts(Family::Ga, &attempts(&format!("{second},{first}"))).attempts.len(), 2);
    for odd in [
        format!("{first},{first}"),
        format!("{first},{second},{first}"),
        format!("{first},{}", one("")),
        format!("{},{}", one(""), one("")),
    ] {
        unreadable(Family::Ga, attempts(&odd).as_bytes());
    }
}

#[test]
fn what_is_far_too_much_is_not_read() {
    let many = |count: u32| {
        let attempts: Vec<_> = (1..=count).map(|id| format!(r#"{{"attemptId":{id}}}"#)).collect();
        GA.replace(r#"[{"attemptId":1"#, &format!("[{},{{\"attemptId\":0", attempts.join(",")))
            .replace("\"attemptId\":0", &format!("\"attemptId\":{}", count + 1))
    };
    assert_eq!(facts(Family::Ga, &many(99)).count, Some(100));
    unreadable(Family::Ga, many(100).as_bytes());
    unreadable(Family::Ga, many(10_000).as_bytes());
    let deep = |levels: usize| {
        let nested = "[".repeat(levels) + &"]".repeat(levels);
        GA.replacen("{", &format!("{{\"unknown\":{nested},"), 1)
    };
    assert_eq!(facts(Family::Ga, &deep(100)), facts(Family::Ga, GA));
    unreadable(Family::Ga, deep(10_000).as_bytes());
    unreadable(Family::Ga, "[".repeat(1_000_000).as_bytes());
}

#[test]
fn what_is_no_json_is_not_read() {
    unreadable(Family::Ga, &GA.as_bytes()[..GA.len() - 1]);
    unreadable(Family::Ga, &GA.replace("ey", "\u{fffd}").replace('\u{fffd}', "").as_bytes()[1..]);
    let mut invalid = GA.as_bytes().to_vec();
    let at = GA.find("ey").unwrap();
    invalid[at] = 0xff;
    unreadable(Family::Ga, &invalid);
    for odd in ["", "null", "[]", "7", "{}", "\u{feff}{}", "{\"status\":\"Failed\"} x"] {
        unreadable(Family::Ga, odd.as_bytes());
        unreadable(Family::Preview, odd.as_bytes());
    }
}

/// A body made of the good one by cutting, doubling and exchanging pieces.
fn mutated() -> impl Strategy<Value = (Family, Vec<u8>)> {
    let good = prop_oneof![Just((Family::Ga, GA)), Just((Family::Preview, PREVIEW))];
    let pieces = vec![
        "",
        "null",
        "true",
        "7",
        "-1",
        "1e999",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "\\",
        "{}",
        "[]",
        "\"status\":",
        "\"attemptId\":",
        "\u{e9}",
        "Succeeded",
        "Running",
        "sessionExpired",
    ];
    (good, changes(0..6, pieces)).prop_map(|((family, good), changes)| (family, changes.of(good)))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_comes_is_told_safely((family, body) in mutated()) {
        let came = Bytes::from(body);
        let (facts, passed) = read(family, came.clone());
        let decision = facts.decision().to_string();
        // It is always one that a header can hold.
        prop_assert!(http::HeaderValue::try_from(&decision).is_ok());
        prop_assert!(decision.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        // Nothing is decided by what is not, and only what is final loses its token.
        prop_assert_eq!(decision == "pending", matches!(facts.evidence(), Evidence::Pending));
        if !facts.standing.is_decided() {
            prop_assert!(decision == "pending" || decision == "none");
        }
        prop_assert!(passed == came || (facts.standing.is_final() && passed.len() <= came.len()));
        // Reading what was told says the same.
        prop_assert_eq!(read(family, passed).0, facts);
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let came = Bytes::from(body);
        for family in [Family::Ga, Family::Preview] {
            let (facts, passed) = read(family, came.clone());
            prop_assert!(facts.standing == Standing::Unreadable && passed == came);
        }
    }

    #[test]
    fn the_order_of_attempts_makes_no_difference(order in Just((1..=5_u64).collect::<Vec<_>>()).prop_shuffle()) {
        let attempt = |id: &u64| match id % 2 {
            0 => format!(r#"{{"attemptId":{id},"attemptStatus":"Failed","error":{{"code":"X{id}"}}}}"#),
            _ => format!(r#"{{"attemptId":{id},"result":{{"livenessDecision":"d{id}"}}}}"#),
        };
        let body = |order: &[u64]| {
            let attempts: Vec<_> = order.iter().map(attempt).collect();
            let attempts = attempts.join(",");
            format!(r#"{{"status":"Succeeded","results":{{"attempts":[{attempts}]}}}}"#)
        };
        let told = facts(Family::Ga, &body(&order));
        prop_assert_eq!(told.decision().to_string(), "d5;attempt=5;attempts=5");
        prop_assert_eq!(told, facts(Family::Ga, &body(&[1, 2, 3, 4, 5])));
    }
}
