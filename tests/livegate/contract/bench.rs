//! An emulator, a version's document, and what is asked of the one and held against the other.

use serde_json::{Value, json};

use super::document::Document;
use super::twin::*;
use crate::support::emulator::Emulator;
use crate::support::http::{Answer, Request};

pub(super) struct Bench {
    emulator: Emulator,
    document: Document,
    ga: bool,
}

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
const PICTURE: &[u8] = b"\xFF\xD8\xFF\xE0\0\r\n--\xFF\xD9";
const ONE: &str = "/{sessionId}";

macro_rules! published {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../data/errors/", $name))).unwrap()
    };
}

impl Bench {
    pub(super) fn new(version: &'static str) -> Self {
        let document = Document::of(version);
        let ga = matches!(version, "v1.2" | "v1.3-preview.1");
        Self { emulator: Emulator::start(), document, ga }
    }

    pub(super) fn is_used_up(&self) {
        assert_eq!(self.document.unused(), [""; 0]);
    }

    pub(super) fn creates(&self, twin: Twin) {
        let path = self.sessions(twin);
        for request in self.create_requests(twin) {
            let answer = self.held(path, request);
            assert_eq!(answer.status, 200, "{}", answer.text());
            let created = answer.json();
            let id = created["sessionId"].as_str().unwrap();
            let answer = self.held_one(twin, "GET", id);
            assert_eq!(answer.json()["status"], "NotStarted");
        }
    }

    /// The requests that are published are taken, at odds with the schema as one of them is.
    pub(super) fn takes_published_creates(&self) {
        let sample = match self.document.version {
            "v1.1-preview.1" => {
                include_str!("../../data/samples/v1.1-preview.1/create-request.json")
            }
            "v1.3-preview.1" => {
                include_str!("../../data/samples/v1.3-preview.1/create-request.json")
            }
            _ => include_str!("../../data/samples/v1.2/create-request-tutorial.json"),
        };
        let path = self.sessions(Twin::PLAIN);
        let answer = self.held(path, self.request("POST", path).body("application/json", sample));
        assert_eq!(answer.status, 200, "{}", answer.text());
        if self.document.version == "v1.3-preview.1" {
            let created = answer.json();
            assert_eq!(created["expectedClientIpAddress"], "1.2.3.4");
            assert_eq!(created["isAbuseMonitoringEnabled"], true);
        }
    }

