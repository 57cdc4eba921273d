//! What 100,000 kept sessions of 1 KiB cost: `cargo bench --bench memory`.
//!
//! Prints the growth of the process's resident memory, and what the memory itself counts against `max_bytes`; and the same for what
//! is remembered so that it is counted once.
#![expect(clippy::print_stdout, reason = "the figures are its result")]

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use livegate::answer::counted::Counted;
use livegate::answer::key::SessionKey;
use livegate::answer::memory::Memory;
use livegate::liveness::session::read;
use livegate::liveness::{Family, Operation, SessionId};
use livegate::metrics::Metrics;

#[path = "stage/mod.rs"]
mod stage;

/// Bytes of a page on the machines that this runs on.
const PAGE: u64 = 4096;

fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * PAGE
}

fn main() {
    // `cargo test` runs it to see that it still does; only `cargo bench` says `--bench`.
    let trial = std::env::args().all(|arg| arg != "--bench");
    sessions(if trial { 100 } else { 100_000 });
    attempts(if trial { 100 } else { 900_000 });
}

fn sessions(count: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let memory = Arc::new(Memory::new(u64::MAX, metrics));
    runtime.block_on(stage::fill(&memory, 1));
    let before = resident();
    runtime.block_on(stage::fill(&memory, count));
    memory.sweep();
    let (grown, fill) = (resident().saturating_sub(before), memory.fill());
    assert_eq!(fill.entries, count as u64, "all are kept");
    let each = |bytes: u64| bytes / count as u64;
    println!("{count} sessions of 1024 bytes");
    println!("resident memory grew by {} MiB, {} bytes each", grown >> 20, each(grown));
    println!(
        "counted against max_bytes: {} MiB, {} bytes each",
        fill.bytes >> 20,
        each(fill.bytes)
    );
}

/// Attempts and ends of sessions, two things for each session.
fn attempts(count: usize) {
    let body = r#"{"status":"Succeeded","results":{"attempts":[{"attemptId":1,"attemptStatus":"Succeeded"}]}}"#;
    let (facts, _) = read(Family::Ga, Bytes::from_static(body.as_bytes()));
    let counted = Counted::new(Arc::new(Metrics::new().expect("metrics")));
    let before = resident();
    for number in 0..count / 2 {
        let id = SessionId::parse(&stage::id(number)).expect("an id");
        counted.observe(&SessionKey::new(0, Operation::Liveness, &id), &facts);
    }
    counted.sweep();
    let grown = resident().saturating_sub(before);
    println!("{count} attempts and ends that are counted once");
    println!("resident memory grew by {} MiB, {} bytes each", grown >> 20, grown / count as u64);
}
