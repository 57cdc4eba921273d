//! Knows the app by its token, and lets it do what it was granted, as much as it was granted.
//!
//! Below it there is what was [`Admitted`]: an app that may ask, a target that can be asked, and only such headers as may
//! reach Azure. The token ends here.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready};
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::Exchange;
use super::limit::{Allowance, Places, UnderWay};
use crate::after::{After, Finish};
use crate::call::{Admitted, Call, Meaning, Registration, Reply};
use crate::config::App;
use crate::error::Error;
use crate::headers::{Heard, SUBSCRIPTION_KEY};
use crate::metrics::label::{Class, Known, Showing};
use crate::metrics::{Counters, Metrics};
use crate::wishes::Wishes;

/// All apps by the hashes of their tokens.
///
/// Apps are found by the first eight bytes of the hash and then compared whole in constant time. What the look-up's
/// time could tell is about a SHA-256, for which nobody can choose the bytes.
#[derive(Debug, Default)]
pub struct Apps(HashMap<[u8; 8], Vec<Holder>>);

/// The hash of a token, and the app that holds it.
#[derive(Debug)]
struct Holder {
    hash: [u8; 32],
    caller: Caller,
}

/// An app, what it may use, and the answers to it.
#[derive(Debug, Clone)]
struct Caller {
    app: Arc<App>,
    allowance: Arc<Allowance>,
    answers: Arc<Counters<Class>>,
}

impl Apps {
    /// Sorts apps by their tokens. Together they have these places.
    pub fn new(apps: &[App], places: &Arc<Places>, metrics: &Metrics) -> Self {
        let mut by_hash = Self::default();
        for app in apps.iter().cloned().map(Arc::new) {
            let answers = Counters::of(&metrics.app_requests_total, &[app.name.as_str()]);
            let allowance = Arc::new(Allowance::new(&app, places));
            let caller = Caller { app, allowance, answers: Arc::new(answers) };
            for hash in &caller.app.tokens {
                let holder = Holder { hash: *hash, caller: caller.clone() };
                by_hash.0.entry(start_of(hash)).or_default().push(holder);
            }
        }
        by_hash
    }

    fn find(&self, token: &[u8]) -> Option<&Caller> {
        // Nothing is nobody's token, whatever hash the configuration holds.
        if token.is_empty() {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let candidates = self.0.get(&start_of(&hash))?;
        candidates
            .iter()
            .find(|holder| bool::from(holder.hash.ct_eq(&hash)))
            .map(|holder| &holder.caller)
    }
}

fn start_of(hash: &[u8; 32]) -> [u8; 8] {
    *hash.first_chunk().unwrap_or(&[0; 8])
}

/// The row.
#[derive(Debug, Clone)]
pub struct Authenticate<S> {
    inner: S,
    apps: Arc<Apps>,
    metrics: Arc<Metrics>,
}

/// Knows apps by their tokens.
pub fn authenticate<S>(
    apps: Arc<Apps>,
    metrics: Arc<Metrics>,
) -> impl Layer<S, Service = Authenticate<S>> + Clone {
    layer_fn(move |inner| Authenticate {
        inner,
        apps: Arc::clone(&apps),
        metrics: Arc::clone(&metrics),
    })
}

impl<S> Service<Exchange> for Authenticate<S>
where
    S: Service<Admitted, Response = Reply, Error = Error>,
{
    type Response = Reply;
    type Error = Error;
    type Future = Either<After<S::Future, Served>, Ready<Result<Reply, Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, exchange: Exchange) -> Self::Future {
        let refused = |error| Either::Right(ready(Err(error)));
        let Caller { app, allowance, answers } = match self.known(exchange.request.headers()) {
            Ok(caller) => caller,
            Err((showing, result, error)) => {
                self.metrics.app_auth_total.at((showing, result)).inc();
                return refused(error);
            }
        };
        let (entered, call) = (allowance.enter(), open(app, exchange));
        let forbidden = matches!(call, Err(Error::Forbidden(_)));
        let result = if forbidden { Known::Route } else { Known::Ok };
        self.metrics.app_auth_total.at((Showing::Token, result)).inc();
        match entered.and_then(|entered| Ok((entered, call?))) {
            Ok((under_way, call)) => {
                Either::Left(After::new(self.inner.call(call), Served { answers, under_way }))
            }
            Err(error) => {
                answers.at(Class::new(error.status())).inc();
                refused(error)
            }
        }
    }
}

/// A request of an app that is being served.
#[derive(Debug)]
pub struct Served {
    answers: Arc<Counters<Class>>,
    #[expect(dead_code, reason = "its place is given back when it is dropped")]
    under_way: UnderWay,
}

impl Finish<Result<Reply, Error>> for Served {
    type Output = Result<Reply, Error>;

    fn finish(self, answer: Result<Reply, Error>) -> Result<Reply, Error> {
        let status = answer.as_ref().map_or_else(Error::status, |reply| reply.answer.status());
        self.answers.at(Class::new(status)).inc();
        answer
    }
}

/// Why a caller is not known: how it showed who it is, what came of it, and what it is told.
type Unknown = (Showing, Known, Error);

