//! Parts the way: by the app's upstream, and by whether an answer is taken whole or streams.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, ready};
use futures_util::{FutureExt as _, TryFutureExt as _};
use http::Response;
use tower::{Service, ServiceExt as _};

use crate::answer::Answerer;
use crate::body::Body;
use crate::call::Call;
use crate::error::Error;
use crate::liveness::Route;
use crate::relay::Relay;

/// The two ways to one resource.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// Down the stairs: answers that are read before they are passed on.
    pub answerer: Answerer,
    /// Beside them: what streams.
    pub relay: Relay,
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

impl Service<Call> for Fork {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Some(rooms) = self.rooms.get(call.app.upstream) else {
            return ready(Err(Error::Internal)).boxed();
        };
        match call.target.route {
            Route::Session | Route::Audit => {
                let answer = rooms.answerer.clone().oneshot(call);
                answer.map_ok(|answer| answer.map(Body::from)).boxed()
            }
            Route::Create | Route::Delete | Route::List | Route::Image => {
                rooms.relay.clone().oneshot(call).boxed()
            }
        }
    }
}
