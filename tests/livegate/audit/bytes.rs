//! Every byte that Azure sent is there, in its place, whatever the list looks like.

use std::fmt::Write as _;

use serde_json::json;

use super::stage::{added, ask, audit, bare, entry, verify_audit};
use crate::memory::azure::ok;
use crate::memory::stage::Stage;
use crate::support::gateway::TOKEN;
use crate::support::http::Answer;

/// The published samples, and their versions.
const SAMPLES: [(&str, &str); 2] = [
    ("v1.1-preview.1", include_str!("../../data/samples/v1.1-preview.1/audit.json")),
    ("v1.2-preview.1", include_str!("../../data/samples/v1.2-preview.1/audit.json")),
];

/// What begins each member that was added.
const MARK: &str = "\"gateway\":{\"schema\":\"livegate.audit/1\"";

/// Asks for both, with what is added and without, and asserts that all else is Azure's.
#[track_caller]
fn kept(stage: &Stage, path: &str, list: &str, entries: usize) {
    stage.azure.says(path, ok(list));
    let rich = ask(stage, TOKEN, path, None);
    // Not by a reader of JSON: some of these lists are beyond it.
    assert_eq!(rich.text().matches(MARK).count(), entries, "{rich:?}");
    same(&bare(&rich.body), list);
    let plain = ask(stage, TOKEN, path, Some("enrich=none"));
    assert_eq!(plain.status, 200);
    same(&plain.body, list);
    for (prefer, answer) in [("", &rich), ("Prefer: enrich=none\r\n", &plain)] {
        head(stage, path, prefer, answer);
    }
}

#[track_caller]
fn same(bytes: &[u8], sent: &str) {
    assert!(bytes == sent.as_bytes(), "{}\n in place of\n{sent}", String::from_utf8_lossy(bytes));
}

/// A HEAD announces as many bytes as the GET had, and sends none.
#[track_caller]
fn head(stage: &Stage, path: &str, prefer: &str, answer: &Answer) {
    let (line, fields, content) = stage.raw("HEAD", path, prefer);
    assert!(line.contains(" 200 "), "{line}");
    assert_eq!(fields.get("content-length"), Some(answer.body.len().to_string().as_str()));
    assert!(content.is_empty());
}

#[test]
fn the_published_samples_keep_every_byte() {
    let stage = Stage::set();
    for (version, sample) in SAMPLES {
        for path in [audit("abc"), verify_audit("abc")] {
            kept(&stage, &path.replace("v1.2-preview.1", version), sample, 1);
        }
    }
}

#[test]
fn spaces_order_and_unknown_members_stay() {
    let stage = Stage::set();
    let pretty = serde_json::to_string_pretty(&json!([entry(1), entry(2)])).unwrap();
    let reversed = r#"[{"digest":"","zeta":[ 1 , 2.50, -0.0, 1e3, {"gateway" : {}}],"id":1}]"#;
    for (list, entries) in [
        ("[]", 0),
        ("[ ]", 0),
        (" \r\n[\t\n]\n", 0),
        ("[{}]", 1),
        ("[{ }]", 1),
        ("[{\n}\n,{} , { } ]\n", 3),
        ("\t[ { \"id\" : 1 , \"x\" : null } , { \"id\":2\r\n} ]\r\n\r\n", 2),
        (reversed, 1),
        // What matters nothing may be there twice.
        (r#"[{"id":1,"x":1,"x":2,"response":{"y":1,"y":1}}]"#, 1),
        // Names that only look like the member's.
        (r#"[{"Gateway":1,"gateway ":{},"response":{"gateway":{"a":1}}}]"#, 1),
        (&pretty, 2),
        (&pretty.replace('\n', "\r\n\t"), 2),
    ] {
        kept(&stage, &audit("abc"), list, entries);
    }
}

#[test]
fn long_numbers_escapes_and_signs_of_all_scripts_stay() {
    let stage = Stage::set();
    for list in [
        r#"[{"id":9223372036854775807,"big":123456789012345678901234567890.000}]"#,
        r#"[{"id":9223372036854775806},{"id":9223372036854775807}]"#,
        r#"[{"id":9007199254740993,"n":1E+300,"request":{"contentLength":9223372036854775807}}]"#,
        r#"[{"\u0069d":1,"sessionId":"\u0061\/\"}{[],\\","r\u00e9sum\u00e9":"\ud83d\ude00"}]"#,
        r#"[{"id":1,"x":"\ud800","y":"},\"gateway\":{"}]"#,
        "[{\"id\":1,\"höhe\":\"ä 😀\u{2028}\u{feff}\u{7f}\"}]",
    ] {
        let entries = list.matches(r#"{"id""#).count().max(1);
        kept(&stage, &audit("abc"), list, entries);
    }
}

#[test]
fn a_thousand_entries_keep_every_byte() {
    let stage = Stage::set();
    let mut list = "[".to_owned();
    for number in 1..=1_000 {
        let comma = if number == 1 { "" } else { ",\n " };
        write!(list, "{comma}{}", entry(number)).unwrap();
    }
    list.push_str(" ]\n");
    kept(&stage, &audit("abc"), &list, 1_000);
}

#[test]
fn an_entry_may_be_long_and_deep() {
    let stage = Stage::set();
    let long = |length: usize| format!("[{{\"id\":1,\"x\":\"{}\"}}]", "a".repeat(length));
    // The entry has 256 KiB to the byte.
    let entry = long(0).len() - 2;
    kept(&stage, &audit("abc"), &long(256 * 1_024 - entry), 1);
    // The list, the entry and 126 lists inside.
    let deep = format!("[{{\"x\":{}{}}}]", "[".repeat(126), "]".repeat(126));
    stage.azure.says(&audit("abc"), ok(&deep));
    let answer = stage.get(&audit("abc"));
    same(&bare(&answer.body), &deep);
    assert!(answer.text().contains("\"livegate.audit/1\""), "{answer:?}");
}

#[test]
fn a_list_that_comes_in_chunks_or_zipped_keeps_every_byte() {
    use std::io::Write as _;

    let stage = Stage::set();
    let list = json!([entry(1), entry(2)]).to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let (first, second) = list.split_at(100);
    let chunked = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n64\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        second.len()
    );
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    zip.write_all(list.as_bytes()).unwrap();
    let zipped = zip.finish().unwrap();
    let fields =
        format!("{head}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", zipped.len());
    for answer in [chunked.into_bytes(), [fields.into_bytes(), zipped].concat()] {
        stage.azure.says(&audit("abc"), answer);
        let rich = stage.get(&audit("abc"));
        assert_eq!((added(&rich).len(), rich.header("content-encoding")), (2, None), "{rich:?}");
        same(&bare(&rich.body), &list);
        let plain = ask(&stage, TOKEN, &audit("abc"), Some("enrich=none"));
        same(&plain.body, &list);
    }
}
