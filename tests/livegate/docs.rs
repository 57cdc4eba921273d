//! The documents: their commands exist, their samples run or parse, their links lead somewhere.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::emulator::Emulator;
use crate::support::gateway::AZURE_KEY;
use crate::support::scratch::Scratch;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document with its text, the README first.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md")];
    for folder in ["docs", "docs/decisions"] {
        let inside = fs::read_dir(root().join(folder)).unwrap();
        paths.extend(inside.map(|entry| entry.unwrap().path()));
    }
    let pages = paths.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    pages.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn every_command_and_flag_in_the_documents_exists() {
    let mut seen = 0;
    for (path, text) in documents() {
        for line in blocks(&text, "sh").into_iter().flat_map(str::lines) {
            let line = line.split(" #").next().unwrap();
            let said = line
                .strip_prefix("cargo run --release -- ")
                .or_else(|| line.strip_prefix("livegate "));
            let Some(said) = said else { continue };
            let mut words = said.split_whitespace();
            let command = words.next().unwrap();
            let help =
                Command::new(env!("CARGO_BIN_EXE_livegate")).args([command, "--help"]).output();
            let help = help.unwrap();
            assert!(help.status.success(), "{}: there is no `{command}`", path.display());
            let help = String::from_utf8(help.stdout).unwrap();
            for flag in words.filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag), "{}: `{command}` has no {flag}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} commands were found");
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut seen = 0;
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !target.contains("://") && !target.starts_with('#') {
                let file = path.parent().unwrap().join(target.split('#').next().unwrap());
                assert!(file.exists(), "{} links to {target}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "only {seen} links were found");
}

#[test]
fn the_python_sample_parses() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for sample in blocks(&readme, "python") {
        let mut python = Command::new("python3")
            .args(["-c", "import ast, sys; ast.parse(sys.stdin.read())"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        python.stdin.take().unwrap().write_all(sample.as_bytes()).unwrap();
        assert!(python.wait().unwrap().success(), "{sample}");
    }
}

/// The lines are run as they stand, against an emulator that has a session called `ID`.
#[test]
fn the_emulators_curl_lines_work() {
    let emulator = Emulator::start();
    for operation in ["liveness", "liveness_with_verify"] {
        emulator.put_session(&json!({"id": "ID", "operation": operation, "final": true}));
    }
    let scratch = Scratch::new();
    scratch.write("face.jpg", b"\xff\xd8picture");
    let page = fs::read_to_string(root().join("docs/EMULATOR.md")).unwrap();
    let mut script = String::from("set -eu\n");
    for block in blocks(&page, "sh").into_iter().filter(|block| block.contains("curl")) {
        script.push_str(block);
        script.push('\n');
    }
    assert!(script.matches("curl -s").count() >= 7, "{script}");
    let script = script
        .replace("http://127.0.0.1:9000", &emulator.url())
        .replace("Subscription-Key: one", &format!("Subscription-Key: {AZURE_KEY}"))
        .replace("curl -s", "curl -sSf");
    let path = scratch.path("");
    let ran = Command::new("bash").arg("-c").arg(&script).current_dir(path).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{script}\n{told}");
}

#[test]
fn the_readmes_test_command_is_the_one_that_ci_runs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(blocks(&readme, "sh").concat().contains("\ncargo test --locked "));
    assert!(ci.lines().any(|line| line == "cargo test --locked"));
}
