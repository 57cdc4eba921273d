//! How much of the gateway may be used at a time: by all apps together, and by one of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::App;
use crate::error::Error;
use crate::quota::{HeldBack, Limit, Quota};

/// Requests under way, and the most that there may be.
#[derive(Debug)]
pub struct Places {
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Places {
    /// For so many requests.
    pub const fn new(most: usize) -> Self {
        Self { under_way: AtomicUsize::new(0), most: AtomicUsize::new(most) }
    }

    /// For so many from now on. Those that are under way go on.
    pub fn allow(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// A place for one more. Until what this returns is dropped, it is taken.
    fn take(self: &Arc<Self>) -> Option<Place> {
        // What is above the limit for a moment only refuses others at the same moment, where there is hardly any room left.
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        (before < self.most.load(Ordering::Relaxed)).then_some(place)
    }
}

/// A place that is taken.
#[derive(Debug)]
struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one app may use.
#[derive(Debug)]
pub(super) struct Allowance {
    all: Arc<Places>,
    own: Option<Arc<Places>>,
    rate: Option<Mutex<Quota>>,
}

/// The places that a request takes while it is under way.
#[derive(Debug)]
#[expect(dead_code, reason = "they are given back when it is dropped")]
pub(super) struct UnderWay(Place, Option<Place>);

impl Allowance {
    pub(super) fn new(app: &App, all: &Arc<Places>) -> Self {
        let own = app.max_requests.map(|most| Arc::new(Places::new(most)));
        let rate = app.per_second.map(|rate| {
            let mut quota = Quota::default();
            quota.allow(Some(Limit::per_second(rate)));
            Mutex::new(quota)
        });
        Self { all: Arc::clone(all), own, rate }
    }

    /// Lets a request in.
    ///
    /// # Errors
    /// Where the app, or all of them together, ask too much.
    pub(super) fn enter(&self) -> Result<UnderWay, Error> {
        let own = match &self.own {
            None => None,
            Some(places) => Some(places.take().ok_or(Error::AppLimit(1))?),
        };
        if let Some(rate) = &self.rate {
            let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = rate.take(Instant::now());
            taken.map_err(|wait| Error::AppLimit(HeldBack::Quota(wait).seconds()))?;
        }
        let all = self.all.take().ok_or(Error::Overloaded)?;
        Ok(UnderWay(all, own))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn app(max_requests: Option<usize>, per_second: Option<f64>) -> App {
        App { max_requests, per_second, ..App::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_too_much_is_told_so_and_others_are_not() {
        let all = Arc::new(Places::new(3));
        let bounded = Allowance::new(&app(Some(2), None), &all);
        let free = Allowance::new(&app(None, None), &all);
        let first = bounded.enter().unwrap();
        let second = bounded.enter().unwrap();
        assert_eq!(bounded.enter().unwrap_err(), Error::AppLimit(1));
        let third = free.enter().unwrap();
        assert_eq!(free.enter().unwrap_err(), Error::Overloaded);
        drop(first);
        assert_eq!(all.under_way.load(Ordering::Relaxed), 2);
        assert!(bounded.enter().is_ok());
        all.allow(2);
        assert_eq!(free.enter().unwrap_err(), Error::Overloaded);
        drop((second, third));
        assert_eq!(all.under_way.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_and_says_when_to_come_back() {
        let all = Arc::new(Places::new(3));
        let limited = Allowance::new(&app(None, Some(2.0)), &all);
        assert!(limited.enter().is_ok() && limited.enter().is_ok());
        assert_eq!(limited.enter().unwrap_err(), Error::AppLimit(2));
        tokio::time::advance(Duration::from_millis(1050)).await;
        assert!(limited.enter().is_ok());
    }
}