    pub(super) fn refuses_creates(&self, twin: Twin) {
        let path = self.sessions(twin);
        let spoilt = [
            (
                "authTokenTimeToLiveInSeconds",
                json!(59),
                published!("400-invalid-token-lifetime.json"),
            ),
            (
                "authTokenTimeToLiveInSeconds",
                json!(86401),
                published!("400-invalid-token-lifetime.json"),
            ),
            (
                "deviceCorrelationId",
                json!(""),
                published!("400-invalid-device-correlation-id.json"),
            ),
            (
                "deviceCorrelationId",
                json!("d".repeat(65)),
                published!("400-invalid-device-correlation-id.json"),
            ),
        ];
        for (member, value, expected) in spoilt {
            let mut fields = fields();
            fields[member] = value;
            let answer = self.held(path, self.create_request(twin, &fields));
            assert_eq!((answer.status, answer.json()), (400, expected), "{fields}");
        }
        let mut fields = fields();
        fields["livenessOperationMode"] = json!("Active");
        let answer = self.held(path, self.create_request(twin, &fields));
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (400, "InvalidLivenessOperationMode")
        );
        if !self.ga {
            let answer = self.held(path, self.request("POST", path).body("application/json", "{"));
            assert_eq!(
                (answer.status, answer.json()),
                (400, published!("400-invalid-request-body.json"))
            );
        }
        let answer = self.held(path, self.request("POST", path).body("text/plain", "x"));
        assert_eq!((answer.status, answer.json()), (415, published!("415-bad-argument.json")));
    }

    /// A session that goes through every kind of attempt there is, seen at each step.
    pub(super) fn shows_states(&self, twin: Twin) {
        let attempts = json!([
            {"error": "FaceWithMaskDetected"},
            {"error": "TimedOut", "status": "Canceled", "error_message": "No face in time."},
            {"decision": "spoofface", "session_image": true, "verify": {"confidence": 0.08}},
            {"decision": "uncertain", "verify": {"confidence": 1.0, "identical": false}},
            {"decision": "none", "verify_image_hash": "43B7D8E8769533C3290DBD37A84D821B2C28CB4381DF9C6784DBC4AAF7E45018"},
            {"client_ip": "2001:db8::1", "abuse_detected": true, "audit_id": 9_223_372_036_854_775_807_u64},
        ]);
        let variants = [
            json!({}),
            json!({"oldest_first": true, "show_running_attempt": true, "blank_final_token": true}),
            json!({"waiting_status": "NotStarted", "final_status": "Failed", "expire_when_done": false}),
            json!({"final_status": "Canceled"}),
        ];
        for (number, variant) in variants.into_iter().enumerate() {
            let mut plan = variant;
            plan["manual"] = json!(true);
            plan["attempts"] = attempts.clone();
            for step in 0..=7 {
                let id = format!("state-{number}-{step}");
                self.put(twin, &id, &json!({"plan": plan, "advance": step}));
                let session = self.held_one(twin, "GET", &id).json();
                let status = self.status(step, plan["waiting_status"].as_str(), &plan);
                assert_eq!(session["status"], status, "{step}: {session:#}");
                assert_eq!(self.ended(&session), step.saturating_sub(1), "{step}: {session:#}");
            }
        }
    }

    /// The sessions of previews, page by page.
    pub(super) fn lists(&self, twin: Twin) {
        let path = self.sessions(twin);
        for id in ["list-1", "list-2", "list-3"] {
            self.put(twin, id, &json!({"created_seconds_ago": 30}));
        }
        let answer = self.held_at(path, &format!("{path}?start=list-1&top=1"));
        assert_eq!(answer.json().as_array().map(Vec::len), Some(1));
        assert_eq!(answer.json()[0]["id"], "list-2");
        let whole = self.held_at(path, path);
        assert!(whole.json().as_array().unwrap().len() > 3);
        self.refuses_pages(path, path);
    }

    /// The audit lists of previews.
    pub(super) fn lists_attempts(&self, twin: Twin) {
        let path = format!("{}/{{sessionId}}/audit", self.sessions(twin));
        let target = path.replace("{sessionId}", "audited");
        let attempts: Vec<Value> =
            (0..12).map(|n| json!({"latency_ms": n, "user_agent": "u"})).collect();
        let session = json!({"plan": {"attempts": attempts}, "final": true, "session_image": true});
        self.put(twin, "audited", &session);
        let ids = |answer: Answer| -> Vec<i64> {
            let entries = answer.json();
            entries.as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect()
        };
        assert_eq!(ids(self.held_at(&path, &target)), (1..=12).collect::<Vec<_>>());
        assert_eq!(ids(self.held_at(&path, &format!("{target}?start=9&top=2"))), [10, 11]);
        self.refuses_pages(&path, &target);
        let answer = self.held_at(&path, &format!("{target}?start=x"));
        assert_eq!((answer.status, answer.json()), (400, published!("400-bad-argument.json")));
        let answer = self.held_at(&path, &path.replace("{sessionId}", UNKNOWN));
        assert_eq!(
            (answer.status, answer.json()),
            (404, published!("404-session-not-found-reference.json"))
        );
    }

    fn refuses_pages(&self, path: &str, target: &str) {
        for top in ["0", "1001", "x"] {
            let answer = self.held_at(path, &format!("{target}?top={top}"));
            assert_eq!((answer.status, answer.json()), (400, published!("400-top.json")));
        }
        let answer = self.held_at(path, &format!("{target}?start={}", "a".repeat(65)));
        assert_eq!((answer.status, answer.error_code().as_str()), (400, "BadArgument"));
    }

    /// Neither is there from v1.2 on.
    pub(super) fn has_no_lists(&self, twin: Twin) {
        self.put(twin, "audited", &json!({"final": true}));
        for path in
            [self.sessions(twin).to_owned(), format!("{}/audited/audit", self.sessions(twin))]
        {
            let answer = self.emulator.send(self.request("GET", &path));
            assert_eq!((answer.status, answer.error_code().as_str()), (404, "404"), "{path}");
        }
    }

    pub(super) fn deletes(&self, twin: Twin, status: u16) {
        self.put(twin, "deleted", &json!({}));
        let answer = self.held_one(twin, "DELETE", "deleted");
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        for method in ["GET", "DELETE"] {
            let answer = self.held_one(twin, method, "deleted");
            let expected = published!("404-session-not-found-reference.json");
            assert_eq!((answer.status, answer.json()), (404, expected), "{method}");
        }
    }

    pub(super) fn serves_images(&self, path: &str) {
        self.put(Twin::PLAIN, "pictured", &json!({"final": true, "session_image": true}));
        let session = self.held_one(Twin::PLAIN, "GET", "pictured").json();
        let result =
            if self.ga { &session["results"]["attempts"][0]["result"] } else { &session["result"] };
        let id = result["sessionImageId"].as_str().unwrap();
        assert_eq!(self.held_at(path, &path.replace("{sessionImageId}", id)).status, 200);
        assert_eq!(self.held_at(path, &path.replace("{sessionImageId}", "Anowhere")).status, 404);
    }

    pub(super) fn serves_settings(&self) {
        let path = "/settings";
        for enabled in [false, true] {
            let change = json!({"livenessAbuseMonitoring": {"enabled": enabled}});
            let answer = self.held(path, self.request("PATCH", path).json(&change));
            assert_eq!(answer.json(), change);
            assert_eq!(self.held_at(path, path).json(), change);
        }
        let path = "/settings/getClientAssetsAccessToken";
        assert_eq!(self.held_at(path, path).status, 200);
    }

    /// What Azure says when it is not well, in the words that are published.
    pub(super) fn fails_on_demand(&self, twin: Twin) {
        self.put(twin, "asked", &json!({}));
        let faults = [
            (json!({"status": 403}), published!("403-local-auth-disabled.json")),
            (json!({"status": 404}), published!("404-session-not-found-reference.json")),
            (json!({"status": 415}), published!("415-bad-argument.json")),
            (json!({"status": 429}), published!("429-no-code.json")),
            (
                json!({"status": 429, "form": "apim", "message": "Rate limit is exceeded."}),
                published!("429-apim.json"),
            ),
            (json!({"status": 500}), published!("500-unspecified.json")),
        ];
        for (fault, expected) in faults {
            self.emulator.fail_once(&fault);
            let answer = self.held_one(twin, "GET", "asked");
            assert_eq!((json!(answer.status), answer.json()), (fault["status"].clone(), expected));
        }
        for status in [409, 502, 503, 504] {
            self.emulator.fail_once(&json!({"status": status, "retry_after": "5"}));
            let answer = self.held_one(twin, "GET", "asked");
            assert_eq!((answer.status, answer.header("retry-after")), (status, Some("5")));
        }
        let path = format!("{}{ONE}", self.sessions(twin));
        let forms =
            [("apim", published!("401-apim.json")), ("face", published!("401-unspecified.json"))];
        for (form, expected) in forms {
            self.emulator.control("PUT", "/emulator/errors", &json!({"unauthorized": form}));
            let request = Request::get(&self.target(&path.replace("{sessionId}", "asked")));
            let answer = request.key("nobody's key").send(self.emulator.address);
            assert_eq!(self.document.faults("GET", &path, &answer), [""; 0]);
            assert_eq!((answer.status, answer.json()), (401, expected));
        }
    }

    fn sessions(&self, twin: Twin) -> &'static str {
        if self.ga { twin.ga } else { twin.preview }
    }

    fn target(&self, path: &str) -> String {
        format!("/face/{}{path}", self.document.version)
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &self.target(path))
    }

    /// Sends a request to the emulator and holds the answer against the document.
    #[track_caller]
    fn held(&self, path: &str, request: Request) -> Answer {
        let method = request.method().to_owned();
        let answer = self.emulator.send(request);
        let faults = self.document.faults(&method, path, &answer);
        assert!(
            faults.is_empty(),
            "{method} {path}: {faults:#?}\n{} {}",
            answer.status,
            answer.text()
        );
        answer
    }

    #[track_caller]
    fn held_at(&self, path: &str, target: &str) -> Answer {
        self.held(path, self.request("GET", target))
    }

    #[track_caller]
    fn held_one(&self, twin: Twin, method: &str, id: &str) -> Answer {
        let path = format!("{}{ONE}", self.sessions(twin));
        self.held(&path, self.request(method, &path.replace("{sessionId}", id)))
    }

    fn put(&self, twin: Twin, id: &str, more: &Value) {
        let mut session = more.clone();
        session["id"] = json!(id);
        session["operation"] = json!(twin.name);
        self.emulator.put_session(&session);
    }

    /// Every form in which a create may come.
    fn create_requests(&self, twin: Twin) -> Vec<Request> {
        let path = self.sessions(twin);
        let mut requests = vec![self.create_request(twin, &fields())];
        if twin.verifies() && !self.ga {
            let parameters = fields().to_string();
            let parts = [
                ("Parameters", None, parameters.as_bytes()),
                ("VerifyImage", Some("p.jpg"), PICTURE),
            ];
            requests.push(form(self.request("POST", path), &parts));
        }
        if !(twin.verifies() && self.ga) {
            let set_by_device = json!({
                "livenessOperationMode": "passive",
                "deviceCorrelationIdSetInClient": true,
                "enableSessionImage": "true",
            });
            requests.push(self.create_request(twin, &set_by_device));
        }
        requests
    }

    /// A create in the form that the version prescribes.
    fn create_request(&self, twin: Twin, fields: &Value) -> Request {
        let request = self.request("POST", self.sessions(twin));
        if !(twin.verifies() && self.ga) {
            return request.json(fields);
        }
        let fields: Vec<(&String, String)> = fields
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        let mut parts: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), None, value.as_bytes())).collect();
        parts.push(("verifyImage", Some("p.jpg"), PICTURE));
        form(request, &parts)
    }

    /// What a plan of six attempts shows once it has taken so many steps.
    fn status<'p>(&self, step: usize, waiting: Option<&'p str>, plan: &'p Value) -> &'p str {
        match (self.ga, step) {
            (_, 0) => "NotStarted",
            (false, 1) => "Started",
            (false, _) => "ResultAvailable",
            (true, 7) => plan["final_status"].as_str().unwrap_or("Succeeded"),
            (true, 1) => "Running",
            (true, _) => waiting.unwrap_or("Running"),
        }
    }

    /// How many attempts have ended, as far as the body tells; previews tell only of the latest.
    fn ended(&self, session: &Value) -> usize {
        if self.ga {
            let attempts = session["results"]["attempts"].as_array().unwrap();
            return attempts.iter().filter(|attempt| attempt["attemptStatus"] != "Running").count();
        }
        match session["result"]["id"].as_i64() {
            None => 0,
            Some(i64::MAX) => 6,
            Some(id) => usize::try_from(id).unwrap(),
        }
    }
}
