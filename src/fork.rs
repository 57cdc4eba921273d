//! Parts the way: by the app's upstream, and by whether an answer is taken whole or streams.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::ready;
use http::{HeaderValue, Response};
use tower::{Service, ServiceExt as _};

use crate::answer::register::Register;
use crate::answer::{Audits, Sessions};
use crate::body::Body;
use crate::call::{Admitted, Reply};
use crate::error::Error;
use crate::headers::CACHE_STATUS;
use crate::liveness::{Family, Route};
use crate::metrics::label::Cache;
use crate::relay::Relay;
use crate::room::Outcome;

/// The ways to one resource.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// Down the stairs: sessions are read, and answered from memory where they can be.
    pub sessions: Sessions,
    /// Down the stairs: audit lists are taken whole, and enriched.
    pub audits: Audits,
    /// Down the stairs: lists that are made of sessions, where Azure has none.
    pub made: Audits,
    /// Beside them: what streams.
    pub relay: Relay,
    /// Beside them too: what apps' clients reported.
    pub register: Register,
}

/// The fork.
#[derive(Debug, Clone)]
pub struct Fork {
    rooms: Arc<[Rooms]>,
}

impl Fork {
    /// A fork to these resources, in the order of the configuration.
    pub fn new(rooms: impl Iterator<Item = Rooms>) -> Self {
        Self { rooms: rooms.collect() }
    }
}

impl Service<Admitted> for Fork {
    type Response = Reply;
    type Error = Error;
    type Future = Outcome<Reply, Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, admitted: Admitted) -> Self::Future {
        let Some(rooms) = self.rooms.get(admitted.app().upstream) else {
            return ready(Err(Error::Internal)).boxed();
        };
        let call = match admitted {
            Admitted::Call(call) => call,
            Admitted::Registration(registration) => {
                return rooms.register.clone().oneshot(registration).boxed();
            }
        };
        match call.target.route {
            Route::Session => rooms.sessions.ask(call),
            Route::Audit => match call.target.resource.version.family() {
                Family::Preview => rooms.audits.ask(call),
                Family::Ga => rooms.made.ask(call),
            },
            Route::List | Route::Image => {
                let answer = rooms.relay.clone().oneshot(call);
                async move { Ok(passed(answer.await?)) }.boxed()
            }
            Route::Create | Route::Delete => {
                let answer = rooms.relay.clone().oneshot(call);
                async move { Ok(Reply { answer: answer.await?, cache: Cache::None }) }.boxed()
            }
        }
    }
}

/// RFC 9211 §2.2: the memory takes no part in what is not a session.
fn passed(mut answer: Response<Body>) -> Reply {
    answer.headers_mut().append(CACHE_STATUS, HeaderValue::from_static("livegate; fwd=bypass"));
    Reply { answer, cache: Cache::Bypass }
}
