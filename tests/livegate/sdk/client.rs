//! One of Azure's own clients in a process of its own, called through its driver.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::operation::{Call, Script};
use crate::support::gateway::{Gateway, TOKEN};
use crate::support::kit::Kit;

/// Longer than the clients' own retries can take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client, the api-version that it speaks and the gateway that it is pointed at.
pub(super) struct Client {
    pub(super) kit: Kit,
    pub(super) version: &'static str,
    /// The key that it is given: to the gateway, an app's token.
    pub(super) key: String,
    /// Whether the key goes as a bearer token, as Entra ID's tokens do.
    pub(super) bearer: bool,
    /// How often it may try again; its own default without it.
    pub(super) retries: Option<u32>,
    endpoint: String,
    child: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
    stderr: PathBuf,
}

/// What a call came to, in the words of both clients.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    told: Value,
    python: bool,
}

impl Client {
    /// Starts the driver; the client speaks TLS to `localhost` and trusts only the test's authority.
    pub(super) fn start(kit: Kit, version: &'static str, gateway: &Gateway) -> Self {
        let stderr = gateway.scratch.path(format!("{kit:?}.err"));
        let mut child = kit
            .driver()
            .env("REQUESTS_CA_BUNDLE", &gateway.certs.authority)
            .env("NODE_EXTRA_CA_CERTS", &gateway.certs.authority)
            .envs([("NO_PROXY", "localhost"), ("no_proxy", "localhost")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self {
            kit,
            version,
            key: TOKEN.to_owned(),
            bearer: false,
            retries: None,
            endpoint: format!("https://localhost:{}", gateway.secure.unwrap().port()),
            commands: child.stdin.take().unwrap(),
            child,
            answers,
            stderr,
        }
    }

    /// Makes one call and waits for what it comes to.
    pub(super) fn make(&mut self, call: &Call<'_>) -> Outcome {
        let mut command = match self.kit {
            Kit::PythonBeta1 => call.python(Script::OneContent),
            Kit::PythonBeta2 => call.python(Script::TwoContents),
            Kit::JsBeta1 => call.js_preview(),
            Kit::JsBeta3 => call.js(),
            Kit::Browser => panic!("no client"),
        };
        command["endpoint"] = json!(self.endpoint);
        command["key"] = json!(self.key);
        command["bearer"] = json!(self.bearer);
        command["api_version"] = json!(self.version);
        command["retries"] = json!(self.retries);
        writeln!(self.commands, "{command}").unwrap();
        let line = self.answers.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            panic!("{error} at {command}\n{}", fs::read_to_string(&self.stderr).unwrap())
        });
        Outcome { told: serde_json::from_str(&line).unwrap(), python: self.kit.is_python() }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // fails only if it has ended already
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Outcome {
    /// Whether the client takes it for a success.
    pub(super) fn ok(&self) -> bool {
        self.told["error"].is_null() && self.told["unexpected"] != true
    }

    /// The value of a success, as JSON.
    #[track_caller]
    pub(super) fn value(&self) -> &Value {
        assert!(self.ok(), "{:#}", self.told);
        &self.told["value"]
    }

    /// The bytes of a success that has no JSON.
    #[track_caller]
    pub(super) fn bytes(&self) -> String {
        self.value()["$bytes"].as_str().unwrap().to_owned()
    }

    /// The last status and `error.code` of a failure.
    #[track_caller]
    pub(super) fn failure(&self) -> (u64, Option<&str>) {
        assert!(!self.ok(), "{:#}", self.told);
        let error = if self.python { &self.told["error"] } else { &self.told["value"]["error"] };
        (self.statuses().last().copied().unwrap_or_default(), error["code"].as_str())
    }

    /// What the failure says.
    #[track_caller]
    pub(super) fn message(&self) -> &str {
        let error = if self.python { &self.told["error"] } else { &self.told["value"]["error"] };
        error["message"].as_str().unwrap_or_else(|| panic!("{:#}", self.told))
    }

    /// The status of each time that the client tried.
    pub(super) fn statuses(&self) -> Vec<u64> {
        self.attempts().iter().filter_map(|attempt| attempt["status"].as_u64()).collect()
    }

    /// The id that the client gave its request.
    pub(super) fn request_id(&self) -> &str {
        self.attempts()[0]["request_id"].as_str().unwrap_or_else(|| panic!("{:#}", self.told))
    }

    /// A header of the last answer.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.attempts().last()?["headers"][name].as_str()
    }

    /// Type and text of an attribute of the client's own object (the Python client's only).
    #[track_caller]
    pub(super) fn attribute(&self, path: &str) -> (&str, &str) {
        let read = &self.told["read"][path];
        let part = |index: usize| read[index].as_str().unwrap_or_else(|| panic!("{:#}", self.told));
        (part(0), part(1))
    }

    fn attempts(&self) -> &[Value] {
        self.told["attempts"].as_array().map_or(&[], Vec::as_slice)
    }
}
