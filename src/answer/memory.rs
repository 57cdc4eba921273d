//! The memory: final sessions, and the questions that are on their way to Azure. It outlives configurations.
//!
//! What is kept lies in a cache bounded by bytes. What is on its way lies in a table, under one lock together with
//! every change of what is kept, so that an answer that was on its way when its session was deleted cannot be put
//! back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::watch;

use super::course::Courses;
use super::flight::{Flight, Journey, Pilot, Ticket};
use super::kept::{Entry, Fill, Kept};
use super::key::{Key, Question, SessionKey};
use super::life::Life;
use super::poller::Poller;
use super::prepared::Prepared;
use crate::liveness::digest::Digest;
use crate::liveness::verdict::Given;
use crate::liveness::{Family, Operation, SessionId};
use crate::metrics::Metrics;
use crate::metrics::label::Store;
use crate::moment::Moment;

/// Azure deletes a session's data after 48 hours; nothing about one need be known for longer.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// Most sessions whose creation or deletion is remembered: some 20 MB.
const MOST_REMEMBERED: u64 = 100_000;

/// The memory of a running gateway.
#[derive(Debug)]
pub struct Memory {
    kept: Kept,
    births: Cache<SessionKey, Birth>,
    courses: Courses,
    /// Nobody looks for what never came.
    pictures: AtomicBool,
    table: Mutex<Table>,
    draining: watch::Sender<bool>,
    metrics: Arc<Metrics>,
}

/// What is known of a session's creation.
#[derive(Debug, Clone, Copy)]
struct Birth {
    begun: Moment,
    picture: Given,
}

/// What is on its way, and what must not be kept.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) flights: HashMap<Key, Flight>,
    pub(super) pollers: HashMap<Question, Arc<Poller>>,
    deleted: Cache<SessionKey, ()>,
    departures: u64,
}

impl Memory {
    /// An empty memory for so many bytes of answers.
    pub fn new(max_bytes: u64, metrics: Arc<Metrics>) -> Self {
        let table = Table {
            flights: HashMap::new(),
            pollers: HashMap::new(),
            deleted: remembered(MOST_REMEMBERED),
            departures: 0,
        };
        Self {
            kept: Kept::new(max_bytes, &metrics),
            births: remembered(MOST_REMEMBERED),
            courses: Courses::new(Arc::clone(&metrics)),
            pictures: AtomicBool::new(false),
            table: Mutex::new(table),
            draining: watch::Sender::new(false),
            metrics,
        }
    }

    /// Most bytes that it keeps.
    pub const fn max_bytes(&self) -> u64 {
        self.kept.max_bytes
    }

    /// A kept answer, as old as it may be.
    pub fn recall(&self, question: &Question) -> Option<Entry> {
        self.kept.get(question)
    }

    /// Joins the flight for this question, is told its answer where that came less than so long ago, or begins one. For a fresh
    /// answer nothing is young enough.
    pub(super) fn board(
        self: &Arc<Self>,
        question: &Question,
        oldest: Option<Duration>,
        begin: impl FnOnce(u64) -> Option<Journey>,
    ) -> Ticket {
        let mut table = self.table();
        let flight = table.flights.get(&question.key);
        let joined = |flight: &Flight| flight.join(question, oldest.unwrap_or_default());
        if let Some(ticket) = flight.and_then(joined) {
            return ticket;
        }
        // A flight may have landed since the cache was asked.
        if let Some(entry) = oldest.and_then(|_| self.recall(question)) {
            return Ticket::Kept(entry);
        }
        table.departures += 1;
        let number = table.departures;
        let Some(journey) = begin(number) else {
            return Ticket::Full;
        };
        let flight = Flight::new(number, question, journey.clone());
        table.flights.insert(question.key.clone(), flight);
        Ticket::Begun(Pilot::new(journey))
    }

    /// Takes in what a flight brought, unless its session was deleted or the memory emptied meanwhile. Whether it is
    /// kept.
    pub(super) fn take(
        &self,
        question: &Question,
        number: u64,
        answer: &Prepared,
        life: Life,
    ) -> bool {
        let wanted = match life {
            Life::Kept(life) => Ok(self.kept.entry(question, answer, life)),
            Life::Shared(_, reason) | Life::Told(reason) => Err(reason),
        };
        let key = &question.key;
        let mut table = self.table();
        let ours = table.flights.get(key).is_some_and(|flight| flight.number == number);
        // What is neither kept nor shared is told to those who wait, and to nobody after them.
        if ours && !life.is_shared() {
            table.flights.remove(key);
        }
        let wanted = wanted.and_then(|entry| {
            let deleted = !ours || table.deleted.contains_key(&key.session());
            if deleted { Err(Store::NoStore) } else { Ok(entry) }
        });
        let result = wanted.as_ref().err().copied().unwrap_or(Store::Stored);
        self.metrics.cache_stores_total.at(result).inc();
        let kept = wanted.is_ok();
        match wanted {
            Ok(entry) => self.kept.insert(key, entry),
            // What Azure says now is no longer what was kept, unless it says nothing about the session.
            Err(_) if ours && answer.is_about_the_session() => drop(self.kept.remove(key)),
            Err(_) => {}
        }
        kept
    }

    /// A flight is over, and nothing of it is to be shared any more.
    pub(super) fn over(&self, key: &Key, number: u64) {
        let mut table = self.table();
        if table.flights.get(key).is_some_and(|flight| flight.number == number) {
            table.flights.remove(key);
        }
    }

