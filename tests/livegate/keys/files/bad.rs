//! What cannot be a key is not taken for one: the slot keeps the one it has, and it is told why.

use std::fs;

use serde_json::Value;

use super::{RELOADS, shows, stage};
use crate::keys::stage::{Stage, fingerprint, listed};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::AZURE_KEY;

/// Marks every bad value, so that it can be searched for.
const PLANTED: &str = "planted5150key";

/// What a file may hold and no key can.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: String| text.into_bytes();
    vec![
        ("empty", Vec::new()),
        ("only white space", b" \t\r\n\n ".to_vec()),
        ("a space inside", text(format!("{PLANTED} {PLANTED}"))),
        ("a tab inside", text(format!("{PLANTED}\t{PLANTED}"))),
        ("two lines", text(format!("{PLANTED}\n{PLANTED}\n"))),
        ("a control character", text(format!("{PLANTED}\u{1}x"))),
        ("an escape", text(format!("\u{1b}[31m{PLANTED}"))),
        ("a delete character", text(format!("{PLANTED}\u{7f}"))),
        ("a NUL", text(format!("{PLANTED}\0"))),
        ("NULs alone", vec![0; 32]),
        ("513 characters", text(format!("{PLANTED}{}", "x".repeat(513 - PLANTED.len())))),
        ("a picture", text(format!("{PLANTED}{}", "x".repeat(3 << 20)))),
        ("a letter beyond ASCII", text(format!("{PLANTED}\u{e9}"))),
        ("a byte order mark", text(format!("\u{feff}{PLANTED}"))),
        ("no UTF-8", [PLANTED.as_bytes(), b"\xFF\xFE"].concat()),
        ("UTF-16", PLANTED.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ]
}

/// Asserts that the old key serves on, and that everybody is told of the trouble but not of the value.
#[track_caller]
fn refused(what: &str, stage: &Stage, log: usize) {
    let slot = stage.slot("primary");
    assert_eq!(slot["fingerprint"], fingerprint(AZURE_KEY), "{what}");
    let problem = slot["problem"].as_str().unwrap_or_else(|| panic!("{what}: {slot}"));
    assert!(!problem.is_empty(), "{what}");
    assert!(stage.ready(), "{what}");
    let told = stage.gateway.process.stderr();
    let complaint = told.get(log..).unwrap().lines().any(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        ["WARN", "ERROR"].contains(&line["level"].as_str().unwrap())
    });
    assert!(complaint, "{what}: {}", told.get(log..).unwrap_or_default());
    let keys = stage.keys(&["--json"]);
    assert_eq!(listed(&keys)[0]["problem"], problem, "{what}: {keys:?}");
    let pages = stage.page("/status") + &stage.page("/") + &stage.page("/metrics");
    let all = pages + &told + &keys.stdout + &keys.stderr;
    assert!(!all.contains(PLANTED), "{what}: {all}");
    assert!(!all.contains(&fingerprint(PLANTED)), "{what}: {all}");
}

#[test]
fn what_cannot_be_a_key_is_refused() {
    let (face, stage) = stage();
    for (what, content) in contents() {
        let log = stage.gateway.process.stderr().len();
        let invalid = [("source", "admin"), ("result", "invalid")];
        let before = stage.count(RELOADS, &invalid);
        stage.put("key-1", content);
        let answer = stage.reload();
        let told = "the primary key of emulated was not, and the one before stays: ";
        assert!(answer.status == 200 && answer.text().contains(told), "{what}: {answer:?}");
        assert!(!answer.text().contains(PLANTED), "{what}");
        assert_eq!(shows(&face, &stage), AZURE_KEY, "{what}");
        assert_eq!(stage.count(RELOADS, &invalid), before + 1, "{what}");
        refused(what, &stage, log);
        stage.put("key-1", AZURE_KEY);
        stage.reload();
        assert_eq!(stage.slot("primary")["problem"], Value::Null, "{what}");
    }
    assert_eq!(stage.count(RELOADS, &[("result", "ok")]), 1, "the one of the start");
}

#[test]
fn what_cannot_be_read_is_refused() {
    let (face, stage) = stage();
    let path = stage.gateway.scratch.path("key-1");
    let gone = || fs::remove_file(&path).unwrap();
    let folder = || fs::create_dir(&path).unwrap();
    let dangling = || std::os::unix::fs::symlink("nowhere", &path).unwrap();
    let circle = || std::os::unix::fs::symlink("key-1", &path).unwrap();
    // A file in place of a folder on the way, which not even the superuser can read through.
    let through = || std::os::unix::fs::symlink("livegate.toml/key", &path).unwrap();
    let endless = || fs::write(&path, PLANTED.repeat(1 << 20)).unwrap();
    let ways: [(&str, &dyn Fn()); 6] = [
        ("gone", &|| ()),
        ("a folder", &folder),
        ("a link to nothing", &dangling),
        ("a link to itself", &circle),
        ("a way that is none", &through),
        ("more than is read", &endless),
    ];
    for (what, spoil) in ways {
        let log = stage.gateway.process.stderr().len();
        let unreadable = [("source", "admin"), ("result", "unreadable")];
        let before = stage.count(RELOADS, &unreadable);
        gone();
        spoil();
        stage.reload();
        assert_eq!(shows(&face, &stage), AZURE_KEY, "{what}");
        assert_eq!(stage.count(RELOADS, &unreadable), before + 1, "{what}");
        refused(what, &stage, log);
        drop(fs::remove_file(&path));
        drop(fs::remove_dir(&path));
        stage.put("key-1", AZURE_KEY);
        stage.reload();
        assert_eq!(stage.slot("primary")["problem"], Value::Null, "{what}");
    }
}

#[test]
fn what_cannot_be_a_key_is_refused_though_nobody_says_that_it_is_there() {
    let (face, stage) = stage();
    let log = stage.gateway.process.stderr().len();
    stage.put("key-1", format!("{PLANTED} {PLANTED}"));
    stage.until_count(RELOADS, &[("source", "watch"), ("result", "invalid")], 1);
    assert_eq!(shows(&face, &stage), AZURE_KEY);
    refused("a space inside", &stage, log);
}

#[test]
fn one_slots_bad_file_does_not_keep_the_other_from_being_read() {
    let (face, stage) = Stage::set();
    face.accepts_all();
    stage.put("key-1", " ");
    stage.put("key-2", "azure-key-three");
    stage.reload();
    let (primary, secondary) = (stage.slot("primary"), stage.slot("secondary"));
    assert_eq!(primary["fingerprint"], fingerprint(AZURE_KEY));
    assert!(primary["problem"].is_string() && secondary["problem"].is_null());
    assert_eq!(secondary["fingerprint"], fingerprint("azure-key-three"));
    assert_ne!(secondary["fingerprint"], fingerprint(SECOND_KEY));
    assert_eq!(shows(&face, &stage), AZURE_KEY);
}
