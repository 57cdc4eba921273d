//! Where the log goes: to standard error, for people on a terminal, as JSON otherwise. `RUST_LOG` chooses.
//!
//! Lines are written by a thread of their own, so that nobody's request waits for whoever takes them. As JSON those about reads,
//! which are as many as the requests, have a quicker way of being made.

mod lines;

use std::io::{self, IsTerminal as _};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use self::lines::{Lines, Reads};
use crate::inbound::trail;

/// Begins to log; what is still to be written is when this is dropped.
pub(super) fn start(usual: &str) -> Option<Lines> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let logged = registry().with(filter);
    let lines = Lines::new(io::stderr());
    let inbox = lines.inbox();
    // A second start in one process keeps the first.
    if io::stderr().is_terminal() {
        let people = fmt::layer().with_writer(move || inbox.clone());
        return logged.with(people).try_init().is_ok().then_some(lines);
    }
    let others = fmt::layer().with_writer(move || inbox.clone()).json().flatten_event(true);
    let layer = ByTarget { reads: Reads(lines.inbox()), others };
    logged.with(layer).try_init().is_ok().then_some(lines)
}

/// Parts what is logged. (A filter for each layer would have every callsite of every library asked each time.)
struct ByTarget<L> {
    reads: Reads,
    others: L,
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for ByTarget<L> {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == trail::TARGET {
            self.reads.line(event);
        } else {
            self.others.on_event(event, context);
        }
    }

    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.others.on_new_span(span, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.others.on_record(id, values, context);
    }
}
