//! A gateway with a memory, Azure behind it, and what is asked of both.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::azure::Azure;
use crate::support::frames::{END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, literal};
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{self, Answer, Headers, Request};
use crate::support::wait;

pub(crate) const MISS: &str = "livegate; fwd=miss";
pub(crate) const STORED: &str = "livegate; fwd=miss; stored";
pub(crate) const COLLAPSED: &str = "livegate; fwd=miss; collapsed";

/// Session requests that the gateway has not answered yet.
pub(crate) const ASKING: &str = "livegate_http_requests_in_flight{route=\"session\"}";

/// With one worker a request has joined whatever it joins by the time that it is counted: both happen in one go.
pub(crate) const ONE_WORKER: &str = "[server]\nworkers = 1\n";

pub(crate) struct Stage {
    pub(crate) azure: Azure,
    pub(crate) gateway: Gateway,
}

impl Stage {
    /// The memory keeps what is final, and nothing that may change is shared.
    pub(crate) fn set() -> Self {
        Self::with("running_ttl = \"0s\"\n")
    }

    /// With these lines about the memory.
    pub(crate) fn with(cache: &str) -> Self {
        Self::built(|builder| builder.cache(cache))
    }

    /// The same with one worker.
    pub(crate) fn with_one_worker(cache: &str) -> Self {
        Self::built(|builder| builder.cache(cache).more(ONE_WORKER))
    }

    /// With whatever else is built in; the app of [`TOKEN`] may do everything.
    pub(crate) fn built(more: impl FnOnce(Builder) -> Builder) -> Self {
        let azure = Azure::start();
        let builder = Builder::new(&azure.url()).cache("running_ttl = \"0s\"\n").app(
            "onboarding",
            TOKEN,
            &ALL_ROUTES,
        );
        Self { gateway: more(builder).start(), azure }
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.gateway.get(target)
    }

    /// GETs with one more field.
    pub(crate) fn get_with(&self, target: &str, name: &str, value: &str) -> Answer {
        Request::get(target).key(TOKEN).header(name, value).send(self.gateway.public)
    }

    pub(crate) fn delete(&self, target: &str) -> Answer {
        Request::new("DELETE", target).key(TOKEN).send(self.gateway.public)
    }

    /// Sends it from a thread of its own.
    pub(crate) fn sending(&self, request: Request) -> JoinHandle<Answer> {
        let public = self.gateway.public;
        thread::spawn(move || request.key(TOKEN).send(public))
    }

    /// Asks for a session and waits for it as long as may be.
    pub(crate) fn waiting(&self, target: &str) -> JoinHandle<Answer> {
        self.sending(Request::get(target).header("Prefer", "wait=60"))
    }

    /// Sends one request and reads until the connection ends: the first line, the fields, and what came behind them.
    pub(crate) fn raw(&self, method: &str, target: &str, more: &str) -> (String, Headers, Vec<u8>) {
        let mut stream = TcpStream::connect(self.gateway.public).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
             {more}Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        let (line, headers) = http::read_head(&mut rest).unwrap();
        (line, headers, rest.to_vec())
    }

    /// Asks over an HTTP/2 connection of its own, and reads nothing.
    pub(crate) fn ask_by_http2(&self, target: &str, prefer: &str) -> TcpStream {
        let fields = [
            literal(":method", "GET"),
            literal(":scheme", "http"),
            literal(":authority", "gw"),
            literal(":path", target),
            literal("ocp-apim-subscription-key", TOKEN),
            literal("prefer", prefer),
        ]
        .concat();
        let head = frame(HEADERS, END_STREAM | END_HEADERS, &fields);
        let mut stream = TcpStream::connect(self.gateway.public).unwrap();
        stream.write_all(&[PREFACE, SETTINGS, &head].concat()).unwrap();
        stream
    }

    /// The value of a metric, with its labels as they are written; one that was never counted is 0.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let metrics = Request::get("/metrics").send(self.gateway.admin).text();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn until_metric(&self, name: &str, value: u64) {
        let reached = wait::until(|| (self.metric(name) == value).then_some(()));
        assert!(reached.is_some(), "{name} is {} in place of {value}", self.metric(name));
    }

    /// Exchanges a part of the configuration for another, and loads it.
    #[track_caller]
    pub(crate) fn reload(&self, old: &str, new: &str) {
        let path = self.gateway.scratch.path("livegate.toml");
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains(old), "{old} is not in {config}");
        // In one step, so that nobody reads half of it.
        fs::write(path.with_extension("new"), config.replace(old, new)).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
        let answer = Request::new("POST", "/reload").send(self.gateway.admin);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// A session's path.
pub(crate) fn session(id: &str) -> String {
    format!("/face/v1.2/detectLiveness-sessions/{id}")
}

/// The path of a session of the previews.
pub(crate) fn preview(id: &str) -> String {
    format!("/face/v1.2-preview.1/detectLiveness/singleModal/sessions/{id}")
}

/// The one value of `Cache-Status`.
#[track_caller]
pub(crate) fn cache_status(answer: &Answer) -> &str {
    let values: Vec<_> = answer.headers.all("cache-status").collect();
    assert_eq!(values.len(), 1, "{answer:?}");
    values[0]
}

/// How many seconds a hit says that it will be kept; `None` for what is no hit.
#[track_caller]
pub(crate) fn ttl(answer: &Answer) -> Option<u64> {
    let seconds = cache_status(answer).strip_prefix("livegate; hit; ttl=")?;
    Some(seconds.parse().unwrap())
}

/// Asserts that it was kept.
#[track_caller]
pub(crate) fn hit(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(ttl(answer).is_some_and(|ttl| ttl > 0), "{answer:?}");
}

/// Asserts the status and how it was come by.
#[track_caller]
pub(crate) fn told(answer: &Answer, status: u16, how: &str) {
    assert_eq!((answer.status, cache_status(answer)), (status, how), "{answer:?}");
}
