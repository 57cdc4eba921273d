//! The emulator: `livegate emulate` as a process, and its control interface.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::gateway::AZURE_KEY;
use super::http::{Answer, Request};
use super::process::Process;
use super::scratch::Scratch;

/// The second of the two keys that the emulator takes; the first is [`AZURE_KEY`].
pub(crate) const SECOND_KEY: &str = "azure-key-two-99887766554433221100";

/// A running emulator; killed when dropped.
pub(crate) struct Emulator {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    _scratch: Scratch,
}

impl Emulator {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    /// At this address.
    pub(crate) fn start_at(address: &str) -> Self {
        let scratch = Scratch::new();
        let args = ["emulate", "--listen", address, "--key", AZURE_KEY, "--key", SECOND_KEY];
        let mut process = Process::livegate(&scratch, "emulator", args);
        let address = process.until("line with a URL", |process| {
            let printed = process.stdout();
            let line = printed.lines().find(|line| line.contains("http://127.0.0.1:"))?;
            let (_, rest) = line.split_once("http://")?;
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'));
            rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
        });
        Self { address, process, _scratch: scratch }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks the emulated API itself, past any gateway, with the first key.
    pub(crate) fn send(&self, request: Request) -> Answer {
        request.key(AZURE_KEY).send(self.address)
    }

    /// Puts a session in place, as `POST /emulator/sessions` describes it.
    pub(crate) fn put_session(&self, session: &Value) -> Value {
        self.control("POST", "/emulator/sessions", session)
    }

    /// Moves its clock forward.
    pub(crate) fn advance(&self, seconds: u32) {
        self.control("POST", "/emulator/clock", &json!({"advance_seconds": seconds}));
    }

    /// Makes the next request of the emulated API be answered so; the members are those of a `status` fault.
    pub(crate) fn fail_once(&self, status: &Value) {
        self.strike_once(&json!({"status": status}));
    }

    /// Works this fault on the next answer of the emulated API.
    pub(crate) fn strike_once(&self, effect: &Value) {
        let fault = json!({"times": 1, "effect": effect});
        self.control("POST", "/emulator/faults", &fault);
    }

    /// Every request of the emulated API so far, oldest first.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let answer = Request::get("/emulator/requests").send(self.address);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json().as_array().unwrap().clone()
    }

    pub(crate) fn control(&self, method: &str, target: &str, body: &Value) -> Value {
        let answer = Request::new(method, target).json(body).send(self.address);
        assert!((200..300).contains(&answer.status), "{method} {target}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }
}
