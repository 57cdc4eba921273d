use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::liveness::decision::Outcome;
use crate::liveness::mutation::{changes, config};
use crate::liveness::verdict::Given;

const HEX: &str = "1CC98BA83EAF1D0FF7F566FAEFCCCC787819FFA01251E2D9299143F7AD6651DB";

/// The list with the index of each entry as its member.
fn numbered(body: &str) -> String {
    let list = read(body.as_bytes()).unwrap();
    let mut numbers = 0..;
    let spliced = list.splice(body.as_bytes(), |out| serde_json::to_writer(out, &numbers.next()));
    let spliced = spliced.unwrap();
    String::from_utf8(spliced.to_vec()).unwrap()
}

fn reason(body: &str) -> Unreadable {
    read(body.as_bytes()).unwrap_err()
}

#[test]
fn a_member_is_put_behind_the_last_one_and_nothing_else_changes() {
    for (body, expected) in [
        ("[]", "[]"),
        (" [ \n]\t", " [ \n]\t"),
        ("[{}]", r#"[{"gateway":0}]"#),
        ("[{ }]", r#"[{"gateway":0 }]"#),
        (r#"[{"a":1}]"#, r#"[{"a":1,"gateway":0}]"#),
        ("[\n  {\n    \"id\": 4\n  }\n]\n", "[\n  {\n    \"id\": 4,\"gateway\":0\n  }\n]\n"),
        (
            r#"[ {"id":2,"x":"}]"} ,{"id":1,"y":[{}]} ]"#,
            r#"[ {"id":2,"x":"}]","gateway":0} ,{"id":1,"y":[{}],"gateway":1} ]"#,
        ),
        (
            r#"[{"id":9223372036854775807,"n":1.0e+00,"u":"é\u00e9"}]"#,
            r#"[{"id":9223372036854775807,"n":1.0e+00,"u":"é\u00e9","gateway":0}]"#,
        ),
    ] {
        assert_eq!(numbered(body), expected);
        let list: Vec<Value> = serde_json::from_str(expected).unwrap();
        assert!(list.iter().enumerate().all(|(index, entry)| entry["gateway"] == index));
    }
}

#[test]
fn an_entry_is_read_where_it_lies() {
    let body = format!(
        r#"[{{"id":4,"receivedDateTime":"2024-03-05T11:07:29.698Z","request":{{"userAgent":"curl/8"}},
        "response":{{"body":{{"livenessDecision":"realface","modelVersionUsed":"m","verifyResult":{{"matchConfidence":0.93,"isIdentical":true}}}},
        "statusCode":200,"latencyInMilliseconds":1200}},"digest":"{HEX}","sessionImageId":"i","verifyImageHash":"x","new":{{"id":9}}}},
        {{"id":null,"response":null,"request":{{}},"digest":""}},
        {{"response":{{"body":"no JSON of ours","statusCode":500}}}},
        {{"response":{{"body":{{"error":{{"code":"NoFaceDetected"}}}},"statusCode":200}},"receivedDateTime":"yesterday"}}]"#
    );
    let list = read(body.as_bytes()).unwrap();
    let [first, second, third, fourth] = list.entries.as_slice() else { panic!() };
    assert_eq!((first.id, first.status, first.service), (Some(4), Some(200), Some(1200)));
    assert_eq!(first.received.unwrap().to_string(), "2024-03-05T11:07:29.698Z");
    let text = |text: &Option<json::Text<'_>>| text.as_ref().map(|text| text.as_str().to_owned());
    assert_eq!(text(&first.agent).as_deref(), Some("curl/8"));
    assert_eq!(first.attempt.image.as_deref(), Some("i"));
    assert_eq!(text(&first.model).as_deref(), Some("m"));
    let attempt = &first.attempt;
    assert_eq!(attempt.outcome, Outcome::Word("realface".into()));
    assert_eq!((attempt.identical, attempt.confidence), (Some(true), Some(0.93)));
    assert_eq!(attempt.proof.digest, Given::parse(HEX.as_bytes()));
    assert_eq!((attempt.proof.picture, attempt.entry), (Given::Malformed, Some(4)));
    assert_eq!((second.id, &second.attempt.outcome), (None, &Outcome::None));
    assert_eq!(second.attempt.proof.digest, Given::Nothing, "an empty digest is none");
    assert_eq!((third.status, &third.attempt.outcome), (Some(500), &Outcome::Error(None)));
    assert_eq!(fourth.attempt.outcome, Outcome::Error(Some("NoFaceDetected".into())));
    assert_eq!(fourth.received, None);
}

