//! For tests of the room's rows: an Azure that answers what a test says, and counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Response, Version};
use tokio::sync::Semaphore;
use tower::{Layer as _, service_fn};

use super::memory::Memory;
use super::prepared::Prepared;
use super::recall::{Terms, Told, recall};
use crate::body::Body;
use crate::call::{Call, Page, Target};
use crate::config::Cache;
use crate::error::Error;
use crate::headers::{Heard, Name};
use crate::liveness::{ApiVersion, Resource, Route};
use crate::metrics::Metrics;
use crate::room::Room;
use crate::share::Share;
use crate::wishes::Wishes;

pub(super) const RUNNING: &str = r#"{"status":"Running","results":{"attempts":[]}}"#;
pub(super) const SUCCEEDED: &str =
    r#"{"authToken":"","status":"Succeeded","results":{"attempts":[{"attemptId":1,"result":{}}]}}"#;

pub(super) const CACHE: Cache = Cache {
    max_bytes: 1 << 20,
    ttl: Duration::from_secs(3600),
    failed_ttl: Duration::from_secs(30),
    running_ttl: Duration::ZERO,
};

/// What Azure answers: a status and a content, or nothing but a crash.
pub(super) type Answered = Option<(u16, &'static str)>;

/// The memory, and an Azure behind it.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) memory: Arc<Memory>,
    calls: Arc<AtomicUsize>,
    answer: Arc<Mutex<Answered>>,
    pub(super) share: Arc<Share>,
    /// Azure answers as often as there are permits.
    pub(super) gate: Arc<Semaphore>,
}

impl Scene {
    /// An Azure that answers at once.
    pub(super) fn new(answer: &'static str) -> Self {
        let scene = Self::held(answer);
        scene.gate.add_permits(Semaphore::MAX_PERMITS / 2);
        scene
    }

    /// An Azure that answers when it is let.
    pub(super) fn held(answer: &'static str) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        Self {
            memory: Arc::new(Memory::new(CACHE.max_bytes, metrics)),
            calls: Arc::default(),
            answer: Arc::new(Mutex::new(Some((200, answer)))),
            share: Arc::new(Share::new(0)),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    pub(super) fn answers(&self, answer: Answered) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn prepared(&self) -> BoxFuture<'static, Result<Prepared, Error>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        // What Azure says is settled when it hears the question.
        let (answer, gate) = (*self.answer.lock().unwrap(), Arc::clone(&self.gate));
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            let (status, body) = answer.expect("Azure's answer");
            if status == 0 {
                return Err(Error::UpstreamTimeout);
            }
            let answer =
                Response::builder().status(status).body(Bytes::from_static(body.as_bytes()));
            Ok(Prepared::new(ApiVersion::V1_2, answer.unwrap()).0)
        })
    }

    pub(super) fn recalling(&self, cache: Cache) -> Room<Call, Told, Error> {
        let (this, share) = (self.clone(), Arc::clone(&self.share));
        let terms = Terms { share, cache, patience: Duration::from_secs(30) };
        let azure = service_fn(move |_: Call| this.prepared());
        Room::new(recall(Arc::clone(&self.memory), terms).layer(Room::new(azure)))
    }
}

/// A question about this session.
pub(super) fn call(id: &str, wishes: Wishes) -> Call {
    let resource = Resource::parse(&format!("/face/v1.2/detectLiveness-sessions/{id}")).unwrap();
    let target = Target { route: Route::Session, resource, page: Page::default() };
    let heard = Heard::new(HeaderMap::new(), Version::HTTP_11, Name::random());
    Call { app: Arc::default(), target, wishes, heard, by_app: true, turn: None, body: Body::Empty }
}
