//! When to read the configuration again: when a file's content changed, and on SIGHUP.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::fingerprint;
use crate::state::State;

/// How often the files are looked at. Reading beats every kind of notification: none of them sees a swapped symbolic
/// link or a network file system, and a dozen small files cost microseconds.
const EVERY: Duration = Duration::from_secs(1);

/// Watches for ever.
///
/// # Errors
/// Where SIGHUP cannot be listened for.
pub async fn watch(state: Arc<State>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = look(&state).await;
    loop {
        tokio::select! {
            _ = hangup.recv() => {}
            _ = tick.tick() => {
                let now = look(&state).await;
                if now == seen {
                    continue;
                }
                seen = now;
            }
        }
        // What is wrong has been told and counted where it was found.
        drop(state.reload().await);
        seen = look(&state).await.or(seen);
    }
}

/// The files' content now; `None` where the look itself failed.
async fn look(state: &Arc<State>) -> Option<crate::config::Fingerprint> {
    let live = state.live();
    tokio::task::spawn_blocking(move || fingerprint(&live.config.files)).await.ok()
}
