//! Tries a key that nobody uses, with the cheapest call that proves it: for a session that cannot exist. 404 is a good key, 401 a
//! bad one.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method};
use tokio::time::timeout;
use uuid::Uuid;

use super::credential::Credential;
use super::finding::{Finding, find};
use super::keys::SlotName;
use super::quota::heeded;
use super::send::send;
use super::{Azure, breaker};
use crate::body::Body;
use crate::call::{Ask, Head};
use crate::error::Error;
use crate::headers::{CLIENT_REQUEST_ID, SUBSCRIPTION_KEY};
use crate::metrics::label::Route;
use crate::moment::Moment;
use crate::quota::Kind;

/// Looks after what a resource is shown: keys that nobody has tried for long are, and a token is fetched before it is needed.
pub fn tend(azure: &Arc<Azure>) {
    azure.pool.sweep();
    match &azure.credential {
        Credential::Keys(keys) => {
            for due in keys.due() {
                tokio::spawn(probe(Arc::clone(azure), due));
            }
        }
        Credential::Token(tokens) => Arc::clone(tokens).tend(),
    }
}

async fn probe(azure: Arc<Azure>, (id, slot, key): (u64, SlotName, HeaderValue)) {
    // It counts against the resource's quota like any other call.
    azure.share.turn(Kind::Call, "").await;
    let mut headers = HeaderMap::new();
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        headers.insert(CLIENT_REQUEST_ID, id);
    }
    let path = format!("/face/v1.2/detectLiveness-sessions/{}", Uuid::new_v4());
    let (app, label) = (Arc::default(), Route::Probe);
    let mut ask = Ask::new(Head { app, label, method: Method::GET, path, headers }, Body::Empty);
    ask.authority = Some((SUBSCRIPTION_KEY, key));
    let sent = Moment::now();
    let exchange = async {
        let answer = send(Arc::clone(&azure), ask).await.ok()?;
        // At night nobody else may ask who would find out.
        breaker::answered(&azure);
        let (finding, answer) = find(answer, &azure.metrics).await;
        heeded(&azure, answer).await;
        Some(finding)
    };
    let finding = timeout(azure.timeout, exchange).await.unwrap_or_else(|_| {
        azure.metrics.failed(&Error::UpstreamTimeout);
        None
    });
    if let Credential::Keys(keys) = &azure.credential {
        keys.conclude((id, slot), sent, finding.unwrap_or(Finding::Unknown), false);
    }
}