impl<S> Authenticate<S> {
    fn known(&self, headers: &HeaderMap) -> Result<Caller, Unknown> {
        let token = token(headers).map_err(|error| (Showing::Token, Known::Unknown, error))?;
        let token = token.ok_or((Showing::None, Known::Missing, Error::Unauthorized))?;
        let unknown = (Showing::Token, Known::Unknown, Error::Unauthorized);
        self.apps.find(token).cloned().ok_or(unknown)
    }
}

fn open(app: Arc<App>, exchange: Exchange) -> Result<Admitted, Error> {
    let meaning = exchange.meaning?;
    if !app.routes.contains(&meaning.route()) {
        return Err(Error::Forbidden(meaning.route()));
    }
    let (parts, body) = exchange.request.into_parts();
    Ok(match meaning {
        Meaning::ClientDigest(session) => {
            Admitted::Registration(Registration { app, session, body })
        }
        Meaning::Face(target) => {
            let wishes = Wishes::read(&parts.headers, &app);
            let heard = Heard::new(parts.headers, parts.version, exchange.name);
            Admitted::Call(Call { app, target, wishes, heard, by_app: true, turn: None, body })
        }
    })
}

/// The token of a request: from the SDKs' header, else from a bearer token.
fn token(headers: &HeaderMap) -> Result<Option<&[u8]>, Error> {
    if let Some(key) = single(headers, SUBSCRIPTION_KEY)? {
        return Ok(Some(key.as_bytes()));
    }
    let Some(authorization) = single(headers, AUTHORIZATION)? else {
        return Ok(None);
    };
    // RFC 9110 §11.1: the scheme's name is compared without regard to case.
    let (scheme, token) = authorization.as_bytes().split_at_checked(7).unwrap_or_default();
    Ok(scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii_start()))
}

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, Error> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Error::BadArgument("The token is given twice.")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::{Request, Response};
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::body::Body;
    use crate::call::{Page, Target};
    use crate::headers::Name;
    use crate::liveness::{Resource, Route};
    use crate::metrics::label::Cache;

    async fn ask(headers: &[(&str, &str)], target: Result<Target, Error>) -> Result<String, Error> {
        let tokens = ["token-1", "token-2"].map(|token| Sha256::digest(token).into()).to_vec();
        let routes = HashSet::from([Route::Session]);
        let app = App { name: "a".into(), tokens, routes, ..App::default() };
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let inner = service_fn(|admitted: Admitted| async move {
            assert!(!format!("{admitted:?}").contains("token-1"));
            let Admitted::Call(call) = admitted else { panic!("a registration") };
            let answer =
                Response::builder().header("app", call.app.name.as_str()).body(Body::Empty);
            Ok(Reply { answer: answer.unwrap(), cache: Cache::None })
        });
        let metrics = Arc::new(Metrics::new().unwrap());
        let places = Arc::new(Places::new(1));
        let row = authenticate(Arc::new(Apps::new(&[app], &places, &metrics)), metrics);
        let meaning = target.map(Meaning::Face);
        let (request, name) = (request.body(Body::Empty).unwrap(), Name::random());
        let exchange = Exchange { request, name, meaning };
        let answer = row.layer(inner).oneshot(exchange).await?.answer;
        Ok(answer.headers()["app"].to_str().unwrap().to_owned())
    }

    fn target(path: &str, route: Route) -> Result<Target, Error> {
        Ok(Target { route, resource: Resource::parse(path).unwrap(), page: Page::default() })
    }

    fn session() -> Result<Target, Error> {
        target("/face/v1.2/detectLiveness-sessions/abc", Route::Session)
    }

    #[tokio::test]
    async fn a_token_is_taken_from_either_header() {
        for header in [
            ("ocp-apim-subscription-key", "token-1"),
            ("ocp-apim-subscription-key", "token-2"),
            ("authorization", "Bearer token-2"),
            ("authorization", "bearer  token-1"),
        ] {
            assert_eq!(ask(&[header], session()).await, Ok("a".to_owned()), "{header:?}");
        }
        // The SDKs' header is the one that counts.
        assert_eq!(
            ask(
                &[("ocp-apim-subscription-key", "bad"), ("authorization", "Bearer token-1")],
                session()
            )
            .await,
            Err(Error::Unauthorized)
        );
    }

    #[tokio::test]
    async fn strangers_learn_nothing() {
        for headers in [
            &[][..],
            &[("ocp-apim-subscription-key", "")],
            &[("ocp-apim-subscription-key", "three")],
            &[("authorization", "Basic token-1")],
            &[("authorization", "Bearer")],
        ] {
            assert_eq!(ask(headers, session()).await, Err(Error::Unauthorized), "{headers:?}");
            assert_eq!(ask(headers, Err(Error::NoSuchPath(None))).await, Err(Error::Unauthorized));
        }
    }

    #[tokio::test]
    async fn an_app_may_do_only_what_it_was_granted() {
        let key = [("ocp-apim-subscription-key", "token-1")];
        let create = target("/face/v1.2/detectLiveness-sessions", Route::Create);
        assert_eq!(ask(&key, create).await, Err(Error::Forbidden(Route::Create)));
        assert_eq!(ask(&key, Err(Error::NoSuchPath(None))).await, Err(Error::NoSuchPath(None)));
        let twice =
            [("ocp-apim-subscription-key", "token-1"), ("ocp-apim-subscription-key", "token-1")];
        assert!(matches!(ask(&twice, session()).await, Err(Error::BadArgument(_))));
    }
}
