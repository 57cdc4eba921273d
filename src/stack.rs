//! The way of a request, from the app to Azure and back. This is the one file that knows the order.
//!
//! Read each list from the top: that is the way down; an answer comes back up the same stairs. Every row is a
//! file of the same name, and says in its second sentence what is true below it. Each room is boxed before the
//! next is built, so that no type grows with the number of rows.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryFutureExt as _};
use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::answer::Answerer;
use crate::answer::ask::ask;
use crate::answer::blank::blank;
use crate::azure::again::again;
use crate::azure::collect::collect;
use crate::azure::key::key;
use crate::azure::send::send;
use crate::azure::{Asker, Azure, Sender};
use crate::body::Body;
use crate::call::Call;
use crate::config::Config;
use crate::error::Error;
use crate::inbound::authenticate::{Apps, authenticate};
use crate::inbound::measure::measure;
use crate::inbound::recognize::recognize;
use crate::inbound::rescue::rescue;
use crate::liveness::Route;
use crate::metrics::Metrics;
use crate::relay::Relay;

/// What a connection hands its requests to. It always has an answer.
pub type Front = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Builds the whole way for one configuration. `upstreams` stand in the order of the configuration's.
pub fn stack(config: &Config, upstreams: &[Arc<Azure>], metrics: &Arc<Metrics>) -> Front {
    let rooms = upstreams.iter().map(|azure| {
        let sender = sender(azure, metrics);
        let answerer = answerer(asker(sender.clone(), azure, metrics));
        let stream_timeout = config.server.stream_timeout;
        (
            answerer,
            Relay {
                sender,
                azure: Arc::clone(azure),
                stream_timeout,
                metrics: Arc::clone(metrics),
            },
        )
    });
    let fork = Fork {
        rooms: rooms.collect(),
    };
    let apps = Arc::new(Apps::new(&config.apps));
    // inbound: one unit is a request of an app.
    BoxCloneSyncService::new(
        ServiceBuilder::new()
            .layer(recognize(config.server.max_body)) // first, so that all others know the route
            .layer(measure(Arc::clone(metrics))) // outside of rescue, so that every answer is counted
            .layer(rescue(Arc::clone(metrics))) // outside of all that can fail
            .layer(authenticate(apps, Arc::clone(metrics))) // before anything is told or asked
            .service(fork),
    )
}

/// answer: one unit is a question about liveness.
fn answerer(asker: Asker) -> Answerer {
    let rows = ServiceBuilder::new()
        .layer(blank()) // outermost, so that no token leaves whoever answered
        .layer(ask());
    Answerer::new(rows.service(asker))
}

/// azure, whole: one unit is an answer that is taken to its end.
fn asker(sender: Sender, azure: &Arc<Azure>, metrics: &Arc<Metrics>) -> Asker {
    let rows = ServiceBuilder::new().layer(collect(Arc::clone(azure), Arc::clone(metrics)));
    Asker::new(rows.service(sender))
}

/// azure: one unit is an exchange up to the answer's head.
fn sender(azure: &Arc<Azure>, metrics: &Arc<Metrics>) -> Sender {
    let (to, counted) = (Arc::clone(azure), Arc::clone(metrics));
    let rows = ServiceBuilder::new()
        .layer(again(Arc::clone(azure), Arc::clone(metrics))) // outside of key, so that a second try has today's key
        .layer(key(Arc::clone(azure)));
    Sender::new(rows.service(service_fn(move |ask| {
        send(Arc::clone(&to), Arc::clone(&counted), ask)
    })))
}

/// Where the way parts: by the app's upstream, and by whether the answer is taken whole or streams.
#[derive(Debug, Clone)]
struct Fork {
    rooms: Arc<[(Answerer, Relay)]>,
}

impl Service<Call> for Fork {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Some((answerer, relay)) = self.rooms.get(call.app.upstream).cloned() else {
            return std::future::ready(Err(Error::Internal)).boxed();
        };
        match call.target.route {
            Route::Session | Route::Audit => answerer
                .oneshot(call)
                .map_ok(|answer| answer.map(Body::from))
                .boxed(),
            Route::Create | Route::Delete | Route::List | Route::Image => {
                relay.oneshot(call).boxed()
            }
        }
    }
}
