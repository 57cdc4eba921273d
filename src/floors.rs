//! The floors of the house, held by a test: a file names its own floor and those below, and no room names another.

use std::fs;
use std::path::Path;

/// Every module at the top of the crate, from the ground up. Modules of one line stand on one floor.
const FLOORS: [&[&str]; 9] = [
    &["liveness", "secret"],
    &[
        "after",
        "room",
        "config",
        "metrics",
        "error",
        "body",
        "call",
        "budget",
        "circuit",
        "headers",
        "moment",
        "pseudonym",
        "quota",
        "share",
        "trace",
        "wishes",
    ],
    &["inbound", "answer", "azure"],
    &["relay"],
    &["fork"],
    &["stack"],
    &["listen", "admin", "reload", "state", "tend"],
    &["gateway"],
    &["cli"],
];

/// They stand on one floor and do not know each other.
const ROOMS: [&str; 3] = ["inbound", "answer", "azure"];

/// It stands beside the house and may use the ground floor only.
const EMULATOR: &str = "emulator";

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

fn allowed(from: &str, to: &str) -> bool {
    match (floor(from), floor(to)) {
        _ if from == to => true,
        (None, Some(to)) if from == EMULATOR => to == 0,
        (Some(from), None) if to == EMULATOR => from + 1 == FLOORS.len(),
        (Some(_), Some(_)) if ROOMS.contains(&from) && ROOMS.contains(&to) => false,
        (Some(from), Some(to)) => from >= to,
        _ => false,
    }
}

fn check(path: &Path, module: &str, wrong: &mut Vec<String>) {
    if path.is_dir() {
        let inside = fs::read_dir(path).unwrap();
        inside.for_each(|entry| check(&entry.unwrap().path(), module, wrong));
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let named = text.split("crate::").skip(1);
    for name in
        named.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
    {
        if !allowed(module, name) {
            wrong.push(format!("{} names crate::{name}", path.display()));
        }
    }
}

#[test]
fn no_file_names_a_floor_above_its_own() {
    let mut wrong = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if !["main", "lib", "floors", "build"].contains(&module.as_str()) {
            assert!(module == EMULATOR || floor(&module).is_some(), "{module} stands on no floor");
            check(&path, &module, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rule_can_be_broken() {
    assert!(
        !allowed("azure", "answer")
            && !allowed("config", "azure")
            && !allowed("emulator", "config")
    );
    assert!(allowed("azure", "call") && allowed("stack", "inbound") && allowed("cli", "emulator"));
}
