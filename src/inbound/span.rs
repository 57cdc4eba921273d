//! Continues the trace that an app has begun, or begins one.
//!
//! Below it a request is part of a trace, whether or not somebody collects that.

use std::task::{Context, Poll};

use tower::layer::layer_fn;
use tower::{Layer, Service};

use crate::after::{After, Finish};
use crate::call::{Admitted, Call, Reply};
use crate::error::Error;
use crate::trace::Span;

/// The row.
#[derive(Debug, Clone)]
pub struct Spanned<S> {
    inner: S,
}

/// Makes requests part of a trace.
pub fn span<S>() -> impl Layer<S, Service = Spanned<S>> + Clone {
    layer_fn(|inner| Spanned { inner })
}

impl<S> Service<Admitted> for Spanned<S>
where
    S: Service<Admitted, Response = Reply, Error = Error>,
{
    type Response = Reply;
    type Error = Error;
    type Future = After<S::Future, Begun>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut admitted: Admitted) -> Self::Future {
        let span = match &mut admitted {
            Admitted::Call(call) => begin(call),
            Admitted::Registration(_) => None,
        };
        After::new(self.inner.call(admitted), Begun(span))
    }
}

/// A request's span, where somebody collects that.
#[derive(Debug)]
pub struct Begun(Option<Span>);

impl Finish<Result<Reply, Error>> for Begun {
    type Output = Result<Reply, Error>;

    fn finish(self, outcome: Result<Reply, Error>) -> Result<Reply, Error> {
        self.0.into_iter().for_each(|span| end(span, &outcome));
        outcome
    }
}

fn begin(call: &mut Call) -> Option<Span> {
    let (route, method) = (call.target.label(), call.target.method());
    let mut span = call.heard.begin_trace(route.as_str())?;
    span.set("http.request.method", method.to_string());
    span.set("http.route", route.as_str());
    span.set("livegate.app", call.app.name.clone());
    Some(span)
}

fn end(mut span: Span, outcome: &Result<Reply, Error>) {
    let status = match outcome {
        Ok(reply) => {
            span.set("livegate.cache", reply.cache.as_str());
            reply.answer.status()
        }
        Err(error) => error.status(),
    };
    span.answered(status);
    // An app's mistake is no failure of what serves it.
    if status.is_server_error() {
        span.failed(outcome.as_ref().err().map_or("upstream", Error::code));
    }
}
