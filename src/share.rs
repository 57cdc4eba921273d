//! What all who use a Face resource share, whatever configurations come and go.
//!
//! That is the number that its sessions are kept under, the turns of those that call it, the rest that it asked for, and the places of
//! questions that are on their way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use crate::budget::Budget;
use crate::circuit::Circuit;
use crate::quota::{HeldBack, Kind, Limit, Turn, Turns, Who};

/// Most questions about sessions that are on their way at a time. They go on when those who asked have left, so that
/// connections do not bound them.
const PLACES: usize = 4096;

/// Bytes of memory for what creates send, while it may have to be sent again.
const ROOM: usize = 32 << 20;

/// Bytes of memory for long answers, until they are told.
const ANSWERS: usize = 128 << 20;

/// Longest rest that a resource can ask for at a time. After it, it may ask for another one.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// What is shared at one resource.
#[derive(Debug)]
pub struct Share {
    /// The resource's number, which no other has or will have in this process.
    pub number: u32,
    /// Whether it is asked at all.
    pub circuit: Circuit,
    /// How many second tries it is worth.
    pub budget: Budget,
    line: Mutex<Line>,
    changed: Notify,
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Line {
    turns: Turns,
    rest: Option<Rest>,
}

/// How long the resource is left alone, since it asked for that.
#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    /// The same in Unix seconds.
    told: i64,
}

impl Share {
    /// What is shared at the resource of this number.
    pub fn new(number: u32) -> Self {
        let bounded = |most| Arc::new(Semaphore::new(most));
        Self {
            number,
            circuit: Circuit::default(),
            budget: Budget::default(),
            line: Mutex::default(),
            changed: Notify::new(),
            places: bounded(PLACES),
            room: bounded(ROOM),
            answers: bounded(ANSWERS),
        }
    }

    /// The resource allows so many calls a second, polls this share of them; `None` is no limit.
    pub fn allow(&self, rate: Option<f64>, polls: f64) {
        self.line().turns.allow(rate.map(Limit::per_second), polls);
        self.changed.notify_one();
    }

    /// Waits for the right to make a call, where that will come soon enough.
    ///
    /// # Errors
    /// Where it will not.
    pub async fn admit(
        self: &Arc<Self>,
        kind: Kind,
        app: &str,
        patience: Duration,
    ) -> Result<Turn, HeldBack> {
        let who = (app.to_owned(), false);
        let turn = {
            let mut line = self.line();
            if let Some(rest) = line.resting() {
                return Err(HeldBack::Rest(rest));
            }
            if let Some(turn) = line.turns.take(kind) {
                return Ok(turn);
            }
            let outlook = line.turns.outlook(kind, &who);
            if outlook > patience {
                return Err(HeldBack::Quota(outlook));
            }
            line.turns.queue(kind, who)
        };
        self.serve();
        // The outlook may have been a little too good, for others' calls cannot all be held back.
        match timeout(patience * 5 / 4, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            // Sent away: the resource asked for rest meanwhile.
            Ok(Err(_)) => Err(HeldBack::Rest(self.line().resting().unwrap_or_default())),
            Err(_) => Err(HeldBack::Quota(Duration::ZERO)),
        }
    }

    /// Waits for that however long it takes, on an app's behalf.
    pub async fn turn(self: &Arc<Self>, kind: Kind, app: &str) -> Turn {
        let who: Who = (app.to_owned(), true);
        loop {
            let turn = {
                let mut line = self.line();
                if line.resting().is_none()
                    && let Some(turn) = line.turns.take(kind)
                {
                    return turn;
                }
                line.turns.queue(kind, who.clone())
            };
            self.serve();
            if let Ok(turn) = turn.await {
                return turn;
            }
        }
    }

    /// Sees to it that those who wait have their turns.
    fn serve(self: &Arc<Self>) {
        if std::mem::replace(&mut self.line().turns.served, true) {
            // It may be asleep until the turn of somebody else's, while this one's has come.
            self.changed.notify_one();
            return;
        }
        let this = Arc::clone(self);
        // It ends by itself when nobody waits any more.
        drop(tokio::spawn(async move {
            loop {
                let wait = {
                    let mut line = this.line();
                    match line.resting() {
                        Some(rest) => rest,
                        None => match line.turns.serve() {
                            Some(wait) => wait,
                            None => {
                                line.turns.served = false;
                                return;
                            }
                        },
                    }
                };
                tokio::select! {
                    () = sleep(wait) => {}
                    () = this.changed.notified() => {}
                }
            }
        }));
    }

    /// A call goes to the resource that nobody could hold back.
    pub fn spend(&self) {
        self.line().turns.spend();
    }

    /// The calls that it still allows at this moment, and the most that there can be, where its limit is known.
    pub fn left(&self) -> Option<(f64, f64)> {
        self.line().turns.left()
    }

