//! The way of a request, from the app to Azure and back. This is the one file that knows the order.
//!
//! Read each list from the top: that is the way down; an answer comes back up the same stairs. Every
//! row is a file of the same name, and says at its top what it makes true. The reason for its place
//! stands above it here. Each room is boxed before the next one is built, so that no
//! type grows with the number of rows.

use std::sync::Arc;

use http::{Request, Response};
use tower::{Layer as _, ServiceBuilder, service_fn};

use crate::answer::ask::ask;
use crate::answer::enrich::enrich;
use crate::answer::investigate::Investigator;
use crate::answer::judge::judge;
use crate::answer::lasting::Lasting;
use crate::answer::read::read;
use crate::answer::recall::{Terms, recall};
use crate::answer::register::Register;
use crate::answer::synthesise::synthesise;
use crate::answer::tell::tell;
use crate::answer::wait::wait;
use crate::answer::{Audits, Known, Sessions};
use crate::azure::again::again;
use crate::azure::authorize::authorize;
use crate::azure::breaker::breaker;
use crate::azure::collect::collect;
use crate::azure::quota::quota;
use crate::azure::send::send;
use crate::azure::{Asker, Azure, Sender};
use crate::body::Body;
use crate::config::{Cache, Config, Server};
use crate::fork::{Fork, Rooms};
use crate::inbound::authenticate::{Apps, authenticate};
use crate::inbound::limit::Places;
use crate::inbound::measure::measure;
use crate::inbound::recognize::{Limits, recognize};
use crate::inbound::rescue::rescue;
use crate::inbound::span::span;
use crate::inbound::trail::trail;
use crate::metrics::Metrics;
use crate::relay::Relay;
use crate::room::Room;
use crate::share::Share;

/// What a connection hands its requests to. It always has an answer.
pub type Front = Room<Request<Body>, Response<Body>>;

/// The first room. One unit is a request of an app.
pub fn stack(
    config: &Config,
    upstreams: &[Arc<Azure>],
    places: &Arc<Places>,
    lasting: &Arc<Lasting>,
    metrics: &Arc<Metrics>,
) -> Front {
    let apps = Arc::new(Apps::new(&config.apps, places, metrics));
    let Server { max_body, max_headers, .. } = config.server;
    let limits = Limits { max_body, max_headers };
    let rows = ServiceBuilder::new()
        // First, so that all others know the route.
        .layer(recognize(limits))
        // Outside of rescue, so that every answer is counted, and only once.
        .layer(measure(Arc::clone(metrics)))
        // Outside of everything that can fail or panic.
        .layer(rescue(Arc::clone(metrics)))
        // Before anything is told or asked: strangers learn nothing and cost nothing.
        .layer(authenticate(apps, Arc::clone(metrics)))
        // Inside of authenticate, so that strangers begin no spans; outside of the trail, which tells the trace.
        .layer(span())
        // Inside of authenticate, which knows who reads; outside of whatever may refuse, so that this is told too.
        .layer(trail(Arc::clone(&lasting.pseudonyms), config.access));
    let rooms = upstreams.iter().map(|azure| {
        let cache = Cache { max_bytes: lasting.memory.max_bytes(), ..config.cache };
        let terms = Terms { share: Arc::clone(&azure.share), cache, patience: azure.timeout };
        let sender = sender(azure);
        let asker = asker(sender.clone(), azure);
        let (name, number) = (Arc::clone(&azure.name), azure.share.number);
        let investigator =
            Investigator::new(Arc::clone(lasting), Arc::clone(metrics), name, number);
        let known = known(asker.clone(), azure, lasting, terms, metrics);
        Rooms {
            sessions: sessions(known.clone(), lasting, &azure.share),
            audits: audits(asker, investigator.clone()),
            made: made(known, investigator),
            relay: relay(sender, azure, lasting, config.server, metrics),
            register: Register::new(Arc::clone(lasting), azure.share.number),
        }
    });
    Front::new(rows.service(Fork::new(rooms)))
}

/// The middle room, for sessions. One unit is a question about a session.
fn sessions(known: Known, lasting: &Arc<Lasting>, share: &Arc<Share>) -> Sessions {
    let rows = ServiceBuilder::new()
        // Outermost: what is below it has nothing to do with what the app has already.
        .layer(tell())
        // Outside of all that is shared, since a verdict is about what one request gives; inside of tell, so that what is
        // refused is not told as unchanged.
        .layer(judge(Arc::clone(lasting)))
        // Outside of the memory, so that a session that ended meanwhile is not waited for.
        .layer(wait(Arc::clone(&lasting.memory), Arc::clone(share)));
    Sessions::new(rows.service(known))
}

/// The lower half of that room, which lists are made in too. One unit is an answer about a session, the same for all.
fn known(
    asker: Asker,
    azure: &Azure,
    lasting: &Arc<Lasting>,
    terms: Terms,
    metrics: &Arc<Metrics>,
) -> Known {
    let (counting, upstream) = (Arc::clone(lasting), Arc::clone(&azure.name));
    let reader = ServiceBuilder::new()
        // Next to Azure, so that nothing above keeps a dead token or lets it out, and what is kept is counted once.
        .layer(read(counting, Arc::clone(metrics), upstream, azure.share.number))
        .layer(ask());
    // Outside of reading, so that what is kept is ready to be told.
    recall(Arc::clone(&lasting.memory), terms).layer(Room::new(reader.service(asker)))
}

/// The middle room, for Azure's audit lists. One unit is a question about a list.
fn audits(asker: Asker, investigator: Investigator) -> Audits {
    let rows = ServiceBuilder::new()
        // Outside of asking, so that each request has a list of its own.
        .layer(enrich(investigator))
        .layer(ask());
    Audits::new(rows.service(asker))
}

/// The same, for lists that Azure does not have. They are made of sessions.
fn made(known: Known, investigator: Investigator) -> Audits {
    Audits::new(synthesise(investigator).layer(known))
}

/// What streams beside the stairs.
fn relay(
    sender: Sender,
    azure: &Arc<Azure>,
    lasting: &Arc<Lasting>,
    server: Server,
    metrics: &Arc<Metrics>,
) -> Relay {
    let (azure, lasting) = (Arc::clone(azure), Arc::clone(lasting));
    Relay::new(sender, azure, lasting, server.stream_timeout, Arc::clone(metrics))
}

/// The last room, as the stairs see it. One unit is an answer that is taken to its end.
fn asker(sender: Sender, azure: &Arc<Azure>) -> Asker {
    let rows = ServiceBuilder::new()
        // Outside of the exchange, so that its time covers second tries and the body.
        .layer(collect(Arc::clone(azure)));
    Asker::new(rows.service(sender))
}

/// The last room, as all see it. One unit is an exchange with Azure up to the answer's head.
fn sender(azure: &Arc<Azure>) -> Sender {
    let rows = ServiceBuilder::new()
        // Outside of all that tries, so that what comes of them together counts, and none begins in vain.
        .layer(breaker(Arc::clone(azure)))
        // Inside of the breaker, so that nobody waits for a turn at what does not answer; outside of second tries, which are not held up.
        .layer(quota(Arc::clone(azure)))
        // Outside of authorize, so that a second try shows what is good at its own moment.
        .layer(again(Arc::clone(azure)))
        // Innermost: nothing above it ever sees a key.
        .layer(authorize(Arc::clone(azure)));
    let azure = Arc::clone(azure);
    let last = service_fn(move |ask| send(Arc::clone(&azure), ask));
    Sender::new(rows.service(last))
}
