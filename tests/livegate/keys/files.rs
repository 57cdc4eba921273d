//! Keys are read anew when their files change, however they change.

mod bad;
mod written;

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::face::{Face, credential};
use super::stage::{LIST, NO_PROBES, ONE, Stage, builder, fingerprint};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::AZURE_KEY;
use crate::support::wait;

const NEW_KEY: &str = "azure-key-three-5566778899aabbccdd";
const RELOADS: &str = "livegate_key_reloads_total";

/// One slot, and a service that takes whatever it is shown.
fn stage() -> (Face, Stage) {
    let (face, stage) = Stage::set_one();
    face.accepts_all();
    (face, stage)
}

/// The key that the gateway shows now.
#[track_caller]
fn shows(face: &Face, stage: &Stage) -> String {
    assert_eq!(stage.get(LIST).status, 200);
    credential(face.arrived().last().unwrap())
}

/// Waits for the key to come into force, while it is asked for all the time; no third one may be seen.
#[track_caller]
fn goes_over(face: &Face, stage: &Stage, old: &str, new: &str) {
    let changed = wait::until(|| {
        let shown = shows(face, stage);
        assert!(shown == old || shown == new, "{shown}");
        (shown == new).then_some(())
    });
    assert!(changed.is_some(), "{}", stage.upstream());
    assert_eq!(stage.slot("primary")["fingerprint"], fingerprint(new));
    assert_eq!(stage.slot("primary")["problem"], Value::Null);
}

#[test]
fn a_file_that_is_replaced_is_read() {
    let (face, stage) = stage();
    assert_eq!(shows(&face, &stage), AZURE_KEY);
    for (old, new) in [(AZURE_KEY, NEW_KEY), (NEW_KEY, SECOND_KEY), (SECOND_KEY, AZURE_KEY)] {
        stage.put("key-1", new);
        goes_over(&face, &stage, old, new);
    }
    assert_eq!(stage.count(RELOADS, &[("source", "watch"), ("result", "ok")]), 3);
}

#[test]
fn a_file_that_is_written_over_is_read() {
    let (face, stage) = stage();
    // As long as the old one, longer and shorter.
    let (same, longer) = ("azure-key-six-00112233445566778899", "azure-key-four-".repeat(8));
    assert_eq!(same.len(), AZURE_KEY.len());
    let mut old = AZURE_KEY;
    for new in [same, longer.as_str(), "short-key"] {
        fs::write(stage.gateway.scratch.path("key-1"), new).unwrap();
        goes_over(&face, &stage, old, new);
        old = new;
    }
}

#[test]
fn a_file_that_is_emptied_first_and_written_later_is_read() {
    let (face, stage) = stage();
    drop(fs::File::create(stage.gateway.scratch.path("key-1")).unwrap());
    stage.until_count(RELOADS, &[("source", "watch"), ("result", "invalid")], 1);
    assert_eq!(shows(&face, &stage), AZURE_KEY);
    assert!(stage.slot("primary")["problem"].is_string(), "{}", stage.upstream());
    fs::write(stage.gateway.scratch.path("key-1"), NEW_KEY).unwrap();
    goes_over(&face, &stage, AZURE_KEY, NEW_KEY);
}

#[test]
fn a_file_that_is_gone_for_a_while_is_read_when_it_is_back() {
    let (face, stage) = stage();
    let path = stage.gateway.scratch.path("key-1");
    for (old, new) in [(AZURE_KEY, NEW_KEY), (NEW_KEY, NEW_KEY), (NEW_KEY, AZURE_KEY)] {
        let before = stage.count(RELOADS, &[("source", "watch"), ("result", "unreadable")]);
        fs::remove_file(&path).unwrap();
        let gone = [("source", "watch"), ("result", "unreadable")];
        stage.until_count(RELOADS, &gone, before + 1);
        assert!(stage.slot("primary")["problem"].is_string(), "{}", stage.upstream());
        assert_eq!(shows(&face, &stage), old);
        assert!(stage.ready());
        stage.put("key-1", new);
        let healed = || stage.slot("primary")["problem"].is_null().then_some(());
        wait::until(healed).unwrap_or_else(|| panic!("{}", stage.upstream()));
        goes_over(&face, &stage, old, new);
    }
}

