//! Puts the resource's key on the request.
//!
//! Below it a request carries authority. Above it nobody has seen a key, and Azure's refusal of one is an error
//! of the gateway and not an answer to the app.

use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use http::header::HeaderName;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Azure;
use crate::body::Source;
use crate::call::Ask;
use crate::config::Slot;
use crate::error::Error;
use crate::headers::SUBSCRIPTION_KEY;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// The keys of a resource, first the primary one.
#[derive(Debug, Default)]
pub struct Keys(ArcSwap<[Option<Key>; 2]>);

/// A key ready for use, and what may be shown of it.
#[derive(Debug, Clone)]
struct Key {
    value: HeaderValue,
    fingerprint: String,
}

/// What may be told of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotStatus {
    /// `primary` or `secondary`.
    pub slot: &'static str,
    /// First 8 hex digits of the key's SHA-256; absent where there is no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Keys {
    /// Takes the keys that could be read.
    pub fn new(slots: &[Option<Slot>; 2]) -> Self {
        let keys = Self::default();
        keys.replace(slots);
        keys
    }

    /// Takes new keys. One that cannot be read leaves the last good one in its slot.
    pub fn replace(&self, slots: &[Option<Slot>; 2]) {
        let held = self.0.load_full();
        let mut keys = [None, None];
        for ((key, slot), held) in keys.iter_mut().zip(slots).zip(held.iter()) {
            *key = slot.as_ref().and_then(|slot| match &slot.key {
                Ok(secret) => secret
                    .header_value()
                    .map(|value| Key { value, fingerprint: secret.fingerprint() }),
                Err(_) => held.clone(),
            });
        }
        self.0.store(Arc::new(keys));
    }

    /// Whether there is any key at all.
    pub fn any(&self) -> bool {
        self.0.load().iter().any(Option::is_some)
    }

    /// What may be told of each slot.
    pub fn status(&self) -> Vec<SlotStatus> {
        let keys = self.0.load();
        let slots = ["primary", "secondary"].into_iter().zip(keys.iter());
        slots
            .map(|(slot, key)| SlotStatus {
                slot,
                fingerprint: key.as_ref().map(|key| key.fingerprint.clone()),
            })
            .collect()
    }

    fn current(&self) -> Option<HeaderValue> {
        self.0.load().iter().flatten().next().map(|key| key.value.clone())
    }
}

/// The row.
#[derive(Debug, Clone)]
pub struct WithKey<S> {
    inner: S,
    azure: Arc<Azure>,
}

/// Puts the resource's key on requests.
pub fn key<S>(azure: Arc<Azure>) -> impl Layer<S, Service = WithKey<S>> + Clone {
    layer_fn(move |inner| WithKey { inner, azure: Arc::clone(&azure) })
}

impl<S> Service<Ask> for WithKey<S>
where
    S: Service<Ask, Response = Response<Source>, Error = Error>,
    S::Future: Send + 'static,
{
    type Response = Response<Source>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Source>, Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut ask: Ask) -> Self::Future {
        // An empty key is never sent: Azure would count the call all the same.
        let Some(key) = self.azure.keys.current() else {
            return ready(Err(Error::NoKey)).boxed();
        };
        ask.headers.insert(SUBSCRIPTION_KEY, key);
        let answer = self.inner.call(ask);
        async move {
            let answer = answer.await?;
            if refuses_key(&answer) { Err(Error::UpstreamUnauthorized) } else { Ok(answer) }
        }
        .boxed()
    }
}

/// A wrong key is a 401 in all published samples; a resource whose local authentication is switched off answers 403
/// with its own code. Any other 403 (network rules, volume quota, approval) has nothing to do with the key.
fn refuses_key<B>(answer: &Response<B>) -> bool {
    let disabled = || {
        answer.headers().get(ERROR_CODE).is_some_and(|code| code == "AuthenticationTypeDisabled")
    };
    match answer.status() {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN => disabled(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Mistake;
    use crate::secret::Secret;

    fn slot(key: &str) -> Option<Slot> {
        Some(Slot {
            key: Secret::parse(key).map_err(|told| Mistake::at(Path::new("f"), "", 0..0, told)),
        })
    }

    #[test]
    fn the_primary_key_serves_and_the_secondary_where_there_is_no_other() {
        assert_eq!(Keys::new(&[slot("one"), slot("two")]).current().unwrap(), "one");
        assert_eq!(Keys::new(&[slot(""), slot("two")]).current().unwrap(), "two");
        let none = Keys::new(&[slot(""), None]);
        assert!(none.current().is_none() && !none.any());
    }

    #[test]
    fn a_bad_new_key_leaves_the_last_good_one() {
        let keys = Keys::new(&[slot("one"), None]);
        keys.replace(&[slot(" "), slot("two")]);
        assert_eq!(keys.current().unwrap(), "one");
        keys.replace(&[slot("new"), None]);
        assert_eq!(keys.current().unwrap(), "new");
        let shown = format!("{keys:?}{:?}", keys.status());
        assert!(!shown.contains("new"), "{shown}");
        assert_eq!(keys.status()[0].fingerprint.as_deref(), Some("11507a0e"));
    }

    #[test]
    fn a_403_is_the_keys_fault_only_where_it_says_so() {
        let answer = |status: u16, code: &str| {
            Response::builder().status(status).header("x-ms-error-code", code).body(()).unwrap()
        };
        assert!(refuses_key(&answer(401, "401")));
        assert!(refuses_key(&answer(403, "AuthenticationTypeDisabled")));
        assert!(!refuses_key(&answer(403, "403")));
        assert!(!refuses_key(&answer(429, "429")));
    }
}