    /// Remembers when a session was created, which v1.2 and later do not say themselves, and the picture that it is to be
    /// verified against.
    pub fn created(&self, session: SessionKey, begun: Moment, picture: Option<Digest>) {
        let picture = picture.map(Given::Digest).unwrap_or_default();
        self.pictures.fetch_or(picture != Given::Nothing, Ordering::Relaxed);
        if !self.births.contains_key(&session) {
            self.courses.begun(&session, begun);
        }
        self.births.insert(session, Birth { begun, picture });
    }

    /// An app asks Azure about a session.
    pub(super) fn asked(&self, session: &SessionKey) {
        self.courses.asked(session);
    }

    /// A session's end was seen for the first time.
    pub(super) fn ended(&self, session: &SessionKey) {
        self.courses.ended(session);
    }

    /// What has passed since a session's creation, where the gateway saw it.
    pub(super) fn age(&self, session: &SessionKey) -> Option<Duration> {
        self.births.get(session).map(|birth| Moment::now().since(birth.begun))
    }

    /// The hash of the picture that went through the gateway with a session's creation.
    pub(super) fn picture(&self, session: &SessionKey) -> Given {
        if !self.pictures.load(Ordering::Relaxed) {
            return Given::Nothing;
        }
        self.births.get(session).map(|birth| birth.picture).unwrap_or_default()
    }

    /// Forgets what is known of a session's creation and its course.
    pub(super) fn forget_birth(&self, session: &SessionKey) {
        self.births.invalidate(session);
        self.courses.forget(session);
    }

    /// A kept answer about a session, by whichever version and operation it was asked for.
    pub(super) fn kept_of(&self, resource: u32, id: &SessionId) -> Option<Arc<Prepared>> {
        let twins = [Operation::Liveness, Operation::LivenessWithVerify];
        let sessions = twins.map(|operation| SessionKey::new(resource, operation, id));
        sessions.iter().find_map(|session| self.kept_by_any(session).next()).map(|(_, kept)| kept)
    }

    /// The kept answers about a session, by whichever version it was asked for.
    pub(super) fn kept_by_any(
        &self,
        session: &SessionKey,
    ) -> impl Iterator<Item = (Family, Arc<Prepared>)> {
        let found = |key: Key| Some((key.version.family(), self.kept.find(&key)?));
        session.keys().filter_map(found)
    }

    /// Forgets a session that is being deleted, by whatever way it was asked for, and keeps nothing of it from now on.
    /// Whether it was not deleted, or being deleted, already.
    pub fn delete(&self, session: &SessionKey) -> bool {
        let mut table = self.table();
        let first = !table.deleted.contains_key(session);
        table.deleted.insert(session.clone(), ());
        for key in session.keys() {
            self.forget(&mut table, &key);
        }
        first
    }

    /// A session was not deleted after all.
    pub fn undelete(&self, session: &SessionKey) {
        self.table().deleted.invalidate(session);
    }

    /// Forgets one session of whichever resource with a lower number, or everything. How many answers that were.
    pub fn purge(&self, session: Option<&SessionId>, resources: u32) -> u64 {
        let mut table = self.table();
        let Some(id) = session else {
            table.flights.clear();
            table.pollers.drain().for_each(|(_, poller)| poller.forgotten());
            return self.kept.clear();
        };
        let twins = [Operation::Liveness, Operation::LivenessWithVerify];
        let sessions = (0..resources)
            .flat_map(|resource| twins.map(|operation| SessionKey::new(resource, operation, id)));
        let keys = sessions.flat_map(|session| session.keys().collect::<Vec<_>>());
        keys.filter(|key| self.forget(&mut table, key)).count() as u64
    }

    /// Whether there was something to forget.
    fn forget(&self, table: &mut Table, key: &Key) -> bool {
        table.flights.remove(key);
        let asked_about = table.pollers.extract_if(|question, _| question.key == *key);
        asked_about.for_each(|(_, poller)| poller.forgotten());
        self.kept.remove(key)
    }

    /// A poller's work is done.
    pub(super) fn leave(&self, question: &Question, poller: &Arc<Poller>) {
        let mut table = self.table();
        if table.pollers.get(question).is_some_and(|seated| Arc::ptr_eq(seated, poller)) {
            table.pollers.remove(question);
        }
    }

    /// The same, unless somebody waits for its news. Whether it is done.
    pub(super) fn leave_if_deserted(&self, question: &Question, poller: &Arc<Poller>) -> bool {
        let mut table = self.table();
        let deserted = poller.is_deserted();
        if deserted && table.pollers.get(question).is_some_and(|seated| Arc::ptr_eq(seated, poller))
        {
            table.pollers.remove(question);
        }
        deserted
    }

    /// What can be told of it.
    pub fn fill(&self) -> Fill {
        self.kept.fill()
    }

    /// Frees what has expired, and tells the metrics how full it is.
    pub fn sweep(&self) {
        self.kept.sweep();
        self.births.run_pending_tasks();
        self.courses.sweep();
        self.table().deleted.run_pending_tasks();
        let Fill { entries, bytes, .. } = self.fill();
        self.metrics.cache_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.metrics.cache_weight_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Nobody should be kept waiting any more.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Resolves when nobody should be kept waiting any more.
    pub(super) fn drained(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Nothing that holds the lock can panic half-way through a change.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something about sessions, for as long as Azure has their data.
pub(super) fn remembered<V: Clone + Send + Sync + 'static>(most: u64) -> Cache<SessionKey, V> {
    let builder = Cache::builder().max_capacity(most).time_to_live(LONGEST);
    builder.eviction_policy(EvictionPolicy::lru()).build()
}
