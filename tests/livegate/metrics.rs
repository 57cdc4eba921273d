//! What the metrics say: that they are well-formed and bounded whatever comes, and right where requests share, wait and leave.

mod bounded;
mod counted;
mod prometheus;

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs one of Prometheus' tools to its end with this on its input. What it printed, on both outputs, and whether it was content.
pub(crate) fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let child = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("the tests of the metrics need Prometheus, with its promtool");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}
