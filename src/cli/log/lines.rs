//! Lines of the log, written by a thread of their own: at once, but for those about reads that follow others soon, which are written
//! together. Whoever takes them holds nobody up.

use std::fmt::{Arguments, Debug};
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::IntCounter;
use tracing::Event;
use tracing::field::{Field, Visit};

/// How long lines about reads are collected that come soon after others.
const MOMENT: Duration = Duration::from_millis(20);

/// Most bytes that wait to be written. Whoever takes them slower than they come does not get them all.
const MOST: usize = 16 << 20;

/// How long who tells something urgent waits until it is written, so that whoever hears of it elsewhere finds it in the log.
const GLANCE: Duration = Duration::from_millis(10);

/// How long the end waits for the last lines to be taken.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to be written. What is left is when this is dropped.
#[derive(Debug)]
pub(in crate::cli) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    lost: OnceLock<IntCounter>,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    lost: u64,
    /// Those that were lost before there was a counter for them.
    uncounted: u64,
    /// Whether whoever takes them has kept somebody waiting since they last took any.
    stuck: bool,
    urgent: bool,
    closed: bool,
    /// How often lines were taken to be written, and how often they then were.
    taken: u64,
    written: u64,
}

/// Where lines are put.
#[derive(Debug, Clone)]
pub(super) struct Inbox(Arc<Shared>);

impl Lines {
    /// Lines that are written to this.
    pub(super) fn new(to: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        // Nobody waits for it for ever: whoever takes the lines may have stopped taking them.
        drop(thread::spawn(move || writer.write(to)));
        Self(shared)
    }

    /// Counts lines that are lost here from now on, those that were lost before too.
    pub(in crate::cli) fn count_lost(&self, counter: IntCounter) {
        let mut waiting = self.0.lock();
        counter.inc_by(std::mem::take(&mut waiting.uncounted));
        // A second counter would count what the first one does.
        drop(self.0.lost.set(counter));
    }

