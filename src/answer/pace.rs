//! Takes turns: all sessions that are waited for share a part of what their resource allows, one after the other.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The part of a resource's calls that go to sessions that are waited for. Plain requests, creates, deletes and the
/// devices' own calls share the resource (Face API, limits page), and they do not wait.
const SHARE: f64 = 0.5;

/// The turns at one resource.
#[derive(Debug)]
pub struct Pace {
    // tokio's lock is handed on in the order in which it was asked for, and who leaves the queue costs nothing.
    next: Mutex<Instant>,
    between: Duration,
}

impl Pace {
    /// Turns at a resource that allows so many calls a second; `None` is no limit.
    pub fn new(rate: Option<f64>) -> Self {
        let between = rate.map(|rate| Duration::from_secs_f64(1.0 / (rate * SHARE)));
        Self { next: Mutex::new(Instant::now()), between: between.unwrap_or_default() }
    }

    /// Resolves when it is one's turn.
    pub(super) async fn turn(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + self.between;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_in_order_and_within_the_share() {
        let pace = Arc::new(Pace::new(Some(10.0)));
        let start = Instant::now();
        let mut taken = Vec::new();
        for _ in 0..3 {
            pace.turn().await;
            taken.push(start.elapsed().as_millis());
        }
        assert_eq!(taken, [0, 200, 400]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_takes_no_turn() {
        let pace = Pace::new(Some(20.0 / 60.0));
        pace.turn().await;
        let start = Instant::now();
        for _ in 0..100 {
            assert!(timeout(Duration::from_millis(1), pace.turn()).await.is_err());
        }
        pace.turn().await;
        assert_eq!(start.elapsed().as_secs(), 6);
    }
}
