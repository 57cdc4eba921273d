//! Looks after what comes due by itself, whatever configurations come and go: spare keys are proven, tokens fetched in time, and it
//! is noted what was counted in the last minutes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::azure::probe;
use crate::state::State;

const EVERY: Duration = Duration::from_millis(250);

/// Looks after them for ever.
pub(crate) async fn tend(state: Arc<State>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for azure in &state.live().upstreams {
            probe::tend(azure);
        }
        state.recent.note(&state.metrics);
    }
}