#[test]
fn a_folder_that_is_swapped_behind_a_link_is_read() {
    let face = Face::start();
    face.accepts_all();
    let stage = Stage::of(builder(&face.url()).upstream(NO_PROBES));
    let scratch = &stage.gateway.scratch;
    let link = |target: &str, name: &str| {
        symlink(target, scratch.path("link")).unwrap();
        fs::rename(scratch.path("link"), scratch.path(name)).unwrap();
    };
    let volume = |name: &str, primary: &str, secondary: &str| {
        fs::create_dir(scratch.path(name)).unwrap();
        scratch.write(format!("{name}/key-1"), primary);
        scratch.write(format!("{name}/key-2"), secondary);
        link(name, "..data");
    };
    volume("..v1", AZURE_KEY, SECOND_KEY);
    link("..data/key-1", "key-1");
    link("..data/key-2", "key-2");
    assert_eq!(shows(&face, &stage), AZURE_KEY);
    // Both change in one step, as they do in a volume.
    volume("..v2", NEW_KEY, AZURE_KEY);
    fs::remove_dir_all(scratch.path("..v1")).unwrap();
    goes_over(&face, &stage, AZURE_KEY, NEW_KEY);
    let secondary = wait::until(|| {
        (stage.slot("secondary")["fingerprint"] == fingerprint(AZURE_KEY)).then_some(())
    });
    assert!(secondary.is_some(), "{}", stage.upstream());
}

#[test]
fn white_space_around_a_key_is_no_part_of_it() {
    let (face, stage) = stage();
    for (content, key) in [
        (format!("{NEW_KEY}\r\n"), NEW_KEY),
        (format!(" \t{SECOND_KEY} \n\n"), SECOND_KEY),
        (format!("\r\n\r\n{AZURE_KEY}\t"), AZURE_KEY),
        ("~".to_owned(), "~"),
        (format!("{}\n", "x".repeat(512)), &"x".repeat(512)),
        ("!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~".to_owned(), "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"),
    ] {
        stage.load("key-1", &content);
        assert_eq!(shows(&face, &stage), key);
        assert_eq!(stage.slot("primary")["fingerprint"], fingerprint(key));
    }
}

#[test]
fn a_reload_by_hand_takes_a_key_at_once() {
    let (face, stage) = stage();
    for key in [NEW_KEY, SECOND_KEY, AZURE_KEY] {
        stage.load("key-1", key);
        assert_eq!(shows(&face, &stage), key);
    }
    assert_eq!(stage.count(RELOADS, &[("source", "admin"), ("result", "ok")]), 3);
    assert_eq!(stage.reload().status, 200);
    assert_eq!(stage.count(RELOADS, &[("source", "admin"), ("result", "unchanged")]), 1);
}

#[test]
fn a_signal_takes_a_key_at_once() {
    let (face, stage) = stage();
    stage.gateway.process.signal("HUP");
    stage.until_count(RELOADS, &[("source", "signal"), ("result", "unchanged")], 1);
    stage.put("key-1", NEW_KEY);
    stage.gateway.process.signal("HUP");
    goes_over(&face, &stage, AZURE_KEY, NEW_KEY);
    stage.until_count(RELOADS, &[("source", "signal")], 2);
}

#[test]
fn a_mistake_in_the_configuration_does_not_keep_keys_out() {
    let (face, stage) = stage();
    stage.exchange("tier = \"unlimited\"", "tier = \"gold\"");
    assert_eq!(stage.reload().status, 422);
    stage.put("key-1", NEW_KEY);
    goes_over(&face, &stage, AZURE_KEY, NEW_KEY);
    // By hand too, though the answer tells the mistake.
    stage.put("key-1", SECOND_KEY);
    assert_eq!(stage.reload().status, 422);
    assert_eq!(shows(&face, &stage), SECOND_KEY);
    stage.put("key-1", AZURE_KEY);
    stage.gateway.process.signal("HUP");
    goes_over(&face, &stage, SECOND_KEY, AZURE_KEY);
    // Nor does one that is no TOML at all.
    stage.put("livegate.toml", "[[[");
    assert_eq!(stage.reload().status, 422);
    stage.put("key-1", NEW_KEY);
    goes_over(&face, &stage, AZURE_KEY, NEW_KEY);
}

#[test]
fn another_file_in_the_configuration_is_another_key() {
    let (face, stage) = stage();
    stage.put("key-3", NEW_KEY);
    stage.exchange(ONE, &ONE.replace("key-1", "key-3"));
    goes_over(&face, &stage, AZURE_KEY, NEW_KEY);
    // And that file is looked at from now on.
    stage.put("key-3", SECOND_KEY);
    goes_over(&face, &stage, NEW_KEY, SECOND_KEY);
}
