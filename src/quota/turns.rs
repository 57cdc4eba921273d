//! Whose turn it is: calls and polls by turns, and apps one after the other.
//!
//! However much one app asks, another one's request waits for one of each of the others' at most. Polls stay within their share, so
//! that creates, deletes and the devices' own calls, which no gateway sees, find something left.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Limit, Quota};

/// What is to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something that somebody does once: a create, a delete, a look at a list or a picture.
    Call,
    /// How a session stands, which is asked again and again.
    Poll,
}

/// Who wants to, among those of one kind: an app, and whether the gateway asks on its behalf while it waits.
pub type Who = (String, bool);

/// The right to make one call, which counts by now.
#[derive(Debug)]
pub struct Turn(());

/// What a resource allows, and who waits for it.
#[derive(Debug, Default)]
pub struct Turns {
    all: Quota,
    polls: Quota,
    calling: Line,
    polling: Line,
    /// Whether the last turn of those who waited was a poll's.
    polled: bool,
    /// Whether somebody sees to it that those who wait have their turns.
    pub served: bool,
}

/// Those who wait, one queue for each: the queues have their turns in this order.
#[derive(Debug, Default)]
struct Line {
    queues: HashMap<Who, VecDeque<oneshot::Sender<Turn>>>,
    order: VecDeque<Who>,
}

impl Turns {
    /// The resource allows so much, and polls this share of it.
    pub fn allow(&mut self, limit: Option<Limit>, share: f64) {
        self.all.allow(limit);
        self.polls.allow(limit.map(|limit| limit.share(share)));
    }

    /// A call that nobody could hold back.
    pub fn spend(&mut self) {
        self.all.spend(Instant::now());
    }

    /// The calls that are allowed at this moment, and the most that there can be.
    pub fn left(&mut self) -> Option<(f64, f64)> {
        self.all.left(Instant::now())
    }

    /// A turn at once, where nobody waits for one.
    pub fn take(&mut self, kind: Kind) -> Option<Turn> {
        let nobody = self.calling.is_empty() && self.polling.is_empty();
        (nobody && self.wait(kind).is_zero()).then(|| self.make(kind))
    }

    /// How long one who begins to wait now would do so, at most. Nobody who waits holds what is left of it.
    pub fn outlook(&mut self, kind: Kind, who: &Who) -> Duration {
        let line = if kind == Kind::Call { &mut self.calling } else { &mut self.polling };
        let place = line.place(who);
        let limit = if kind == Kind::Call { self.all.limit() } else { self.polls.limit() };
        self.wait(kind) + limit.map(|limit| limit.time(place)).unwrap_or_default()
    }

    /// A place in the queue, and what tells when it is one's turn. Who is dropped leaves the queue.
    pub fn queue(&mut self, kind: Kind, who: Who) -> oneshot::Receiver<Turn> {
        let (turn, told) = oneshot::channel();
        let line = if kind == Kind::Call { &mut self.calling } else { &mut self.polling };
        line.push(who, turn);
        told
    }

    /// Gives turns to those who can have them. How long until there are more, if anybody still waits.
    pub fn serve(&mut self) -> Option<Duration> {
        loop {
            let kind = match (self.calling.is_empty(), self.polling.is_empty()) {
                (true, true) => return None,
                (true, false) => Kind::Poll,
                // Where polls have had their share, calls need not wait for it.
                (false, false) if !self.polled && self.wait(Kind::Poll).is_zero() => Kind::Poll,
                (false, _) => Kind::Call,
            };
            let wait = self.wait(kind);
            if !wait.is_zero() {
                return Some(wait);
            }
            let line = if kind == Kind::Call { &mut self.calling } else { &mut self.polling };
            // Who has left takes no turn.
            if let Some(next) = line.pop()
                && !next.is_closed()
            {
                self.polled = kind == Kind::Poll;
                drop(next.send(self.make(kind)));
            }
        }
    }

    /// Sends everybody away but those on whose behalf the gateway waits.
    pub fn clear(&mut self) {
        for line in [&mut self.calling, &mut self.polling] {
            line.queues.retain(|(_, held), _| *held);
            line.order.retain(|(_, held)| *held);
        }
    }

    fn wait(&mut self, kind: Kind) -> Duration {
        let now = Instant::now();
        match kind {
            Kind::Call => self.all.wait(now),
            Kind::Poll => self.all.wait(now).max(self.polls.wait(now)),
        }
    }

