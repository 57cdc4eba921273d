//! A gateway with two keys in files, and what is asked of it and of its admin port.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::face::Face;
use crate::reload::hash;
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Request};
use crate::support::wait;

pub(super) const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
pub(super) const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";
pub(super) const LIST: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";
pub(super) const AUDIT: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/abc/audit";
pub(super) const IMAGE: &str = "/face/v1.2/sessionImages/picture";

/// Both slots, in files beside the configuration.
pub(super) const TWO: &str =
    "[upstreams.keys]\nprimary = { file = \"key-1\" }\nsecondary = { file = \"key-2\" }\n";
/// One slot.
pub(super) const ONE: &str = "[upstreams.keys]\nprimary = { file = \"key-1\" }\n";
/// So that only what the test sends is counted.
pub(super) const NO_PROBES: &str = "probe = \"0s\"\n";

pub(super) const SAFE: &str = "safe to regenerate";
pub(super) const NOT_SAFE: &str = "not safe";
pub(super) const UNKNOWN: &str = "unknown";

/// The gateway of these tests.
pub(super) struct Stage {
    pub(super) gateway: Gateway,
}

/// With both keys in their files.
pub(super) fn builder(endpoint: &str) -> Builder {
    Builder::new(endpoint)
        .authority(TWO)
        .file("key-1", AZURE_KEY)
        .file("key-2", SECOND_KEY)
        .app_with("onboarding", TOKEN, &ALL_ROUTES, "enrich = false\n")
}

impl Stage {
    pub(super) fn of(builder: Builder) -> Self {
        Self { gateway: builder.start() }
    }

    /// Before a Face service, without probes; both keys are good until the test says otherwise.
    pub(super) fn set() -> (Face, Self) {
        let face = Face::start();
        let stage = Self::of(builder(&face.url()).upstream(NO_PROBES));
        (face, stage)
    }

    /// The same with the primary slot alone.
    pub(super) fn set_one() -> (Face, Self) {
        let face = Face::start();
        let stage = Self::of(builder(&face.url()).authority(ONE).upstream(NO_PROBES));
        (face, stage)
    }

    pub(super) fn get(&self, target: &str) -> Answer {
        self.gateway.get(target)
    }

    pub(super) fn send(&self, request: Request) -> Answer {
        request.key(TOKEN).send(self.gateway.public)
    }

    /// Sends it from a thread of its own.
    pub(super) fn sending(&self, request: Request) -> JoinHandle<Answer> {
        let public = self.gateway.public;
        thread::spawn(move || request.key(TOKEN).send(public))
    }

    /// Exchanges a file in the gateway's folder in one step.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.gateway.scratch.path(name);
        fs::write(path.with_extension("new"), content).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    /// Exchanges a part of the configuration for another.
    #[track_caller]
    pub(super) fn exchange(&self, old: &str, new: &str) {
        let config = fs::read_to_string(self.gateway.scratch.path("livegate.toml")).unwrap();
        assert!(config.contains(old), "{old} is not in {config}");
        self.put("livegate.toml", config.replace(old, new));
    }

    pub(super) fn reload(&self) -> Answer {
        Request::new("POST", "/reload").send(self.gateway.admin)
    }