    /// The resource asked to be left alone for so many seconds.
    pub fn asked_for_rest(&self, seconds: u32) {
        let time = Duration::from_secs(seconds.into()).min(LONGEST_REST);
        let until = Instant::now() + time;
        let mut line = self.line();
        if time.is_zero() || line.rest.is_some_and(|rest| rest.until >= until) {
            return;
        }
        let told = Timestamp::now().as_second().saturating_add_unsigned(time.as_secs());
        line.rest = Some(Rest { until, told });
        line.turns.clear();
    }

    /// How long it is still to be left alone, if it is.
    pub fn resting(&self) -> Option<Duration> {
        self.line().resting()
    }

    /// Until when it asked for that, in Unix seconds; 0 is never.
    pub fn rest_until(&self) -> i64 {
        self.line().rest.map_or(0, |rest| rest.told)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for what may have to be sent again, a permit for each byte.
    pub const fn room(&self) -> &Arc<Semaphore> {
        &self.room
    }

    /// Room for long answers, a permit for each byte.
    pub const fn answers(&self) -> &Arc<Semaphore> {
        &self.answers
    }

    /// A place for a question, if there is one.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }
}

impl Line {
    fn resting(&self) -> Option<Duration> {
        let left = self.rest?.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(rate: f64) -> Arc<Share> {
        let share = Arc::new(Share::new(0));
        share.allow(Some(rate), 0.5);
        share
    }

    const PATIENCE: Duration = Duration::from_millis(2100);

    #[tokio::test(start_paused = true)]
    async fn who_can_have_a_turn_soon_waits_and_who_cannot_is_told_at_once() {
        let share = share(10.0);
        let start = Instant::now();
        let asking = |number: usize| {
            let share = Arc::clone(&share);
            tokio::spawn(async move {
                let outcome = share.admit(Kind::Poll, "a", PATIENCE).await;
                (number, outcome.map(|_| start.elapsed().as_millis()))
            })
        };
        let mut taken = Vec::new();
        for asked in (0..20).map(asking).collect::<Vec<_>>() {
            taken.push(asked.await.unwrap());
        }
        // Five in each window: five at once, five after the first one and one after the second. More would wait longer.
        let at = |number: usize| taken.iter().find(|(asked, _)| *asked == number).unwrap().1;
        assert_eq!(
            (at(0), at(4), at(5), at(9), at(10)),
            (Ok(0), Ok(0), Ok(1050), Ok(1050), Ok(2100))
        );
        assert_eq!(at(11), Err(HeldBack::Quota(Duration::from_millis(2310))));
        assert_eq!(at(19), Err(HeldBack::Quota(Duration::from_millis(2310))));
        assert_eq!(at(19).unwrap_err().seconds(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_is_everybodys_and_has_an_end() {
        let share = share(10.0);
        let start = Instant::now();
        while share.admit(Kind::Poll, "a", Duration::ZERO).await.is_ok() {}
        let waiting = tokio::spawn({
            let share = Arc::clone(&share);
            async move { share.admit(Kind::Poll, "a", PATIENCE).await.err() }
        });
        let held = tokio::spawn({
            let share = Arc::clone(&share);
            async move {
                share.turn(Kind::Poll, "a").await;
                start.elapsed().as_secs()
            }
        });
        tokio::task::yield_now().await;
        share.asked_for_rest(26);
        share.asked_for_rest(1);
        share.asked_for_rest(0);
        let rest = HeldBack::Rest(Duration::from_secs(26));
        assert_eq!(waiting.await.unwrap(), Some(rest));
        assert_eq!(share.admit(Kind::Call, "a", PATIENCE).await.err(), Some(rest));
        assert_eq!(held.await.unwrap(), 26);
        assert!(share.admit(Kind::Call, "a", PATIENCE).await.is_ok());
        share.asked_for_rest(86_400);
        assert_eq!(share.resting(), Some(LONGEST_REST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_does_not_wait_for_the_turn_of_polls() {
        // Twenty calls a minute, ten of them polls.
        let share = share(20.0 / 60.0);
        while share.admit(Kind::Poll, "a", Duration::ZERO).await.is_ok() {}
        let polling = Arc::clone(&share);
        let held = tokio::spawn(async move { polling.turn(Kind::Poll, "a").await });
        sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        for _ in 0..10 {
            assert!(share.admit(Kind::Call, "b", PATIENCE).await.is_ok());
        }
        assert!(start.elapsed().is_zero() && !held.is_finished());
        held.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_limit_counts_for_those_who_wait() {
        let share = share(20.0 / 60.0);
        while share.admit(Kind::Call, "a", Duration::ZERO).await.is_ok() {}
        let held = tokio::spawn({
            let share = Arc::clone(&share);
            async move { share.turn(Kind::Poll, "a").await }
        });
        let start = Instant::now();
        sleep(Duration::from_secs(1)).await;
        share.allow(None, 0.5);
        held.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 1);
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