    fn make(&mut self, kind: Kind) -> Turn {
        let now = Instant::now();
        self.all.spend(now);
        if kind == Kind::Poll {
            self.polls.spend(now);
        }
        Turn(())
    }
}

impl Line {
    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn push(&mut self, who: Who, turn: oneshot::Sender<Turn>) {
        let queue = self.queues.entry(who.clone()).or_default();
        if queue.is_empty() {
            self.order.push_back(who);
        }
        queue.push_back(turn);
    }

    fn pop(&mut self) -> Option<oneshot::Sender<Turn>> {
        let who = self.order.pop_front()?;
        let queue = self.queues.get_mut(&who)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&who);
        } else {
            self.order.push_back(who);
        }
        next
    }

    /// How many may have their turns before one who comes now: as many of each of the others' as of one's own.
    fn place(&mut self, who: &Who) -> usize {
        for queue in self.queues.values_mut() {
            // Those who gave up are mostly those who came first. One stays, so that the queue keeps its turn.
            while queue.len() > 1 && queue.front().is_some_and(oneshot::Sender::is_closed) {
                queue.pop_front();
            }
        }
        let own = self.queues.get(who).map_or(0, VecDeque::len);
        let others = self.queues.iter().filter(|(other, _)| *other != who);
        own + others.map(|(_, queue)| queue.len().min(own + 1)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn turns() -> Turns {
        let mut turns = Turns::default();
        turns.allow(Some(Limit::per_second(10.0)), 0.5);
        turns
    }

    fn who(name: &str) -> Who {
        (name.to_owned(), false)
    }

    const WINDOW: Duration = Duration::from_millis(1050);

    fn served(waiting: &mut [oneshot::Receiver<Turn>]) -> usize {
        waiting.iter_mut().map(|turn| usize::from(turn.try_recv().is_ok())).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn polls_leave_something_and_nobody_starves() {
        let mut turns = turns();
        let polls = (0..20).filter(|_| turns.take(Kind::Poll).is_some()).count();
        let calls = (0..20).filter(|_| turns.take(Kind::Call).is_some()).count();
        assert_eq!((polls, calls), (5, 5));
        let mut polls: Vec<_> = (0..9).map(|_| turns.queue(Kind::Poll, who("a"))).collect();
        let mut calls: Vec<_> = (0..9).map(|_| turns.queue(Kind::Call, who("a"))).collect();
        assert_eq!(turns.serve(), Some(WINDOW));
        advance(WINDOW).await;
        assert_eq!(turns.serve(), Some(WINDOW));
        assert_eq!((served(&mut polls), served(&mut calls)), (5, 5));
        assert_eq!(turns.left(), Some((0.0, 10.0)));
        assert!(turns.take(Kind::Call).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn apps_have_their_turns_one_after_the_other() {
        let mut turns = turns();
        while turns.take(Kind::Poll).is_some() {}
        let mut greedy: Vec<_> = (0..100).map(|_| turns.queue(Kind::Poll, who("greedy"))).collect();
        // Five others of the greedy one's may come before it, and so long does that take.
        assert_eq!(turns.outlook(Kind::Poll, &who("greedy")), 21 * WINDOW);
        assert_eq!(turns.outlook(Kind::Poll, &who("modest")), WINDOW + WINDOW / 5);
        let mut modest: Vec<_> = (0..3).map(|_| turns.queue(Kind::Poll, who("modest"))).collect();
        advance(WINDOW).await;
        assert!(turns.serve().is_some());
        assert_eq!((served(&mut greedy), served(&mut modest)), (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_takes_no_turn_and_who_is_sent_away_knows_it() {
        let mut turns = turns();
        while turns.take(Kind::Poll).is_some() {}
        let left: Vec<_> = (0..50).map(|_| turns.queue(Kind::Poll, who("a"))).collect();
        drop(left);
        let mut last = turns.queue(Kind::Poll, who("a"));
        assert_eq!(turns.outlook(Kind::Poll, &who("a")), WINDOW + WINDOW / 5);
        let mut held = turns.queue(Kind::Poll, ("a".to_owned(), true));
        turns.clear();
        assert_eq!(last.try_recv().unwrap_err(), oneshot::error::TryRecvError::Closed);
        advance(WINDOW).await;
        assert_eq!(turns.serve(), None);
        assert!(held.try_recv().is_ok());
        assert_eq!(turns.left(), Some((9.0, 10.0)));
    }
}
