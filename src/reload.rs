//! When to read the configuration again: when a file's content changed, and on SIGHUP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::{MissedTickBehavior, interval};

use crate::state::State;

/// How often the files are looked at. Reading beats every kind of notification: none of them sees a
/// swapped symbolic link or a network file system, and a dozen small files cost microseconds.
const EVERY: Duration = Duration::from_secs(1);

/// Watches for ever. `hangup` is SIGHUP, listened for since before anybody could know the gateway.
///
/// # Errors
/// Where looking at a file panicked.
pub async fn watch(state: Arc<State>, mut hangup: Signal) -> io::Result<()> {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = hangup.recv() => {}
            _ = tick.tick() => {
                // What counts is what the last reading saw, refused or not: nothing that is written
                // meanwhile can be missed, and what a refused reading lacked is waited for.
                let watched = state.watched();
                if !tokio::task::spawn_blocking(move || watched.changed()).await? {
                    continue;
                }
            }
        }
        // What is wrong has been told and counted where it was found.
        drop(state.reload().await);
    }
}