    /// Puts a key into its file and loads it at once.
    #[track_caller]
    pub(super) fn load(&self, name: &str, key: &str) {
        self.put(name, key);
        let answer = self.reload();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Lets a slot serve.
    pub(super) fn choose(&self, slot: &str) -> Answer {
        let target = format!("/keys/emulated/use?slot={slot}");
        Request::new("POST", &target).send(self.gateway.admin)
    }

    pub(super) fn page(&self, path: &str) -> String {
        Request::get(path).send(self.gateway.admin).text()
    }

    pub(super) fn ready(&self) -> bool {
        Request::get("/readyz").send(self.gateway.admin).status == 200
    }

    /// The upstream of the status.
    pub(super) fn upstream(&self) -> Value {
        let status = Request::get("/status").send(self.gateway.admin).json();
        status["upstreams"][0].clone()
    }

    /// What the status says of a slot.
    #[track_caller]
    pub(super) fn slot(&self, slot: &str) -> Value {
        let upstream = self.upstream();
        let slots = upstream["keys"].as_array().unwrap_or_else(|| panic!("no keys in {upstream}"));
        let found = slots.iter().find(|told| told["slot"] == slot);
        found.unwrap_or_else(|| panic!("no {slot} in {upstream}")).clone()
    }

    /// The slot that serves.
    #[track_caller]
    pub(super) fn serving(&self) -> String {
        let upstream = self.upstream();
        let slots = upstream["keys"].as_array().unwrap().clone();
        let mut serving = slots.iter().filter(|told| told["serving"] == true);
        let slot = serving.next().unwrap_or_else(|| panic!("none serves: {upstream}"));
        assert!(serving.next().is_none(), "two serve: {upstream}");
        slot["slot"].as_str().unwrap().to_owned()
    }

    pub(super) fn verdict(&self, slot: &str) -> String {
        self.slot(slot)["verdict"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(super) fn until_verdict(&self, slot: &str, verdict: &str) {
        let reached = wait::until(|| (self.verdict(slot) == verdict).then_some(()));
        assert!(reached.is_some(), "{slot} is not {verdict}: {}", self.upstream());
    }

    /// Waits until the slot has this key and Azure has accepted it, so that the one before it is not kept any more.
    #[track_caller]
    pub(super) fn until_accepted(&self, slot: &str, key: &str) {
        let accepted = wait::until(|| {
            let told = self.slot(slot);
            let new = told["fingerprint"] == fingerprint(key) && told["former"].is_null();
            (new && told["lastAcceptedAt"].is_string()).then_some(())
        });
        assert!(accepted.is_some(), "{slot}: {}", self.upstream());
    }

    /// The sum of all series of this metric that have these labels; `None` where there is none.
    pub(super) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let text = self.page("/metrics");
        let values: Vec<f64> = text
            .lines()
            .filter_map(|line| {
                let (told, value) = line.rsplit_once(' ')?;
                let (told, rest) = told.split_once('{').unwrap_or((told, ""));
                let has =
                    |(label, value): &(&str, &str)| rest.contains(&format!("{label}=\"{value}\""));
                (told == name && labels.iter().all(has)).then(|| value.parse().unwrap())
            })
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The same of what is counted; what never was is 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and small")]
    pub(super) fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.metric(name, labels).unwrap_or_default() as u64
    }

    #[track_caller]
    pub(super) fn until_count(&self, name: &str, labels: &[(&str, &str)], least: u64) {
        let reached = wait::until(|| (self.count(name, labels) >= least).then_some(()));
        assert!(reached.is_some(), "{name}{labels:?} is {}", self.count(name, labels));
    }

    /// `livegate keys` about this gateway.
    pub(super) fn keys(&self, more: &[&str]) -> Ended {
        let admin = format!("http://{}", self.gateway.admin);
        livegate(&[&["keys", "--admin", &admin], more].concat())
    }
}

/// The first 8 hex digits of a key's SHA-256.
pub(super) fn fingerprint(key: &str) -> String {
    hash(key).chars().take(8).collect()
}

/// How a command ended and what it printed.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs a command of the binary to its end.
pub(super) fn livegate(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_livegate"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The slots that `livegate keys --json` tells, in their order.
#[track_caller]
pub(super) fn listed(ended: &Ended) -> Vec<Value> {
    fn collect(value: &Value, slots: &mut Vec<Value>) {
        match value {
            Value::Object(members) if members.contains_key("slot") => slots.push(value.clone()),
            Value::Object(members) => members.values().for_each(|value| collect(value, slots)),
            Value::Array(values) => values.iter().for_each(|value| collect(value, slots)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
        }
    }
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let mut slots = Vec::new();
    collect(&serde_json::from_str(&ended.stdout).unwrap(), &mut slots);
    slots
}

/// A refusal of every key, whole.
#[track_caller]
pub(super) fn unauthorized(answer: &Answer) {
    assert_eq!((answer.status, answer.error_code().as_str()), (502, "UpstreamUnauthorized"));
    assert_eq!(answer.header("x-ms-error-code"), Some("UpstreamUnauthorized"), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    let proxy = answer.header("proxy-status");
    assert_eq!(proxy, Some("livegate; error=proxy_configuration_error"), "{answer:?}");
    assert!(answer.json()["error"]["message"].is_string(), "{}", answer.text());
}

/// Nothing that could be shown to Azure is there.
#[track_caller]
pub(super) fn unavailable(answer: &Answer) {
    assert_eq!((answer.status, answer.error_code().as_str()), (503, "UpstreamUnavailable"));
    let after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
}
