//! A client, a gateway and an emulator in a row.

use serde_json::{Value, json};

use super::client::{Client, Outcome};
use super::operation::{Call, Twin};
use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, Gateway, TOKEN};
use crate::support::kit::Kit;

/// The token of an app that may only list.
pub(super) const NARROW_TOKEN: &str = "app-token-narrow-9876543210";

pub(super) struct Stand {
    pub(super) client: Client,
    pub(super) emulator: Emulator,
    pub(super) gateway: Gateway,
}

impl Stand {
    /// Every call reaches the emulator.
    pub(super) fn new(kit: Kit, version: &'static str) -> Self {
        Self::with(kit, version, |gateway| gateway)
    }

    /// The gateway remembers what it remembers by default.
    pub(super) fn remembering(kit: Kit, version: &'static str) -> Self {
        Self::with(kit, version, |gateway| gateway.cache(""))
    }

    fn with(kit: Kit, version: &'static str, more: impl FnOnce(Builder) -> Builder) -> Self {
        let emulator = Emulator::start();
        let gateway = Builder::new(&emulator.url())
            .tls()
            .app("onboarding", TOKEN, &ALL_ROUTES)
            .app("narrow", NARROW_TOKEN, &["list"]);
        let gateway = more(gateway).start();
        let client = Client::start(kit, version, &gateway);
        Self { client, emulator, gateway }
    }

    /// Whether the client speaks the second shape of the API.
    pub(super) fn is_ga(&self) -> bool {
        matches!(self.client.version, "v1.2" | "v1.3-preview.1")
    }

    /// Puts a session in place whose plan began this long ago.
    pub(super) fn put(&self, twin: Twin, id: &str, seconds_ago: u32, plan: &Value) {
        let operation = match twin {
            Twin::Plain => "liveness",
            Twin::Verify => "liveness_with_verify",
        };
        self.emulator.put_session(&json!({
            "id": id,
            "operation": operation,
            "created_seconds_ago": seconds_ago,
            "device_correlation_id": "device-0123",
            "plan": plan,
        }));
    }

    /// Makes a call that must reach Azure, and checks what arrived there.
    #[track_caller]
    pub(super) fn reaches(&mut self, call: &Call<'_>) -> Outcome {
        let before = self.emulator.requests().len();
        let outcome = self.client.make(call);
        let arrived = self.emulator.requests().split_off(before);
        assert_eq!(arrived.len(), outcome.statuses().len(), "{call:?}: {outcome:?}\n{arrived:#?}");
        for request in arrived {
            assert_eq!(header(&request, "ocp-apim-subscription-key"), [AZURE_KEY], "{request:#}");
            assert_eq!(
                header(&request, "client-request-id"),
                [outcome.request_id()],
                "{request:#}"
            );
            assert!(!request.to_string().contains(TOKEN), "{request:#}");
            let root = format!("/face/{}/", self.client.version);
            assert!(request["target"].as_str().unwrap().starts_with(&root), "{request:#}");
        }
        outcome
    }

    /// Makes a call that the gateway must answer by itself; gives status and code.
    #[track_caller]
    pub(super) fn stopped(&mut self, call: &Call<'_>) -> (u64, String) {
        let before = self.emulator.requests().len();
        let outcome = self.client.make(call);
        let arrived = self.emulator.requests().split_off(before);
        assert!(arrived.is_empty(), "{call:?}: {arrived:#?}");
        let (status, code) = outcome.failure();
        assert_eq!(outcome.header("x-ms-error-code"), code, "{outcome:?}");
        (status, code.unwrap_or_default().to_owned())
    }
}

/// The values of a header in the emulator's recording.
fn header<'r>(request: &'r Value, name: &str) -> Vec<&'r str> {
    let headers = request["headers"].as_array().unwrap();
    let named = headers.iter().filter(|pair| pair[0] == name);
    named.map(|pair| pair[1].as_str().unwrap()).collect()
}
