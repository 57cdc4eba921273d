//! Asks about one session for all who wait for it.
//!
//! All pollers of a resource take turns, fairly among apps, and rest together when it asks for that.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceExt as _};

use super::key::Question;
use super::memory::{Memory, Table};
use super::recall::Told;
use crate::call::Call;
use crate::error::Error;
use crate::quota::Kind;
use crate::share::Share;

/// Shortest time between two questions about one session. A person who turns their head takes longer.
const SHORTEST: Duration = Duration::from_millis(500);

/// Longest pause after trouble. Every trouble doubles it.
const LONGEST: Duration = Duration::from_secs(16);

/// Longest watch of one poller: those who wait still begin another, so that none outlives its configuration for long.
const WATCH: Duration = Duration::from_secs(60);

/// One poller's news, for all who wait for its session.
#[derive(Debug)]
pub(super) struct Poller(watch::Sender<News>);

/// What a poller has to tell.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// Nothing yet.
    None,
    /// What came of the last question.
    Latest(Result<Told, Error>),
    /// What is known of the session was forgotten: it was deleted, or purged.
    Forgotten,
}

impl Poller {
    pub(super) fn listen(&self) -> watch::Receiver<News> {
        self.0.subscribe()
    }

    pub(super) fn forgotten(&self) {
        self.0.send_replace(News::Forgotten);
    }

    /// What was forgotten meanwhile is not told any more.
    fn tell(&self, outcome: Result<Told, Error>) {
        self.0.send_if_modified(|news| {
            let wanted = !matches!(news, News::Forgotten);
            if wanted {
                *news = News::Latest(outcome);
            }
            wanted
        });
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.0.receiver_count() == 0
    }
}

/// A poller's place in the table, which it leaves whatever happens.
pub(super) struct Seat {
    memory: Arc<Memory>,
    question: Question,
    poller: Arc<Poller>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.memory.leave(&self.question, &self.poller);
    }
}

impl Seat {
    /// A new poller's place, and its news.
    pub(super) fn take(
        memory: &Arc<Memory>,
        table: &mut Table,
        question: &Question,
    ) -> (Self, watch::Receiver<News>) {
        let poller = Arc::new(Poller(watch::Sender::new(News::None)));
        let news = poller.listen();
        table.pollers.insert(question.clone(), Arc::clone(&poller));
        (Self { memory: Arc::clone(memory), question: question.clone(), poller }, news)
    }

    /// Asks until the session ends, nobody listens any more, or it has watched long enough.
    pub(super) async fn poll<S>(self, inner: S, share: Arc<Share>, again: Call)
    where
        S: Service<Call, Response = Told, Error = Error> + Clone,
    {
        let (mut pause, begun) = (SHORTEST, Instant::now());
        while begun.elapsed() < WATCH {
            let turn = async {
                sleep(pause).await;
                share.turn(Kind::Poll, &again.app.name).await
            };
            let turn = tokio::select! {
                () = self.poller.0.closed() => {
                    if self.memory.leave_if_deserted(&self.question, &self.poller) {
                        return;
                    }
                    // Somebody came at the last moment.
                    continue;
                }
                turn = turn => turn,
            };
            let call = Call { turn: Some(turn), ..again.anew() };
            let outcome = inner.clone().oneshot(call).await.map(Told::collapsed);
            let in_trouble = goes_on(&outcome) && !outcome.as_ref().is_ok_and(Told::is_open);
            pause = if in_trouble { (2 * pause).min(LONGEST) } else { SHORTEST };
            let done = !goes_on(&outcome);
            if done {
                self.memory.leave(&self.question, &self.poller);
            }
            self.poller.tell(outcome);
            if done {
                return;
            }
        }
    }
}

/// Whether there is a reason to ask again: the session has not ended, or Azure is in trouble.
pub(super) fn goes_on(outcome: &Result<Told, Error>) -> bool {
    match outcome {
        Ok(told) => {
            let status = told.answer.status;
            let passes = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
            told.is_open() || passes.contains(&status) || status.is_server_error()
        }
        Err(_) => true,
    }
}
