//! A gateway before an emulator whose faults are worked one by one.

use std::thread;

use serde_json::{Value, json};

use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Request};

pub(super) const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
pub(super) const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";
pub(super) const AUDIT: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/abc/audit";
pub(super) const LIST: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";

/// Marks what Azure says and an app must not hear.
pub(super) const PLANTED: &str = "planted-4410";

pub(super) struct Stage {
    pub(super) emulator: Emulator,
    pub(super) gateway: Gateway,
    /// The path of a picture.
    pub(super) image: String,
}

impl Stage {
    /// With these lines about the upstream.
    pub(super) fn set(lines: &str) -> Self {
        let emulator = Emulator::start();
        let gateway = Builder::new(&emulator.url())
            .upstream(&format!("{lines}\n"))
            // What is the same in every answer can be compared.
            .app_with("onboarding", TOKEN, &ALL_ROUTES, "enrich = false\n")
            .more("[server]\nstream_timeout = \"1s\"\n")
            .start();
        emulator.put_session(&json!({"id": "abc", "final": true, "session_image": true}));
        let session = emulator.send(Request::get(SESSION)).json();
        let image = &session["results"]["attempts"][0]["result"]["sessionImageId"];
        let image = format!("/face/v1.2/sessionImages/{}", image.as_str().unwrap());
        emulator.control("DELETE", "/emulator/requests", &Value::Null);
        Self { emulator, gateway, image }
    }

    /// Works this effect on so many requests; `None` is all of them.
    pub(super) fn strike(&self, effect: &Value, times: Option<u32>) {
        let fault = json!({"times": times, "effect": effect});
        self.emulator.control("POST", "/emulator/faults", &fault);
    }

    /// Takes all faults down and forgets what came; how many requests those were.
    pub(super) fn calm(&self) -> usize {
        let came = self.emulator.requests().len();
        self.emulator.control("DELETE", "/emulator/faults", &Value::Null);
        self.emulator.control("DELETE", "/emulator/requests", &Value::Null);
        came
    }

    /// What every route answers while this goes on, all at once; all is well again at the end.
    pub(super) fn everywhere(&self, effect: &Value, tell: impl Fn(&str, &Answer) + Sync) {
        self.strike(effect, None);
        thread::scope(|scope| {
            for (name, request) in self.routes() {
                let tell = &tell;
                scope.spawn(move || tell(name, &request.key(TOKEN).send(self.gateway.public)));
            }
        });
        self.calm();
        let answer = self.gateway.get(LIST);
        assert_eq!(answer.status, 200, "after {effect}: {}", answer.text());
        self.calm();
    }

    pub(super) fn routes(&self) -> [(&'static str, Request); 6] {
        let wish = json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone"});
        [
            ("session", Request::get(SESSION)),
            ("audit", Request::get(AUDIT)),
            ("list", Request::get(LIST)),
            ("image", Request::get(&self.image)),
            ("create", Request::new("POST", SESSIONS).json(&wish)),
            ("delete", Request::new("DELETE", &format!("{SESSIONS}/other"))),
        ]
    }

    /// The gateway serves on.
    pub(super) fn is_well(&self) {
        self.calm();
        let answer = self.gateway.get(SESSION);
        assert_eq!((answer.status, answer.json()["sessionId"].as_str()), (200, Some("abc")));
        self.calm();
    }
}

/// One of the gateway's own errors, whole.
#[track_caller]
pub(super) fn failed(what: &str, answer: &Answer, status: u16, code: &str, proxy_status: &str) {
    assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{what}: {answer:?}");
    assert_eq!(answer.header("x-ms-error-code"), Some(code), "{what}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    let expected = format!("livegate; error={proxy_status}");
    assert_eq!(answer.header("proxy-status"), Some(expected.as_str()), "{what}");
    let retry_after = (status == 503).then_some("1");
    assert_eq!(answer.header("retry-after"), retry_after, "{what}");
    let told = format!("{answer:?}");
    assert!(!told.contains(PLANTED), "{what}: {told}");
    assert!(!told.contains("127.0.0.1"), "{what} tells an address: {told}");
}
