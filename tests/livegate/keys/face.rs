//! A Face service that looks at the key or token of each request, and says of it what the test says.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};

use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::AZURE_KEY;
use crate::support::upstream::{self, Recorded, Upstream};
use crate::support::wait;

pub(super) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Runs until it is dropped. A path of which nothing was said answers as Azure would.
pub(super) struct Face {
    upstream: Upstream,
    play: Arc<Mutex<Play>>,
    taken: Mutex<usize>,
}

struct Play {
    /// `None`: all are.
    accepted: Option<Vec<String>>,
    refusal: Vec<u8>,
    /// What is answered to whatever is accepted, in place of all below.
    always: Option<Vec<u8>>,
    answers: HashMap<String, Vec<u8>>,
    /// The target whose requests wait, and the gate at which they do.
    held: Option<(String, Arc<Gate>)>,
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

/// Requests that are held. They go when this is dropped, so that a test that fails does not hang.
pub(super) struct Held {
    gate: Arc<Gate>,
    play: Arc<Mutex<Play>>,
}

impl Face {
    /// Which takes both keys.
    pub(super) fn start() -> Self {
        let play = Arc::new(Mutex::new(Play {
            accepted: Some(vec![AZURE_KEY.to_owned(), SECOND_KEY.to_owned()]),
            refusal: unauthorized(),
            always: None,
            answers: HashMap::new(),
            held: None,
        }));
        let script = Arc::clone(&play);
        let upstream = Upstream::plain(move |request| {
            let gate = {
                let play = script.lock().unwrap();
                let held = play.held.as_ref().filter(|(target, _)| *target == request.target);
                held.map(|(_, gate)| Arc::clone(gate))
            };
            if let Some(gate) = gate {
                let open = gate.open.lock().unwrap();
                drop(gate.opened.wait_while(open, |open| !*open).unwrap());
            }
            script.lock().unwrap().answer(request)
        });
        Self { upstream, play, taken: Mutex::default() }
    }

    pub(super) fn url(&self) -> String {
        self.upstream.url()
    }

    /// Takes these keys or tokens from now on, and no others.
    pub(super) fn accepts(&self, credentials: &[&str]) {
        let accepted = credentials.iter().map(|&credential| credential.to_owned()).collect();
        self.play.lock().unwrap().accepted = Some(accepted);
    }

    /// Takes one more.
    pub(super) fn accepts_too(&self, credential: &str) {
        if let Some(accepted) = &mut self.play.lock().unwrap().accepted {
            accepted.push(credential.to_owned());
        }
    }

    pub(super) fn accepts_all(&self) {
        self.play.lock().unwrap().accepted = None;
    }

    /// How others are refused from now on.
    pub(super) fn refuses_with(&self, answer: Vec<u8>) {
        self.play.lock().unwrap().refusal = answer;
    }

    /// What a path is answered to those that are accepted.
    pub(super) fn says(&self, target: &str, answer: Vec<u8>) {
        self.play.lock().unwrap().answers.insert(target.to_owned(), answer);
    }

    /// What every path is answered to those that are accepted; `None` is as before.
    pub(super) fn always_says(&self, answer: Option<Vec<u8>>) {
        self.play.lock().unwrap().always = answer;
    }

    /// Holds all requests for this path that arrive from now on. What is answered is settled when they are let go.
    pub(super) fn hold(&self, target: &str) -> Held {
        let gate = Arc::new(Gate::default());
        self.play.lock().unwrap().held = Some((target.to_owned(), Arc::clone(&gate)));
        Held { gate, play: Arc::clone(&self.play) }
    }

    /// Every request so far.
    pub(super) fn recorded(&self) -> Vec<Recorded> {
        self.upstream.recorded()
    }

    /// The requests since this was asked last.
    pub(super) fn arrived(&self) -> Vec<Recorded> {
        let mut taken = self.taken.lock().unwrap();
        let arrived = self.recorded().split_off(*taken);
        *taken += arrived.len();
        arrived
    }

    /// The keys or tokens of the requests since this was asked last.
    pub(super) fn shown(&self) -> Vec<String> {
        self.arrived().iter().map(credential).collect()
    }

