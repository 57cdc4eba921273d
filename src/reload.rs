//! When to read the configuration again: when a file's content changed, on SIGHUP, and when no key is good any more.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::azure::reread::Asked;
use crate::config::Watched;
use crate::state::{Reason, State};

/// How often the files are looked at. Reading beats every kind of notification: none of them sees a
/// swapped symbolic link or a network file system, and a dozen small files cost microseconds.
const EVERY: Duration = Duration::from_millis(250);

/// How long a change must stand still before it is believed: what is written in place can be read half.
const STILL: Duration = Duration::from_millis(700);

/// After which time a change is believed that does not stand still.
const LONGEST: Duration = Duration::from_millis(1400);

/// A change that is not believed yet.
struct Change {
    seen: Watched,
    first: Instant,
    since: Instant,
}

/// Watches for ever. `hangup` is SIGHUP, listened for since before anybody could know the gateway; `asked` tells of requests that
/// wait for a good key.
///
/// # Errors
/// Where looking at a file panicked.
pub async fn watch(state: Arc<State>, mut hangup: Signal, mut asked: Asked) -> io::Result<()> {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut change = None;
    loop {
        // What is wrong has been told and counted where it was found.
        tokio::select! {
            _ = hangup.recv() => drop(state.reload(Reason::Signal).await),
            Some(first) = asked.recv() => {
                let mut waiting = vec![first];
                while let Ok(next) = asked.try_recv() {
                    waiting.push(next);
                }
                state.reread_keys().await;
                for done in waiting {
                    // Whoever asked may have left.
                    _ = oneshot::Sender::send(done, ());
                }
            }
            _ = tick.tick() => {
                change = settle(change, look(&state).await?, Instant::now());
                if let Some(seen) = change.take_if(|change| change.is_believed()) {
                    drop(state.reload(Reason::Watch(seen.seen)).await);
                }
            }
        }
    }
}

/// What the files hold now, where that is not what the last reading saw. What counts is what it saw, refused or not: nothing that
/// is written meanwhile can be missed, and what a refused reading lacked is waited for.
async fn look(state: &State) -> io::Result<Option<Watched>> {
    let watched = state.watched();
    let looked = tokio::task::spawn_blocking(move || {
        let now = watched.look();
        (now != *watched).then_some(now)
    });
    Ok(looked.await?)
}

fn settle(before: Option<Change>, seen: Option<Watched>, now: Instant) -> Option<Change> {
    let seen = seen?;
    Some(match before {
        Some(change) if change.seen == seen => change,
        Some(Change { first, .. }) => Change { seen, first, since: now },
        None => Change { seen, first: now, since: now },
    })
}

impl Change {
    fn is_believed(&self) -> bool {
        self.since.elapsed() >= STILL || self.first.elapsed() >= LONGEST
    }
}
