//! A future that does one thing more to what another one brings. It has a name, so that a row needs no box for it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

/// What is done to an outcome.
pub trait Finish<O> {
    /// What becomes of it.
    type Output;
    /// Does it.
    fn finish(self, outcome: O) -> Self::Output;
}

pin_project! {
    /// The future.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct After<F, D> {
        #[pin]
        future: F,
        done: Option<D>,
    }
}

impl<F, D> After<F, D> {
    /// Does this to what the future brings.
    pub const fn new(future: F, done: D) -> Self {
        Self { future, done: Some(done) }
    }
}

impl<F: Future, D: Finish<F::Output>> Future for After<F, D> {
    type Output = D::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<D::Output> {
        let this = self.project();
        let outcome = ready!(this.future.poll(cx));
        match this.done.take() {
            Some(done) => Poll::Ready(done.finish(outcome)),
            // A future that has ended is not polled again; whoever does waits for ever.
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Add(u8);

    impl Finish<u8> for Add {
        type Output = u16;

        fn finish(self, outcome: u8) -> u16 {
            u16::from(outcome) + u16::from(self.0)
        }
    }

    #[tokio::test]
    async fn one_thing_more_is_done() {
        assert_eq!(After::new(async { 200 }, Add(100)).await, 300);
    }
}