    /// Waits until so many requests have arrived in all.
    #[track_caller]
    pub(super) fn until_asked(&self, times: usize) {
        let asked = wait::until(|| (self.recorded().len() >= times).then_some(()));
        assert!(asked.is_some(), "{} requests in place of {times}", self.recorded().len());
    }
}

impl Play {
    fn answer(&self, request: &Recorded) -> Vec<u8> {
        let shown = credential(request);
        if self.accepted.as_ref().is_some_and(|accepted| !accepted.contains(&shown)) {
            return self.refusal.clone();
        }
        let said = self.always.as_ref().or_else(|| self.answers.get(&request.target));
        said.cloned().unwrap_or_else(|| usual(request))
    }
}

impl Held {
    /// Lets them go.
    pub(super) fn release(self) {
        drop(self);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.play.lock().unwrap().held = None;
        *self.gate.open.lock().unwrap() = true;
        self.gate.opened.notify_all();
    }
}

/// The key of a request, or its token; there must be exactly one of them.
#[track_caller]
pub(super) fn credential(request: &Recorded) -> String {
    let keys: Vec<_> = request.headers.all("ocp-apim-subscription-key").collect();
    let tokens: Vec<_> = request.headers.all("authorization").collect();
    assert_eq!(keys.len() + tokens.len(), 1, "{:?}", request.headers);
    match tokens.first() {
        None => keys[0].to_owned(),
        Some(token) => token.strip_prefix("Bearer ").unwrap().to_owned(),
    }
}

/// What Azure says to this kind of request where there is nothing special about it.
fn usual(request: &Recorded) -> Vec<u8> {
    let path = request.target.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    match (request.method.as_str(), last) {
        ("DELETE", _) => upstream::answer(204, &[], b""),
        ("POST", _) => ok(r#"{"sessionId":"abc","authToken":"an-auth-token"}"#),
        (_, "sessions" | "audit") => ok("[]"),
        (_, "picture") => upstream::answer(200, &[("Content-Type", "image/jpeg")], b"\xFF\xD8\0"),
        (_, "abc") => ok(
            r#"{"sessionId":"abc","authToken":"t","status":"Running","results":{"attempts":[]}}"#,
        ),
        _ => error(404, "SessionNotFound"),
    }
}

pub(super) fn ok(body: &str) -> Vec<u8> {
    upstream::answer(200, &[JSON], body.as_bytes())
}

/// An error of the Face service itself.
pub(super) fn error(status: u16, code: &str) -> Vec<u8> {
    let body = format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"No.\"}}}}");
    upstream::answer(status, &[JSON, ("x-ms-error-code", code)], body.as_bytes())
}

/// The usual refusal of a key.
pub(super) fn unauthorized() -> Vec<u8> {
    upstream::answer(401, &[JSON], include_bytes!("../../data/errors/401-apim.json"))
}

/// Every way in which Azure says that it does not take a key, with a name.
pub(super) fn refusals() -> Vec<(&'static str, Vec<u8>)> {
    let unspecified = include_bytes!("../../data/errors/401-unspecified.json");
    let disabled = include_bytes!("../../data/errors/403-local-auth-disabled.json");
    let code = ("x-ms-error-code", "AuthenticationTypeDisabled");
    let word = ("x-ms-error-code", "Unspecified");
    let html = ("Content-Type", "text/html");
    vec![
        ("401 of the front door", unauthorized()),
        ("401 of the service", upstream::answer(401, &[JSON, word], unspecified)),
        ("401 without content", upstream::answer(401, &[], b"")),
        ("401 with a page", upstream::answer(401, &[html], b"<p>Unauthorized</p>")),
        ("403 with the code in both", upstream::answer(403, &[JSON, code], disabled)),
        ("403 with the code in the content only", upstream::answer(403, &[JSON], disabled)),
        ("403 with the code in the header only", upstream::answer(403, &[code], b"")),
        ("403 with a page and the code", upstream::answer(403, &[html, code], b"<p>No</p>")),
    ]
}
