//! What all who use a Face resource share, whatever configurations come and go.
//!
//! That is the number that its sessions are kept under, the turns of those that are waited for, and the places of
//! questions that are on their way.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::circuit::Circuit;
use crate::quota::Quota;

/// The part of a resource's calls that go to sessions that are waited for. Plain requests, creates, deletes and the
/// devices' own calls share the resource (Face API, limits page), and they do not wait.
const PART: f64 = 0.5;

/// Most questions about sessions that are on their way at a time. They go on when those who asked have left, so that
/// connections do not bound them.
const PLACES: usize = 4096;

/// Bytes of memory for what creates send, while it may have to be sent again.
const ROOM: usize = 32 << 20;

/// Longest rest that a resource can ask for.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// What is shared at one resource.
#[derive(Debug)]
pub struct Share {
    /// The resource's number, which no other has or will have in this process.
    pub number: u32,
    // tokio's lock is handed on in the order in which it was asked for, and who leaves the queue costs nothing.
    next: AsyncMutex<Instant>,
    /// Nanoseconds between two turns.
    between: AtomicU64,
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
    /// Whether it is asked at all.
    pub circuit: Circuit,
    quota: Mutex<Quota>,
    /// Unix seconds until when it asked to be left alone; 0 is never.
    backoff: AtomicI64,
}

impl Share {
    /// What is shared at the resource of this number.
    pub fn new(number: u32) -> Self {
        let (next, between) = (AsyncMutex::new(Instant::now()), AtomicU64::new(0));
        let (places, room) = (Arc::new(Semaphore::new(PLACES)), Arc::new(Semaphore::new(ROOM)));
        let (circuit, quota, backoff) = (Circuit::default(), Mutex::default(), AtomicI64::new(0));
        Self { number, next, between, places, room, circuit, quota, backoff }
    }

    /// The resource allows so many calls a second; `None` is no limit.
    pub fn allow(&self, rate: Option<f64>) {
        let between = rate.map(|rate| Duration::from_secs_f64(1.0 / (rate * PART)));
        let nanos = u64::try_from(between.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX);
        self.between.store(nanos, Ordering::Relaxed);
        self.quota().allow(rate);
    }

    /// Resolves when it is one's turn.
    pub async fn turn(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + Duration::from_nanos(self.between.load(Ordering::Relaxed));
    }

    /// Nobody has a turn for so long, for the resource asked for it.
    pub async fn rest(&self, time: Duration) {
        let mut next = self.next.lock().await;
        *next = (*next).max(Instant::now() + time.min(LONGEST_REST));
    }

    /// A call goes to the resource.
    pub fn spend(&self) {
        self.quota().spend();
    }

    /// The calls that it still allows at this moment, and the most that there can be, where its limit is known.
    pub fn left(&self) -> Option<(f64, f64)> {
        self.quota().left()
    }

    /// The resource asked to be left alone for so many seconds.
    pub fn asked_for_rest(&self, seconds: u32) {
        let until = Timestamp::now().as_second() + i64::from(seconds);
        self.backoff.fetch_max(until, Ordering::Relaxed);
    }

    /// Until when it asked for that, in Unix seconds; 0 is never.
    pub fn rest_until(&self) -> i64 {
        self.backoff.load(Ordering::Relaxed)
    }

    fn quota(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for what may have to be sent again, a permit for each byte.
    pub const fn room(&self) -> &Arc<Semaphore> {
        &self.room
    }

    /// A place for a question, if there is one.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn share(rate: f64) -> Share {
        let share = Share::new(0);
        share.allow(Some(rate));
        share
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_in_order_and_within_the_part() {
        let share = share(10.0);
        let start = Instant::now();
        let mut taken = Vec::new();
        for _ in 0..3 {
            share.turn().await;
            taken.push(start.elapsed().as_millis());
        }
        assert_eq!(taken, [0, 200, 400]);
        share.allow(None);
        share.turn().await;
        share.turn().await;
        assert_eq!(start.elapsed().as_millis(), 600, "the turn that was taken before still counts");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_takes_no_turn() {
        let share = share(20.0 / 60.0);
        share.turn().await;
        let start = Instant::now();
        for _ in 0..100 {
            assert!(timeout(Duration::from_millis(1), share.turn()).await.is_err());
        }
        share.turn().await;
        assert_eq!(start.elapsed().as_secs(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_is_everybodys_and_has_an_end() {
        let share = share(10.0);
        let start = Instant::now();
        share.rest(Duration::from_secs(26)).await;
        share.rest(Duration::from_secs(1)).await;
        share.turn().await;
        assert_eq!(start.elapsed().as_secs(), 26);
        share.rest(Duration::from_secs(86_400)).await;
        share.turn().await;
        assert_eq!(start.elapsed().as_secs(), 86);
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let share = Share::new(0);
        let mut taken: Vec<_> = (0..PLACES).map(|_| share.place().unwrap()).collect();
        assert!(share.place().is_none());
        taken.pop();
        assert!(share.place().is_some());
    }
}
