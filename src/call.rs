//! The language between the rooms: what an app asks, and what Azure is asked for it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method, Response};

use crate::body::Body;
use crate::config::App;
use crate::headers::Heard;
use crate::liveness::{Resource, Route, SessionId};
use crate::metrics::label::{self, Cache};
use crate::quota::Turn;
use crate::wishes::Wishes;

/// What an app asks, once it is known who asks and what it means. Only the row that authenticates makes one.
#[derive(Debug)]
pub struct Call {
    /// Who asks.
    pub app: Arc<App>,
    /// What is asked.
    pub target: Target,
    /// What it asks of the gateway itself.
    pub wishes: Wishes,
    /// What else it said.
    pub heard: Heard,
    /// Whether it is the app's own question, and not one that the gateway asks for it.
    pub by_app: bool,
    /// The right to ask, where it was waited for already.
    pub turn: Option<Turn>,
    /// The content, of a create.
    pub body: Body,
}

/// What an app may do, once it is known who asks.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are calls, and a box would cost each of them"
)]
pub enum Admitted {
    /// It asks for one of Azure's resources.
    Call(Call),
    /// It tells what its client reported.
    Registration(Registration),
}

/// Longest content of a registration, in bytes.
pub const LONGEST_REGISTRATION: u64 = 4 << 10;

/// What an app tells of a session: the digest that its client reported.
#[derive(Debug)]
pub struct Registration {
    /// Who tells it.
    pub app: Arc<App>,
    /// Of which session.
    pub session: SessionId,
    /// The content, as it comes.
    pub body: Body,
}

/// What comes back: the answer, and how the memory had part in it.
#[derive(Debug)]
pub struct Reply {
    /// The answer.
    pub answer: Response<Body>,
    /// The value of the metric label `cache`.
    pub cache: Cache,
}

/// What a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// One of Azure's resources.
    Face(Target),
    /// The gateway's own: the digest that the client of this session reported.
    ClientDigest(SessionId),
}

/// What is asked of Azure: the route, the resource, and the page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What an app must have been granted.
    pub route: Route,
    /// Which of Azure's resources.
    pub resource: Resource,
    /// Which page, for lists.
    pub page: Page,
}

/// Which page of a list is asked for. What is left out is left to Azure's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The list starts behind this id: at most 64 characters.
    pub start: Option<String>,
    /// Most entries: 1 to 1000.
    pub top: Option<u16>,
}

/// One exchange with Azure, before it has an address.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub head: Arc<Head>,
    /// What Azure is shown for authority, once it is known.
    pub authority: Option<(HeaderName, HeaderValue)>,
    /// The right to ask, where it was waited for already.
    pub turn: Option<Turn>,
    /// Whether only a new connection will do.
    pub afresh: bool,
    /// The content, of a create.
    pub body: Body,
}

/// What is asked of Azure, the same at each try.
#[derive(Debug)]
pub struct Head {
    /// For whom.
    pub app: Arc<App>,
    /// The value of the metric label `route`.
    pub label: label::Route,
    /// GET, POST or DELETE.
    pub method: Method,
    /// Path and query, built from what was recognised.
    pub path: String,
    /// The headers that may reach Azure.
    pub headers: HeaderMap,
}

impl Target {
    /// How Azure is asked for it.
    pub const fn method(&self) -> Method {
        match self.route {
            Route::Session | Route::Audit | Route::List | Route::Image => Method::GET,
            Route::Create => Method::POST,
            Route::Delete => Method::DELETE,
        }
    }

    /// The value of the metric label `route`.
    pub fn label(&self) -> label::Route {
        label::Route::new(self.route, self.resource.operation())
    }
}

impl Admitted {
    /// Who asks.
    pub const fn app(&self) -> &Arc<App> {
        match self {
            Self::Call(call) => &call.app,
            Self::Registration(registration) => &registration.app,
        }
    }
}

