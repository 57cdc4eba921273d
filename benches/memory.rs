//! What 100,000 kept sessions of 1 KiB cost: `cargo bench --bench memory`.
//!
//! Prints the growth of the process's resident memory, and what the memory itself counts against `max_bytes`.
#![expect(clippy::print_stdout, reason = "the figures are its result")]

use std::fs;
use std::sync::Arc;

use livegate::answer::memory::Memory;
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
    let sessions = if trial { 100 } else { 100_000 };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let memory = Arc::new(Memory::new(u64::MAX, metrics));
    runtime.block_on(stage::fill(&memory, 1));
    let before = resident();
    runtime.block_on(stage::fill(&memory, sessions));
    memory.sweep();
    let (grown, fill) = (resident().saturating_sub(before), memory.fill());
    assert_eq!(fill.entries, sessions as u64, "all are kept");
    let each = |bytes: u64| bytes / sessions as u64;
    println!("{sessions} sessions of 1024 bytes");
    println!("resident memory grew by {} MiB, {} bytes each", grown >> 20, each(grown));
    println!(
        "counted against max_bytes: {} MiB, {} bytes each",
        fill.bytes >> 20,
        each(fill.bytes)
    );
}
