//! Where the log goes: to standard error, for people on a terminal, as JSON otherwise. `RUST_LOG` chooses.
//!
//! The lines about reads are as many as the requests. As JSON they are written together, by a thread of their own, so that
//! nobody's request waits for whoever reads them.

mod lines;

use std::io::{self, IsTerminal as _};

use tracing::Metadata;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use self::lines::{Lines, Reads};
use crate::inbound::trail;

/// Begins to log; what is still to be written is when this is dropped.
pub(super) fn start(usual: &str) -> Option<Lines> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let logged = registry().with(filter);
    if io::stderr().is_terminal() {
        // A second start in one process keeps the first.
        drop(logged.with(fmt::layer().with_writer(io::stderr)).try_init());
        return None;
    }
    let is_other = |about: &Metadata<'_>| about.target() != trail::TARGET;
    let others = fmt::layer().with_writer(io::stderr).json().flatten_event(true);
    let lines = Lines::new(io::stderr());
    let reads = Reads::new(&lines);
    let started = logged.with(others.with_filter(filter_fn(is_other))).with(reads).try_init();
    started.is_ok().then_some(lines)
}