    /// Where they are put.
    pub(super) fn inbox(&self) -> Inbox {
        Inbox(Arc::clone(&self.0))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.closed = true;
        self.0.changed.notify_all();
        self.0.until_written(waiting, PATIENCE);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_lost(&self, waiting: &mut Waiting, lines: u64) {
        match self.lost.get() {
            Some(counter) => counter.inc_by(lines),
            None => waiting.uncounted += lines,
        }
    }

    /// Waits until all that is there now is written, but not for long. Who takes no lines keeps one waiting, and not the next.
    fn until_written(&self, waiting: MutexGuard<'_, Waiting>, long: Duration) {
        let (taken, unfinished) = (waiting.taken, !waiting.bytes.is_empty() || waiting.closed);
        let last = taken + u64::from(unfinished);
        let unfinished = |waiting: &mut Waiting| waiting.written < last;
        let waited = self.changed.wait_timeout_while(waiting, long, unfinished);
        let (mut waiting, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.stuck |= waited.timed_out();
    }

    fn write(&self, mut to: impl Write) {
        let mut writing = Vec::new();
        loop {
            let nothing = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.closed;
            let waiting = self.changed.wait_while(self.lock(), nothing);
            let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut waiting.bytes, &mut writing);
            waiting.urgent = false;
            waiting.taken += 1;
            let (lost, closed) = (std::mem::take(&mut waiting.lost), waiting.closed);
            drop(waiting);
            // Where standard error is closed there is nobody to tell.
            let failed = to.write_all(&writing).is_err();
            let unwritten = if failed { count(&writing) } else { 0 };
            writing.clear();
            if lost > 0 {
                tracing::warn!(lost, "lines of the log were lost: they are not taken fast enough");
            }
            let mut waiting = self.lock();
            // That is not told in the log, where nobody would read it.
            self.count_lost(&mut waiting, unwritten);
            waiting.stuck = false;
            waiting.written += 1;
            self.changed.notify_all();
            if closed {
                return;
            }
            let open = |waiting: &mut Waiting| !waiting.closed && !waiting.urgent;
            drop(self.changed.wait_timeout_while(waiting, MOMENT, open));
        }
    }
}

impl Inbox {
    /// Takes a line in, to be written at once if that is urgent.
    fn put(&self, line: &[u8], urgent: bool) {
        let mut waiting = self.0.lock();
        if waiting.bytes.len() + line.len() > MOST {
            waiting.lost += 1;
            self.0.count_lost(&mut waiting, 1);
            return;
        }
        let first = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        waiting.urgent |= urgent;
        if urgent && !waiting.stuck {
            self.0.changed.notify_all();
            self.0.until_written(waiting, GLANCE);
        } else if first {
            drop(waiting);
            self.0.changed.notify_all();
        }
    }
}

/// How many lines these are.
fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A line comes whole.
impl Write for Inbox {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line, true);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes lines of what is told about reads.
#[derive(Debug)]
pub(super) struct Reads(pub(super) Inbox);

impl Reads {
    /// Makes a line of what is told about a read.
    pub(super) fn line(&self, event: &Event<'_>) {
        let (now, about) = (Timestamp::now(), event.metadata());
        let (level, target) = (about.level(), about.target());
        let mut line = Line(Vec::with_capacity(512));
        line.say(format_args!(r#"{{"timestamp":"{now:.6}","level":"{level}","target":"{target}""#));
        event.record(&mut line);
        line.say(format_args!("}}\n"));
        self.0.put(&line.0, false);
    }
}

/// A line, member by member.
struct Line(Vec<u8>);

impl Line {
    fn say(&mut self, what: Arguments<'_>) {
        // Writing into memory cannot fail.
        drop(self.0.write_fmt(what));
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.say(format_args!(r#","{}":"#, field.name()));
        drop(serde_json::to_writer(&mut self.0, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.say(format_args!(r#","{}":{value}"#, field.name()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use serde_json::{Value, json};
    use tracing_subscriber::layer::{Context, SubscriberExt as _};

    use super::*;
    use crate::inbound::trail;

    /// What was written, for a test to read.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_written_in_json_before_the_end() {
        let paper = Paper::default();
        let lines = Lines::new(paper.clone());
        struct Only(Reads);
        impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Only {
            fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
                self.0.line(event);
            }
        }
        let logged = tracing_subscriber::registry().with(Only(Reads(lines.inbox())));
        tracing::subscriber::with_default(logged, || {
            let nothing: Option<&str> = None;
            tracing::info!(target: trail::TARGET, app = "a\"\n\u{e9}", status = 200_u16, key = nothing, "read");
            tracing::info!(target: trail::TARGET, status = 304_u16, "read");
        });
        drop(lines);
        let written = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let read = |line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(time.as_str().unwrap().parse::<Timestamp>().is_ok());
            line
        };
        let expected = [
            json!({"level": "INFO", "target": "livegate::access", "message": "read", "app": "a\"\n\u{e9}", "status": 200}),
            json!({"level": "INFO", "target": "livegate::access", "message": "read", "status": 304}),
        ];
        assert_eq!(written.lines().map(read).collect::<Vec<_>>(), expected);
    }

    /// Takes a line and is stuck with it until the other end is gone.
    struct Held(mpsc::Receiver<()>);
    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Until the other end is gone.
            self.0.recv().unwrap_err();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_does_not_read_holds_nobody_up() {
        let (hold, held) = mpsc::channel();
        let lines = Lines::new(Held(held));
        let line = vec![b'x'; 1 << 20];
        for _ in 0..50 {
            lines.inbox().put(&line, false);
        }
        let counter = IntCounter::new("lost", "lost").unwrap();
        lines.count_lost(counter.clone());
        let before = counter.get();
        for _ in 0..50 {
            lines.inbox().put(&line, true);
        }
        let waiting = lines.0.lock();
        assert!(waiting.bytes.len() <= MOST && before > 0);
        assert_eq!((counter.get(), waiting.uncounted), (before + 50, 0));
        drop((waiting, hold));
    }

    #[test]
    fn who_takes_no_lines_keeps_one_waiting_and_not_the_next() {
        let (hold, held) = mpsc::channel::<()>();
        let lines = Lines::new(Held(held));
        let mut inbox = lines.inbox();
        // The first is taken and never written, the second waits for that in vain.
        inbox.write_all(b"1\n").unwrap();
        assert!(lines.0.lock().stuck);
        inbox.write_all(b"2\n").unwrap();
        assert!(lines.0.lock().urgent, "it is written as soon as that is possible");
        drop(hold);
        drop(lines);
    }

    #[test]
    fn lines_for_nobody_are_lost_and_counted() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::new(Closed);
        let counter = IntCounter::new("lost", "lost").unwrap();
        lines.count_lost(counter.clone());
        lines.inbox().put(b"1\n2\n", true);
        drop(lines);
        assert_eq!(counter.get(), 2);
    }
}
