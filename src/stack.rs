//! The way of a request, from the app to Azure and back. This is the one file that knows the order.
//!
//! Read each list from the top: that is the way down; an answer comes back up the same stairs. Every
//! row is a file of the same name, and says at its top what it makes true. The reason for its place
//! stands above it here. Each room is boxed before the next one is built, so that no
//! type grows with the number of rows.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, service_fn};

use crate::answer::Answerer;
use crate::answer::ask::ask;
use crate::answer::blank::blank;
use crate::azure::again::again;
use crate::azure::collect::collect;
use crate::azure::key::key;
use crate::azure::send::send;
use crate::azure::{Asker, Azure, Sender};
use crate::body::Body;
use crate::config::{Config, Server};
use crate::fork::{Fork, Rooms};
use crate::inbound::authenticate::{Apps, authenticate};
use crate::inbound::measure::measure;
use crate::inbound::recognize::{Limits, recognize};
use crate::inbound::rescue::rescue;
use crate::metrics::Metrics;
use crate::relay::Relay;

/// What a connection hands its requests to. It always has an answer.
pub type Front = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// The first room. One unit is a request of an app.
pub fn stack(config: &Config, upstreams: &[Arc<Azure>], metrics: &Arc<Metrics>) -> Front {
    let metrics = || Arc::clone(metrics);
    let apps = Arc::new(Apps::new(&config.apps));
    let Server { max_body, max_headers, .. } = config.server;
    let limits = Limits { max_body, max_headers };
    let rows = ServiceBuilder::new()
        // First, so that all others know the route.
        .layer(recognize(limits))
        // Outside of rescue, so that every answer is counted, and only once.
        .layer(measure(metrics()))
        // Outside of everything that can fail or panic.
        .layer(rescue(metrics()))
        // Before anything is told or asked: strangers learn nothing and cost nothing.
        .layer(authenticate(apps, metrics()));
    let rooms = upstreams.iter().map(|azure| rooms(config, azure, &metrics()));
    Front::new(rows.service(Fork::new(rooms)))
}

/// Where the way parts: sessions and audit lists go down the stairs, what streams goes beside them.
fn rooms(config: &Config, azure: &Arc<Azure>, metrics: &Arc<Metrics>) -> Rooms {
    let sender = sender(azure, metrics);
    let relay = Relay::new(
        sender.clone(),
        Arc::clone(azure),
        config.server.stream_timeout,
        Arc::clone(metrics),
    );
    Rooms { answerer: answerer(asker(sender, azure, metrics)), relay }
}

/// The middle room. One unit is a question about liveness.
fn answerer(asker: Asker) -> Answerer {
    let rows = ServiceBuilder::new()
        // Next to Azure, so that nothing above keeps a dead token or lets it out.
        .layer(blank())
        .layer(ask());
    Answerer::new(rows.service(asker))
}

/// The last room, as the stairs see it. One unit is an answer that is taken to its end.
fn asker(sender: Sender, azure: &Arc<Azure>, metrics: &Arc<Metrics>) -> Asker {
    let rows = ServiceBuilder::new()
        // Outside of the exchange, so that its time covers second tries and the body.
        .layer(collect(Arc::clone(azure), Arc::clone(metrics)));
    Asker::new(rows.service(sender))
}

/// The last room, as all see it. One unit is an exchange with Azure up to the answer's head.
fn sender(azure: &Arc<Azure>, metrics: &Arc<Metrics>) -> Sender {
    let rows = ServiceBuilder::new()
        // Outside of key, so that a second try has the key of its own moment.
        .layer(again(Arc::clone(azure), Arc::clone(metrics)))
        // Innermost: nothing above it ever sees a key.
        .layer(key(Arc::clone(azure)));
    let (azure, metrics) = (Arc::clone(azure), Arc::clone(metrics));
    let last = service_fn(move |ask| send(Arc::clone(&azure), Arc::clone(&metrics), ask));
    Sender::new(rows.service(last))
}
