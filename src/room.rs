//! The door of a room: rows behind one pointer. Copying it copies no row, and no type above it grows with their number.

use std::convert::Infallible;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tower::{Service, ServiceExt as _};

/// What comes of what a room is asked.
pub type Outcome<A, E> = BoxFuture<'static, Result<A, E>>;

/// Rows that are asked `Q` and answer `A`.
pub struct Room<Q, A, E = Infallible>(Arc<dyn Rows<Q, A, E>>);

trait Rows<Q, A, E>: Send + Sync {
    fn ask(&self, question: Q) -> Outcome<A, E>;
}

impl<S, Q, A, E> Rows<Q, A, E> for S
where
    S: Service<Q, Response = A, Error = E> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    Q: Send + 'static,
    A: Send + 'static,
    E: Send + 'static,
{
    fn ask(&self, question: Q) -> Outcome<A, E> {
        let mut rows = self.clone();
        // The rows here are always ready, so that there is nothing to wait with.
        match rows.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => rows.call(question).boxed(),
            Poll::Ready(Err(error)) => ready(Err(error)).boxed(),
            Poll::Pending => rows.oneshot(question).boxed(),
        }
    }
}

impl<Q, A, E> Room<Q, A, E>
where
    Q: Send + 'static,
    A: Send + 'static,
    E: Send + 'static,
{
    /// The room of these rows.
    pub fn new<S>(rows: S) -> Self
    where
        S: Service<Q, Response = A, Error = E> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        Self(Arc::new(rows))
    }

    /// Asks the first row.
    pub fn ask(&self, question: Q) -> Outcome<A, E> {
        self.0.ask(question)
    }
}

impl<Q, A, E> Service<Q> for Room<Q, A, E>
where
    Q: Send + 'static,
    A: Send + 'static,
    E: Send + 'static,
{
    type Response = A;
    type Error = E;
    type Future = Outcome<A, E>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: Q) -> Self::Future {
        self.ask(question)
    }
}

impl<Q, A, E> Clone for Room<Q, A, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Q, A, E> Debug for Room<Q, A, E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::sleep;
    use tower::service_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_room_answers_any_number_at_a_time() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let room = Room::new(service_fn(move |number: u64| {
            let noted = Arc::clone(&noted);
            async move {
                sleep(Duration::from_secs(10 - number)).await;
                noted.lock().unwrap().push(number);
                Result::<_, ()>::Ok(2 * number)
            }
        }));
        assert_eq!(tokio::join!(room.ask(1), room.clone().ask(2)), (Ok(2), Ok(4)));
        assert_eq!(*asked.lock().unwrap(), [2, 1]);
    }

    /// Ready when it is asked for the last time.
    #[derive(Clone)]
    struct Late(u8);

    impl Service<()> for Late {
        type Response = ();
        type Error = &'static str;
        type Future = std::future::Ready<Result<(), &'static str>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            match self.0.checked_sub(1) {
                None => Poll::Ready(Err("never ready")),
                Some(0) => Poll::Ready(Ok(())),
                Some(left) => {
                    self.0 = left;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }

        fn call(&mut self, (): ()) -> Self::Future {
            std::future::ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn rows_that_are_not_ready_are_waited_for() {
        for (late, outcome) in [(0, Err("never ready")), (1, Ok(())), (3, Ok(()))] {
            assert_eq!(Room::new(Late(late)).ask(()).await, outcome);
        }
    }
}
