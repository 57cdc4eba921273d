//! A memory full of sessions, with no network behind it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, Version};
use livegate::answer::memory::Memory;
use livegate::answer::prepared::Prepared;
use livegate::answer::recall::{Terms, recall};
use livegate::body::Body;
use livegate::call::{Call, Page, Target};
use livegate::config::{App, Cache};
use livegate::error::Error;
use livegate::headers::{Heard, Name};
use livegate::liveness::{ApiVersion, Resource, Route};
use livegate::room::Room;
use livegate::share::Share;
use livegate::wishes::Wishes;
use tower::{Layer as _, Service as _, service_fn};

/// The id of a session, as long as Azure's are.
pub(crate) fn id(number: usize) -> String {
    format!("c{number:07x}-bda7-4b83-a211-e721c661f30e")
}

/// The path of a session.
pub(crate) fn path(number: usize) -> String {
    format!("/face/v1.2/detectLiveness-sessions/{}", id(number))
}

/// What Azure says of a session: 1 KiB, and the fields that its answers are known to have.
fn answer(number: usize) -> Response<Bytes> {
    let digest = format!("{number:064X}");
    let mut body = format!(
        r#"{{"sessionId":"{}","authToken":"","status":"Succeeded","modelVersion":"2024-11-15","results":{{"attempts":[{{"attemptId":1,"attemptStatus":"Succeeded","result":{{"livenessDecision":"realface","digest":"{digest}"}}}}]}},"padding":""#,
        id(number)
    );
    body.push_str(&"x".repeat(1024 - 2 - body.len()));
    body.push_str("\"}");
    Response::builder()
        .header("content-type", "application/json; charset=utf-8")
        .header("apim-request-id", format!("{number:08x}-43e9-9922-a7ad-ebf13b2f0000"))
        .header("x-envoy-upstream-service-time", "23")
        .header("strict-transport-security", "max-age=31536000; includeSubDomains; preload")
        .header("x-content-type-options", "nosniff")
        .header("x-ms-region", "West Europe")
        .body(Bytes::from(body))
        .expect("an answer")
}

/// Puts so many final sessions of the first resource in, by the way that Azure's answers take.
pub(crate) async fn fill(memory: &Arc<Memory>, sessions: usize) {
    let cache = Cache {
        max_bytes: u64::MAX,
        ttl: Duration::from_secs(3600),
        failed_ttl: Duration::ZERO,
        running_ttl: Duration::ZERO,
    };
    let share = Arc::new(Share::new(0));
    let terms = Terms { share, cache, patience: Duration::from_secs(30) };
    let app = Arc::<App>::default();
    for number in 0..sessions {
        let azure = service_fn(move |_: Call| async move {
            Ok::<_, Error>(Prepared::new(ApiVersion::V1_2, answer(number)).0)
        });
        let resource = Resource::parse(&path(number)).expect("a session");
        let target = Target { route: Route::Session, resource, page: Page::default() };
        let (wishes, heard) =
            (Wishes::default(), Heard::new(HeaderMap::new(), Version::HTTP_11, Name::random()));
        let call = Call {
            app: Arc::clone(&app),
            target,
            wishes,
            heard,
            by_app: true,
            turn: None,
            body: Body::Empty,
        };
        let told =
            recall(Arc::clone(memory), terms.clone()).layer(Room::new(azure)).call(call).await;
        told.expect("an answer");
    }
}
