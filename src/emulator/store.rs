//! All sessions, the pages their lists come in, and the pictures kept of them.

use std::collections::BTreeMap;

use super::clock::Moment;
use super::session::Session;
use crate::liveness::Operation;

/// The sessions of both operations. A session is seen under every api-version.
#[derive(Debug, Default)]
pub(super) struct Store {
    liveness: BTreeMap<String, Session>,
    with_verify: BTreeMap<String, Session>,
}

/// One page of a list: what comes after `start`, at most `top` of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page<S> {
    pub(super) start: Option<S>,
    pub(super) top: usize,
}

impl Store {
    pub(super) fn put(&mut self, session: Session) {
        let id = session.id.clone();
        self.of_mut(session.operation).insert(id, session);
    }

    /// The session as it is now, where it has not outlived its 48 hours.
    pub(super) fn get(
        &mut self,
        operation: Operation,
        id: &str,
        now: Moment,
    ) -> Option<&mut Session> {
        let sessions = self.of_mut(operation);
        if sessions.get(id)?.outlived(now) {
            sessions.remove(id);
            return None;
        }
        let session = sessions.get_mut(id)?;
        session.catch_up(now);
        Some(session)
    }

    pub(super) fn remove(
        &mut self,
        operation: Operation,
        id: &str,
        now: Moment,
    ) -> Option<Session> {
        self.get(operation, id, now)?;
        self.of_mut(operation).remove(id)
    }

    /// A page of the sessions, ascending by the text of their ids.
    pub(super) fn page(
        &mut self,
        operation: Operation,
        page: &Page<String>,
        now: Moment,
    ) -> Vec<&Session> {
        let sessions = self.of_mut(operation);
        sessions.retain(|_, session| !session.outlived(now));
        for session in sessions.values_mut() {
            session.catch_up(now);
        }
        let after = |id: &String| page.start.as_ref().is_none_or(|start| id > start);
        let found = sessions.iter().filter(|(id, _)| after(id));
        found.take(page.top).map(|(_, session)| session).collect()
    }

    /// The session and the attempt that a picture was kept of.
    pub(super) fn image(&mut self, image: &str, now: Moment) -> Option<(&Session, usize)> {
        for session in self.all_mut() {
            session.catch_up(now);
        }
        let live = self.all().filter(|session| !session.outlived(now));
        live.flat_map(|session| session.ended().map(move |end| (session, end)))
            .find(|(session, (number, attempt, _))| {
                session.image_id(*number, attempt).as_deref() == Some(image)
            })
            .map(|(session, (number, ..))| (session, number))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Session> {
        self.liveness.values().chain(self.with_verify.values())
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.liveness.values_mut().chain(self.with_verify.values_mut())
    }

    const fn of_mut(&mut self, operation: Operation) -> &mut BTreeMap<String, Session> {
        match operation {
            Operation::Liveness => &mut self.liveness,
            Operation::LivenessWithVerify => &mut self.with_verify,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::derive;
    use crate::emulator::plan::Plan;

    const NOW: Moment = Moment::from_millis(5_000_000);

    fn store(ids: &[&str]) -> Store {
        let mut store = Store::default();
        for id in ids {
            let mut session = Session::new((*id).into(), Operation::Liveness, NOW, Plan::default());
            session.session_image = true;
            store.put(session);
        }
        store
    }

    fn ids(store: &mut Store, start: Option<&str>, top: usize) -> Vec<String> {
        let start = start.map(ToOwned::to_owned);
        let page = store.page(Operation::Liveness, &Page { start, top }, NOW);
        page.into_iter().map(|session| session.id.clone()).collect()
    }

    #[test]
    fn pages_are_ascending_by_text_and_start_is_left_out() {
        let mut store = store(&["b", "10", "9", "a"]);
        assert_eq!(ids(&mut store, None, 2), ["10", "9"]);
        assert_eq!(ids(&mut store, Some("9"), 2), ["a", "b"]);
        assert_eq!(ids(&mut store, Some("aa"), 9), ["b"]);
        assert!(ids(&mut store, Some("b"), 9).is_empty());
    }

    #[test]
    fn the_twins_are_apart_and_the_outlived_are_gone() {
        let mut store = store(&["a"]);
        assert!(store.get(Operation::LivenessWithVerify, "a", NOW).is_none());
        assert!(store.get(Operation::Liveness, "a", NOW).is_some());
        let late = NOW.plus_seconds(48 * 3600);
        assert!(store.get(Operation::Liveness, "a", late).is_none());
        assert!(store.get(Operation::Liveness, "a", NOW).is_none());
    }

    #[test]
    fn a_picture_is_there_once_its_attempt_has_ended() {
        let mut store = store(&["a", "b"]);
        let id = derive::image_id("b", 1);
        assert!(store.image(&id, NOW).is_none());
        let later = NOW.plus_seconds(5);
        let (session, attempt) = store.image(&id, later).unwrap();
        assert_eq!((session.id.as_str(), attempt), ("b", 1));
        assert!(store.image(&derive::image_id("b", 2), later).is_none());
    }
}