#[test]
fn what_cannot_be_read_has_a_reason() {
    for body in [
        "",
        "[",
        "[{}",
        "[{},]",
        "[{} {}]",
        "[{}]x",
        "[{}] []",
        "[,]",
        "{",
        r#"[{"id":"7"}"#,
        r#"[{"id":1}, {"id":}]"#,
        "[7",
        "\u{feff}[]",
    ] {
        assert_eq!(reason(body), Unreadable::NotJson, "{body}");
    }
    assert_eq!(read(b"[{\"x\":\"\xff\"}]").unwrap_err(), Unreadable::NotJson);
    for body in ["{}", "null", "7", "\"[]\"", r#"{"value":[]}"#] {
        assert_eq!(reason(body), Unreadable::NoList, "{body}");
    }
    for entry in [
        "8",
        "null",
        "[]",
        "\"x\"",
        r#"{"id":"7"}"#,
        r#"{"id":1.0}"#,
        r#"{"id":18446744073709551616}"#,
        r#"{"id":1,"id":1}"#,
        r#"{"digest":5}"#,
        r#"{"response":[]}"#,
        r#"{"response":{"statusCode":"200"}}"#,
        r#"{"response":{"statusCode":65536}}"#,
        r#"{"response":{"latencyInMilliseconds":-1}}"#,
        r#"{"response":{"statusCode":200,"body":"x"}}"#,
        r#"{"response":{"body":{"livenessDecision":true}}}"#,
        r#"{"response":{"body":{"verifyResult":{"matchConfidence":2}}}}"#,
        r#"{"request":{"userAgent":{}}}"#,
        r#"{"receivedDateTime":1709636849}"#,
    ] {
        assert_eq!(reason(&format!("[{{}},{entry},{{}}]")), Unreadable::BadEntry, "{entry}");
    }
    for entry in [r#"{"gateway":1}"#, r#"{"gateway":null}"#, r#"{"gatewa\u0079":{}}"#] {
        assert_eq!(reason(&format!("[{entry}]")), Unreadable::Taken, "{entry}");
    }
}

#[test]
fn a_list_has_bounds() {
    let entries = |count| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(read(entries(1_000).as_bytes()).unwrap().entries.len(), 1_000);
    assert_eq!(reason(&entries(1_001)), Unreadable::TooMany);
    let long = |length: usize| format!(r#"[{{"x":"{}"}}]"#, "x".repeat(length - 8));
    assert!(read(long(256 << 10).as_bytes()).is_ok());
    assert_eq!(reason(&long((256 << 10) + 1)), Unreadable::TooLong);
    let deep = |depth: usize| format!(r#"[{{"x":{}1{}}}]"#, "[".repeat(depth), "]".repeat(depth));
    assert!(read(deep(127).as_bytes()).is_ok());
    assert_eq!(reason(&deep(128)), Unreadable::TooDeep);
    assert_eq!(reason(&deep(200_000)), Unreadable::TooLong);
}

const GOOD: &str = r#"[{"id":4,"receivedDateTime":"2024-03-05T11:07:29.698Z","request":{"userAgent":"x"},"response":{"body":{"livenessDecision":"realface"},"statusCode":200,"latencyInMilliseconds":1200},"digest":"DD","sessionImageId":"i"}, {"id":5,"digest":"EE"} ]"#;

/// A list made of the good one by cutting, doubling and exchanging pieces.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec![
        "",
        "null",
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
        "\"id\":",
        "\"gateway\":",
        "{\"id\":1},",
        " ",
        "\n",
        "\u{e9}",
    ];
    changes(0..5, pieces).prop_map(|changes| changes.of(GOOD))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_is_read_keeps_its_bytes(body in mutated()) {
        let Ok(list) = read(&body) else {
            return Ok(());
        };
        let text = String::from_utf8(body.clone()).unwrap();
        let spliced = numbered(&text);
        let entries: Vec<Value> = serde_json::from_str(&spliced).unwrap();
        prop_assert_eq!(entries.len(), list.entries.len());
        // Whatever stands between the members that were put in is what Azure sent.
        let mut without = spliced;
        for number in 0..list.entries.len() {
            let member = format!("\"gateway\":{number}");
            let alone = format!(",{member}");
            let taken = if without.contains(&alone) { alone } else { member };
            without = without.replacen(&taken, "", 1);
        }
        prop_assert_eq!(without, text);
    }
}