impl Meaning {
    /// What an app must have been granted. Who may read a session may tell what its client reported.
    pub const fn route(&self) -> Route {
        match self {
            Self::Face(target) => target.route,
            Self::ClientDigest(_) => Route::Session,
        }
    }

    /// The value of the metric label `route`.
    pub fn label(&self) -> label::Route {
        match self {
            Self::Face(target) => target.label(),
            Self::ClientDigest(_) => label::Route::ClientDigest,
        }
    }
}

impl Call {
    /// The same question once more, asked of Azure anew. It has no content: only a create has.
    pub fn anew(&self) -> Self {
        let Self { app, target, heard, wishes: _, by_app: _, turn: _, body: _ } = self;
        let (app, target, heard) = (Arc::clone(app), target.clone(), heard.renamed());
        let wishes = Wishes::for_no_cache();
        Self { app, target, wishes, heard, by_app: false, turn: None, body: Body::Empty }
    }

    /// What Azure is asked for it.
    pub fn into_ask(self) -> Ask {
        let method = self.target.method();
        let mut path = self.target.resource.to_string();
        self.target.page.write_query(&mut path);
        let headers = match self.target.route {
            Route::Session => self.heard.towards_azure_for_all(),
            _ => self.heard.towards_azure(),
        };
        let (app, label) = (self.app, self.target.label());
        let ask = Ask::new(Head { app, label, method, path, headers }, self.body);
        Ask { turn: self.turn, ..ask }
    }
}

impl Page {
    fn write_query(&self, path: &mut String) {
        let start = self.start.as_deref().map(|start| ("start", Cow::Borrowed(start)));
        let top = self.top.map(|top| ("top", Cow::Owned(top.to_string())));
        for (index, (key, value)) in start.into_iter().chain(top).enumerate() {
            path.push(if index == 0 { '?' } else { '&' });
            path.push_str(key);
            path.push('=');
            for byte in value.bytes() {
                match byte {
                    // RFC 3986 §2.3: unreserved characters stand for themselves.
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        path.push(char::from(byte))
                    }
                    _ => _ = write!(path, "%{byte:02X}"),
                }
            }
        }
    }
}

impl Ask {
    /// Asks so, with nothing to show as yet.
    pub fn new(head: Head, body: Body) -> Self {
        Self { head: Arc::new(head), authority: None, turn: None, afresh: false, body }
    }

    /// The same once more on a new connection, where it has no content that is spent by now.
    pub fn again(&self) -> Option<Self> {
        let body = matches!(self.body, Body::Empty).then_some(Body::Empty)?;
        let head = Arc::clone(&self.head);
        Some(Self { head, authority: None, turn: None, afresh: true, body })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

        /// However odd a page's start is, Azure reads what the app said.
        #[test]
        fn a_page_is_read_as_it_was_asked_for(start in proptest::option::of("\\PC{0,64}"), top in proptest::option::of(1_u16..=1000)) {
            let mut path = String::from("/x");
            Page { start: start.clone(), top }.write_query(&mut path);
            let query = path.strip_prefix("/x").unwrap().trim_start_matches('?');
            prop_assert!(query.bytes().all(|byte| byte.is_ascii_graphic()));
            let told: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let top = top.map(|top| ("top".to_owned(), top.to_string()));
            let expected: Vec<_> = start.map(|start| ("start".to_owned(), start)).into_iter().chain(top).collect();
            prop_assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_page_is_written_anew_and_encoded() {
        let written = |start: Option<&str>, top| {
            let mut path = String::from("/x");
            Page { start: start.map(str::to_owned), top }.write_query(&mut path);
            path
        };
        assert_eq!(written(None, None), "/x");
        assert_eq!(written(Some(""), Some(5)), "/x?start=&top=5");
        assert_eq!(written(Some("a&top=9 \u{e9}/"), None), "/x?start=a%26top%3D9%20%C3%A9%2F");
        assert_eq!(written(None, Some(1000)), "/x?top=1000");
    }
}
