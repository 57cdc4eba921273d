//! Tells the program what it was built from and with.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = told(Command::new(compiler).arg("--version"));
    // `rustc 1.95.0 (f2d3ce0bd 2026-03-21)`
    let version = version.split_whitespace().nth(1).unwrap_or("unknown");
    set("LIVEGATE_RUSTC", version);
    println!("cargo::rerun-if-env-changed=LIVEGATE_REVISION");
    println!("cargo::rerun-if-changed=src/build.rs");
    set("LIVEGATE_REVISION", &env::var("LIVEGATE_REVISION").unwrap_or_else(|_| revision()));
}

/// The commit that a release is built from. Other builds are made too often, and from what is not committed.
fn revision() -> String {
    if env::var("PROFILE").as_deref() != Ok("release") {
        return "unknown".to_owned();
    }
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    let revision =
        told(Command::new("git").args(["describe", "--always", "--dirty", "--exclude=*"]));
    if revision.is_empty() { "unknown".to_owned() } else { revision }
}

/// What a program says, if it does.
fn told(program: &mut Command) -> String {
    let said = program.output().ok().filter(|output| output.status.success());
    said.and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn set(name: &str, value: &str) {
    println!("cargo::rustc-env={name}={value}");
}
