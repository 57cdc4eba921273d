//! Waiting for something that another process or thread does: bounded, and never a plain sleep.

use std::thread;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(20);
const TRIES: u32 = 3_000;

/// Asks again and again until there is an answer; `None` once a minute of pauses is over.
pub(crate) fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..TRIES {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        thread::sleep(PAUSE);
    }
    None
}
