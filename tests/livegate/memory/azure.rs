//! Azure as these tests need it: it says of each path what the test says, counts, and can be made to hold its answers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};

use crate::support::upstream::{self, Upstream};
use crate::support::wait;

/// A token that must not outlive its session.
pub(crate) const DEAD_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.planted.token";

/// The upstream. A path of which nothing was said has no session, and every deletion succeeds.
pub(crate) struct Azure {
    pub(crate) upstream: Upstream,
    play: Arc<Mutex<Play>>,
}

#[derive(Default)]
struct Play {
    /// What is answered to a method and a path, in turn; the last of them again and again.
    answers: HashMap<(String, String), VecDeque<Vec<u8>>>,
    /// What requests of a method stop at.
    gates: HashMap<String, Arc<Gate>>,
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

/// Answers that are held. They go when this is dropped, so that a test that fails does not hang.
pub(crate) struct Held {
    method: &'static str,
    gate: Arc<Gate>,
    play: Arc<Mutex<Play>>,
}

impl Azure {
    pub(crate) fn start() -> Self {
        let play = Arc::new(Mutex::new(Play::default()));
        let script = Arc::clone(&play);
        let upstream = Upstream::plain(move |request| {
            // What is said is settled when a request arrives, however long it is held then.
            let (said, gate) = {
                let mut play = script.lock().unwrap();
                let gate = play.gates.get(&request.method).cloned();
                (play.answer(&request.method, &request.target), gate)
            };
            if let Some(gate) = gate {
                gate.wait();
            }
            said
        });
        Self { upstream, play }
    }

    pub(crate) fn url(&self) -> String {
        self.upstream.url()
    }

    /// From now on a GET of this path is answered so.
    pub(crate) fn says(&self, target: &str, answer: Vec<u8>) {
        self.says_in_turn("GET", target, [answer]);
    }

    /// From now on requests are answered so one after the other, and then always as the last one.
    pub(crate) fn says_in_turn(
        &self,
        method: &str,
        target: &str,
        answers: impl IntoIterator<Item = Vec<u8>>,
    ) {
        let what = (method.to_owned(), target.to_owned());
        self.play.lock().unwrap().answers.insert(what, answers.into_iter().collect());
    }

    /// Holds the answers to all requests of this method that arrive from now on.
    pub(crate) fn hold(&self, method: &'static str) -> Held {
        let gate = Arc::new(Gate::default());
        self.play.lock().unwrap().gates.insert(method.to_owned(), Arc::clone(&gate));
        Held { method, gate, play: Arc::clone(&self.play) }
    }

    /// How often this has arrived so far.
    pub(crate) fn asked(&self, method: &str, target: &str) -> usize {
        let recorded = self.upstream.recorded();
        let same =
            |request: &&upstream::Recorded| request.method == method && request.target == target;
        recorded.iter().filter(same).count()
    }

    /// How often this session has been asked for so far.
    pub(crate) fn calls(&self, target: &str) -> usize {
        self.asked("GET", target)
    }

    /// Waits until this has arrived so many times.
    #[track_caller]
    pub(crate) fn until_asked(&self, method: &str, target: &str, times: usize) {
        let arrived = wait::until(|| (self.asked(method, target) >= times).then_some(()));
        assert!(arrived.is_some(), "{times} times {method} {target}");
    }
}

impl Play {
    fn answer(&mut self, method: &str, target: &str) -> Vec<u8> {
        let Some(turns) = self.answers.get_mut(&(method.to_owned(), target.to_owned())) else {
            return if method == "DELETE" { upstream::answer(204, &[], b"") } else { absent() };
        };
        if turns.len() > 1 { turns.pop_front() } else { turns.front().cloned() }.unwrap()
    }
}

impl Gate {
    fn wait(&self) {
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
    }
}

impl Held {
    /// Lets all pass that arrive from now on; what is held already stays.
    pub(crate) fn let_others_pass(&self) {
        let mut play = self.play.lock().unwrap();
        if play.gates.get(self.method).is_some_and(|gate| Arc::ptr_eq(gate, &self.gate)) {
            play.gates.remove(self.method);
        }
    }

    /// Lets them go.
    pub(crate) fn release(self) {
        drop(self);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_others_pass();
        *self.gate.open.lock().unwrap() = true;
        self.gate.opened.notify_all();
    }
}

/// There is no such session.
pub(crate) fn absent() -> Vec<u8> {
    error(404, "SessionNotFound", &[])
}

/// An error in Azure's shape.
pub(crate) fn error(status: u16, code: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let body = format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"No.\"}}}}");
    let fields = [&[("Content-Type", "application/json"), ("x-ms-error-code", code)], more];
    upstream::answer(status, &fields.concat(), body.as_bytes())
}

/// A session's content, as an answer.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    let fields =
        [("Content-Type", "application/json; charset=utf-8"), ("apim-request-id", "apim-1")];
    upstream::answer(200, &fields, body.as_bytes())
}

/// An answer that begins well and breaks off.
pub(crate) fn cut_off() -> Vec<u8> {
    let mut answer = ok(&succeeded("cut"));
    answer.truncate(answer.len() - 20);
    answer
}

/// A session with a decision, in an order and with spaces that only copying keeps.
pub(crate) fn succeeded(id: &str) -> String {
    ended(id, "Succeeded", &result("AB12"))
}

/// The attempts' member of a session whose client showed this digest.
pub(crate) fn result(digest: &str) -> String {
    format!(
        "{{ \"attemptId\":1, \"attemptStatus\":\"Succeeded\", \
         \"result\":{{\"livenessDecision\":\"realface\",\"digest\":\"{digest}\"}} }}"
    )
}

/// A session with this status and these attempts.
pub(crate) fn ended(id: &str, status: &str, attempts: &str) -> String {
    format!(
        "{{\"sessionId\":\"{id}\", \"authToken\" : \"{DEAD_TOKEN}\",\"status\":\"{status}\", \
         \"results\":{{\"attempts\":[{attempts}]}},\"unknown\":1.50}}"
    )
}

/// A session of the previews that nothing can follow any more.
pub(crate) fn expired(id: &str) -> String {
    format!("{{\"id\":\"{id}\",\"status\":\"ResultAvailable\",\"sessionExpired\":true}}")
}

/// A session that has not ended.
pub(crate) fn running(id: &str) -> String {
    ended(id, "Running", "")
}

#[test]
fn what_is_held_was_settled_when_it_arrived() {
    use crate::support::http::Request;

    let azure = Azure::start();
    let address = azure.url().trim_start_matches("http://").parse().unwrap();
    azure.says_in_turn("GET", "/a", [ok("1"), ok("2")]);
    let held = azure.hold("GET");
    let first = std::thread::spawn(move || Request::get("/a").send(address).text());
    azure.until_asked("GET", "/a", 1);
    held.let_others_pass();
    assert_eq!(Request::get("/a").send(address).text(), "2");
    assert_eq!(Request::get("/a").send(address).text(), "2");
    assert!(!first.is_finished());
    held.release();
    assert_eq!((first.join().unwrap().as_str(), azure.calls("/a")), ("1", 3));
}
