//! Whether a resource that does not answer is asked at all: a circuit breaker.
//!
//! Only what brings no answer breaks it: an error that Azure answers with is an answer. After a pause one request tries, and the
//! others wait for what comes of it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many exchanges in a row bring no answer before it breaks. Less could be one bad minute of somebody else's.
const MOST: u32 = 20;

/// The first pause. Each one that ends in vain is followed by one twice as long, up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);

/// What others are told to wait while one tries.
const MEANWHILE: Duration = Duration::from_secs(1);

/// The breaker of one resource.
#[derive(Debug, Default)]
pub struct Circuit {
    failures: AtomicU32,
    /// So that the lock is only taken in trouble.
    broken: AtomicBool,
    phase: Mutex<Phase>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Instant,
        pause: Duration,
    },
    HalfOpen {
        pause: Duration,
    },
}

/// What an exchange changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The resource is not asked any more for a while.
    Opened,
    /// It is asked again.
    Closed,
}

impl Circuit {
    /// The values of the metric label `state`.
    pub const STATES: [&'static str; 3] = ["closed", "half_open", "open"];

    /// Whether a request may go: if so, whether it is the one that tries; if not, how long it is to wait.
    ///
    /// # Errors
    /// The wait.
    pub fn enter(&self) -> Result<bool, Duration> {
        if !self.broken.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let (now, mut phase) = (Instant::now(), self.lock());
        match *phase {
            Phase::Closed => Ok(false),
            Phase::HalfOpen { .. } => Err(MEANWHILE),
            Phase::Open { until, pause } if now >= until => {
                *phase = Phase::HalfOpen { pause };
                Ok(true)
            }
            Phase::Open { until, .. } => Err(until - now),
        }
    }

    /// An answer came.
    pub fn succeeded(&self) -> Option<Change> {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if !self.broken.load(Ordering::Relaxed) {
            return None;
        }
        *self.lock() = Phase::Closed;
        self.broken.swap(false, Ordering::Relaxed).then_some(Change::Closed)
    }

    /// None came, to one that tried or to another.
    pub fn failed(&self, tried: bool) -> Option<Change> {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let (now, mut phase) = (Instant::now(), self.lock());
        let pause = match *phase {
            Phase::HalfOpen { pause } if tried => (2 * pause).min(LONGEST),
            Phase::Closed if failures >= MOST => FIRST,
            _ => return None,
        };
        *phase = Phase::Open { until: now + pause, pause };
        (!self.broken.swap(true, Ordering::Relaxed)).then_some(Change::Opened)
    }

    /// The one that tried has left: another one may.
    pub fn given_up(&self) {
        let mut phase = self.lock();
        if let Phase::HalfOpen { pause } = *phase {
            *phase = Phase::Open { until: Instant::now(), pause };
        }
    }

    /// The value of the metric label `state`.
    pub fn state(&self) -> &'static str {
        match *self.lock() {
            Phase::Closed => "closed",
            Phase::Open { .. } => "open",
            Phase::HalfOpen { .. } => "half_open",
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn broken() -> Circuit {
        let circuit = Circuit::default();
        for _ in 1..MOST {
            assert_eq!((circuit.enter(), circuit.failed(false)), (Ok(false), None));
        }
        assert_eq!(circuit.failed(false), Some(Change::Opened));
        circuit
    }

    #[tokio::test(start_paused = true)]
    async fn one_tries_after_each_pause_and_the_pauses_grow() {
        let circuit = broken();
        for seconds in [1, 2, 4, 8, 15, 15] {
            let pause = Duration::from_secs(seconds);
            assert_eq!((circuit.enter(), circuit.state()), (Err(pause), "open"));
            advance(pause).await;
            assert_eq!((circuit.enter(), circuit.state()), (Ok(true), "half_open"));
            assert_eq!(circuit.enter(), Err(MEANWHILE));
            // What was on its way before says nothing new.
            assert_eq!(circuit.failed(false), None);
            assert_eq!(circuit.failed(true), None);
        }
        advance(LONGEST).await;
        assert_eq!(circuit.enter(), Ok(true));
        assert_eq!(circuit.succeeded(), Some(Change::Closed));
        assert_eq!(
            (circuit.enter(), circuit.succeeded(), circuit.state()),
            (Ok(false), None, "closed")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_in_a_row_break_it() {
        let circuit = Circuit::default();
        for _ in 0..100 {
            for _ in 1..MOST {
                assert_eq!(circuit.failed(false), None);
            }
            assert_eq!(circuit.succeeded(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_tries_and_leaves_is_followed_by_another() {
        let circuit = broken();
        advance(FIRST).await;
        assert_eq!(circuit.enter(), Ok(true));
        circuit.given_up();
        assert_eq!(circuit.enter(), Ok(true));
    }
}
