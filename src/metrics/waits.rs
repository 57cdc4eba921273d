//! What a request waits for: Azure, another request's question, an app that is slow to send. The rest of its time is the
//! gateway's own.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tokio::task_local;
use tokio::time::Instant;

task_local! {
    static WAITED: Cell<Duration>;
}

pin_project! {
    /// Runs something, and tells how much of its time it waited for others.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct Apart<F> {
        #[pin]
        inside: TaskLocalFuture<Cell<Duration>, F>,
    }
}

/// Runs something, and tells how much of its time it waited for others.
pub fn apart<F: Future>(future: F) -> Apart<F> {
    Apart { inside: WAITED.scope(Cell::default(), future) }
}

impl<F: Future> Future for Apart<F> {
    type Output = (F::Output, Duration);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inside = self.project().inside;
        let output = ready!(inside.as_mut().poll(cx));
        let waited = inside.take_value().unwrap_or_default();
        Poll::Ready((output, waited.get()))
    }
}

/// Waits for others.
pub async fn waiting<F: Future>(future: F) -> F::Output {
    // Counted also where it is given up.
    let _wait = Wait(Instant::now());
    future.await
}

/// So much time was waited for others.
pub fn waited(time: Duration) {
    // Where nobody asks, nobody is told.
    _ = WAITED.try_with(|waited| waited.set(waited.get() + time));
}

struct Wait(Instant);

impl Drop for Wait {
    fn drop(&mut self) {
        waited(self.0.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_is_told_also_where_it_is_given_up() {
        let second = Duration::from_secs(1);
        let (output, waited) = apart(async {
            sleep(second).await;
            waiting(sleep(2 * second)).await;
            assert!(timeout(4 * second, waiting(sleep(60 * second))).await.is_err());
            7
        })
        .await;
        assert_eq!((output, waited.as_secs()), (7, 6));
        waiting(sleep(second)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_its_own() {
        let second = Duration::from_secs(1);
        let inner = async { apart(waiting(sleep(2 * second))).await.1 };
        let (inner, outer) = apart(async {
            waiting(sleep(second)).await;
            inner.await
        })
        .await;
        assert_eq!((inner.as_secs(), outer.as_secs()), (2, 1));
    }
}
