//! What is done with each client, and what it must find.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::client::Outcome;
use super::operation::{Call, DEVICE, PICTURE, Page, TOKEN_LIFE, Twin};
use super::stand::{NARROW_TOKEN, Stand};
use crate::support::gateway::TOKEN;
use crate::support::http::Request;
use crate::support::kit::Kit;
use crate::support::wait;

pub(super) const TWINS: [Twin; 2] = [Twin::Plain, Twin::Verify];
pub(super) const DIGEST: &str = "1CC98BA83EAF1D0FF7F566FAEFCCCC787819FFA01251E2D9299143F7AD6651DB";
const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

pub(super) struct Journey {
    pub(super) stand: Stand,
}

impl Journey {
    pub(super) fn new(kit: Kit, version: &'static str) -> Self {
        Self { stand: Stand::new(kit, version) }
    }

    /// From the create to the delete, polling as an app does.
    pub(super) fn lives(mut self) {
        for twin in TWINS {
            let id = self.created(&Call::Create(twin), twin);
            let ended = self.polled(twin, &id);
            self.assert_success(twin, &ended, None);
            if twin == Twin::Verify && self.has_pictures() {
                let hash = const_hex::encode_upper(Sha256::digest(PICTURE));
                assert_eq!(self.result(&ended)["verifyImageHash"], json!(hash), "{ended:#}");
                // The gateway saw the picture when it went by.
                let judged = self.stand.client.make(&Call::Get(twin, &id));
                assert_eq!(judged.header("liveness-verify-image"), Some("match"), "{judged:?}");
            }
            self.deleted(twin, &id);
        }
        if !self.stand.is_ga() {
            let id = self.created(&Call::CreateWithoutPicture, Twin::Verify);
            self.deleted(Twin::Verify, &id);
        }
        self.finds_pictures();
    }

    /// Sessions of which the state is known.
    pub(super) fn states(mut self) {
        let states = if self.stand.is_ga() {
            ["NotStarted", "Running", "Succeeded"]
        } else {
            ["NotStarted", "Started", "ResultAvailable"]
        };
        let far = 3_600_000;
        let plans = [
            json!({"start_after_ms": far}),
            json!({"start_after_ms": 0, "attempts": [{"after_ms": far}]}),
            json!({"attempts": [
                {"error": "FaceWithMaskDetected"},
                {"decision": "spoofface", "digest": DIGEST},
            ]}),
        ];
        for twin in TWINS {
            for (number, (state, plan)) in states.into_iter().zip(&plans).enumerate() {
                let id = format!("5e551017-0000-4000-8000-00000000000{number}");
                self.stand.put(twin, &id, 60, plan);
                let outcome = self.stand.reaches(&Call::Get(twin, &id));
                let session = outcome.value();
                assert_eq!(
                    (self.id(session), session["status"].as_str()),
                    (id.as_str(), Some(state))
                );
                self.assert_typed(&outcome, state);
                if number < 2 {
                    assert!(self.result(session).is_null(), "{session:#}");
                } else {
                    self.assert_success(twin, session, Some("spoofface"));
                    assert_eq!(self.result(session)["digest"], DIGEST, "{session:#}");
                    self.assert_mask(session);
                }
            }
        }
    }

    /// Lists of sessions and audit lists; later versions have neither, but for what the gateway makes of a session.
    pub(super) fn lists(mut self) {
        if self.stand.is_ga() {
            return self.has_no_lists();
        }
        let attempts: Vec<Value> = (0..5).map(|_| json!({"after_ms": 100})).collect();
        for twin in TWINS {
            let ids = ["a-1", "a-2", "a-3"];
            for id in ids {
                self.stand.put(twin, id, 60, &json!({"attempts": attempts}));
            }
            let whole = self.stand.reaches(&Call::List(twin, None));
            assert_eq!(texts(whole.value(), "id"), ids);
            let page = Page { start: "a-1", top: 1 };
            let page = self.stand.reaches(&Call::List(twin, Some(page)));
            assert_eq!(texts(page.value(), "id"), ["a-2"]);

            let whole = self.stand.reaches(&Call::Audit(twin, "a-2", None));
            assert_eq!(texts(whole.value(), "sessionId"), ["a-2"; 5]);
            let digests: BTreeSet<_> = texts(whole.value(), "digest").into_iter().collect();
            assert_eq!(digests.len(), 5, "{digests:?}");
            let page = Page { start: "3", top: 20 };
            let page = self.stand.reaches(&Call::Audit(twin, "a-2", Some(page)));
            let entries = page.value().as_array().unwrap();
            assert_eq!(entries.iter().map(|entry| &entry["id"]).collect::<Vec<_>>(), [4, 5]);
            let whole = whole.value().as_array().unwrap();
            assert_eq!(entries[0]["requestId"], whole[3]["requestId"]);
            // the SDK's reader takes what is added to an entry as it takes the rest
            let ordinals: Vec<_> =
                whole.iter().map(|entry| &entry["gateway"]["attempt"]).cloned().collect();
            let expected = (1..=5).map(|ordinal| json!({"ordinal": ordinal, "of": 5}));
            assert_eq!(ordinals, expected.collect::<Vec<_>>(), "{:#}", whole[0]);
            assert!(entries[0]["gateway"].get("attempt").is_none(), "{:#}", entries[0]);
        }
    }

    fn has_no_lists(self) {
        // this client has no such calls; a list of sessions its version lacks, and so must the gateway
        let sessions = format!("/face/{}/detectLiveness-sessions", self.stand.client.version);
        let list = self.stand.gateway.get(&sessions);
        assert_eq!((list.status, list.header("allow")), (405, Some("POST")), "{}", list.text());
        assert!(self.stand.emulator.requests().is_empty());
        let audit = self.stand.gateway.get(&format!("{sessions}/a-1/audit"));
        assert_eq!((audit.status, audit.error_code().as_str()), (404, "SessionNotFound"));
        let asked = self.stand.emulator.requests();
        assert_eq!(asked.len(), 1, "the session is asked about: {asked:?}");
    }

    /// Failures, Azure's and the gateway's own.
    pub(super) fn refusals(mut self) {
        for twin in TWINS {
            for call in [Call::Get(twin, UNKNOWN), Call::Delete(twin, UNKNOWN)] {
                let outcome = self.stand.reaches(&call);
                assert_eq!(outcome.failure(), (404, Some("SessionNotFound")), "{call:?}");
                assert_eq!(outcome.header("x-ms-error-code"), Some("SessionNotFound"), "{call:?}");
            }
            for odd in ["a b/c?d%e", "a_b", "a%2Fb", &"a".repeat(65)] {
                let call = Call::Get(twin, odd);
                assert_eq!(self.stand.stopped(&call), (400, "BadArgument".to_owned()), "{call:?}");
            }
            NARROW_TOKEN.clone_into(&mut self.stand.client.key);
            for call in self.calls(twin) {
                assert_eq!(self.stand.stopped(&call), (403, "Forbidden".to_owned()), "{call:?}");
            }
            "app-token-of-nobody-0000000".clone_into(&mut self.stand.client.key);
            for call in self.calls(twin) {
                assert_eq!(self.stand.stopped(&call), (401, "Unauthorized".to_owned()), "{call:?}");
            }
            TOKEN.clone_into(&mut self.stand.client.key);
        }
        if !self.stand.is_ga() {
            self.refused_lists();
        }
    }

    /// Every call of this client but the list, which is all that the narrow app may do.
    fn calls(&self, twin: Twin) -> Vec<Call<'static>> {
        let mut calls =
            vec![Call::Get(twin, UNKNOWN), Call::Create(twin), Call::Delete(twin, UNKNOWN)];
        if !self.stand.is_ga() {
            calls.push(Call::Audit(twin, UNKNOWN, None));
        }
        if self.has_pictures() {
            calls.push(Call::Image("Anowhere"));
        }
        calls
    }

    fn refused_lists(&mut self) {
        let page = |start, top| Some(Page { start, top });
        let long = "a".repeat(65);
        let wrong = [page("", 0), page("", 1001), page(&long, 5)];
        for page in wrong {
            for call in [Call::List(Twin::Plain, page), Call::Audit(Twin::Verify, UNKNOWN, page)] {
                assert_eq!(self.stand.stopped(&call), (400, "BadArgument".to_owned()), "{call:?}");
            }
        }
        let call = Call::Audit(Twin::Plain, UNKNOWN, None);
        let outcome = self.stand.reaches(&call);
        assert_eq!(outcome.failure(), (404, Some("SessionNotFound")));

        let call = Call::List(Twin::Verify, None);
        NARROW_TOKEN.clone_into(&mut self.stand.client.key);
        assert_eq!(self.stand.reaches(&call).value(), &json!([]));
        "app-token-of-nobody-0000000".clone_into(&mut self.stand.client.key);
        assert_eq!(self.stand.stopped(&call), (401, "Unauthorized".to_owned()));
    }

    /// Answers that come packed, in drops, or not whole.
    pub(super) fn oddities(mut self) {
        let id = "5e551017-0000-4000-8000-00000000000b";
        for twin in TWINS {
            self.stand.put(twin, id, 60, &json!({"attempts": [{"digest": DIGEST}]}));
        }
        self.stand.emulator.strike_once(&json!("gzip"));
        let packed = self.stand.reaches(&Call::Get(Twin::Plain, id));
        assert_eq!(packed.header("content-encoding"), None);
        self.assert_success(Twin::Plain, packed.value(), None);
        assert_eq!(self.result(packed.value())["digest"], DIGEST);
        let drops = json!({"slow_body": {"ms_per_chunk": 1, "chunk_bytes": 40}});
        self.stand.emulator.strike_once(&drops);
        let whole = self.stand.reaches(&Call::Get(Twin::Verify, id));
        self.assert_success(Twin::Verify, whole.value(), None);
        assert_eq!(self.result(whole.value())["digest"], DIGEST);
        self.stand.client.retries = Some(0);
        self.stand.put(Twin::Plain, "cut-off", 60, &json!({}));
        self.stand.emulator.strike_once(&json!({"truncated": {"keep_bytes": 20}}));
        let outcome = self.stand.reaches(&Call::Get(Twin::Plain, "cut-off"));
        assert_eq!(outcome.failure(), (502, Some("UpstreamInvalidResponse")));
    }

    /// An app that sends its token as a bearer token is let in too, and the token goes no further.
    pub(super) fn bears(mut self) {
        self.stand.client.bearer = true;
        let outcome = self.stand.reaches(&Call::Get(Twin::Plain, UNKNOWN));
        assert_eq!(outcome.failure(), (404, Some("SessionNotFound")));
        "app-token-of-nobody-0000000".clone_into(&mut self.stand.client.key);
        let call = Call::Get(Twin::Plain, UNKNOWN);
        assert_eq!(self.stand.stopped(&call), (401, "Unauthorized".to_owned()));
    }

    /// Azure says no for a while; the client's own retries must work through the gateway as they do without it.
    pub(super) fn retries(mut self) {
        let id = "5e551017-0000-4000-8000-00000000000a";
        for twin in TWINS {
            self.stand.put(twin, id, 60, &json!({}));
        }
        let throttled = json!({"status": 429, "retry_after": "1"});
        let busy = json!({"status": 503});
        for (number, (effect, status)) in [(&throttled, 429), (&busy, 503)].into_iter().enumerate()
        {
            for call in [Call::Create(Twin::Plain), Call::Get(TWINS[number], id)] {
                self.stand.emulator.fail_once(effect);
                let outcome = self.stand.reaches(&call);
                assert_eq!(outcome.statuses(), [status, 200], "{call:?}");
                outcome.value();
            }
        }
        let gone = if self.stand.is_ga() { 204 } else { 200 };
        self.stand.emulator.fail_once(&throttled);
        let outcome = self.stand.reaches(&Call::Delete(Twin::Plain, id));
        assert_eq!(outcome.statuses(), [429, gone]);

        // a throttle as the resource's front door words it: a status in place of a code
        self.stand.client.retries = Some(0);
        self.stand.emulator.fail_once(&json!({"status": 429, "form": "apim_no_code"}));
        let outcome = self.stand.reaches(&Call::Get(Twin::Plain, UNKNOWN));
        assert_eq!(outcome.failure(), (429, None));
        let message = outcome.message();
        assert_eq!(message, "Rate limit is exceeded. Try again in 26 seconds.");
    }

    fn created(&mut self, call: &Call<'_>, twin: Twin) -> String {
        let outcome = self.stand.reaches(call);
        let session = outcome.value();
        assert!(!session["authToken"].as_str().unwrap().is_empty(), "{session:#}");
        let id = session["sessionId"].as_str().unwrap().to_owned();
        assert_eq!(id.len(), 36, "{id}");
        if self.stand.is_ga() {
            assert_eq!(session["status"], "NotStarted", "{session:#}");
        }
        if matches!(call, Call::Create(Twin::Verify)) {
            let seen = if self.stand.is_ga() {
                &session["results"]["verifyReferences"][0]
            } else {
                &session["verifyImage"]
            };
            assert_eq!(seen["qualityForRecognition"], "high", "{session:#}");
        }
        let outcome = self.stand.reaches(&Call::Get(twin, &id));
        let session = outcome.value();
        assert_eq!(self.id(session), id);
        if !self.stand.is_ga() {
            assert_eq!(session["deviceCorrelationId"], DEVICE, "{session:#}");
            assert_eq!(session["authTokenTimeToLiveInSeconds"], TOKEN_LIFE, "{session:#}");
        }
        id
    }

    /// Lets the device finish, and asks until that shows: what the gateway knew may stand for a moment.
    fn polled(&mut self, twin: Twin, id: &str) -> Value {
        self.stand.emulator.advance(10);
        let ended = wait::until(|| {
            let outcome = self.stand.client.make(&Call::Get(twin, id));
            let session = outcome.value();
            let status = session["status"].as_str().unwrap();
            matches!(status, "Succeeded" | "ResultAvailable").then(|| session.clone())
        });
        ended.unwrap()
    }

    fn deleted(&mut self, twin: Twin, id: &str) {
        let outcome = self.stand.reaches(&Call::Delete(twin, id));
        let status = if self.stand.is_ga() { 204 } else { 200 };
        assert_eq!((outcome.ok(), outcome.statuses()), (true, vec![status]));
        let outcome = self.stand.reaches(&Call::Get(twin, id));
        assert_eq!(outcome.failure(), (404, Some("SessionNotFound")));
    }

    /// The pictures that Azure keeps of a session that was created so.
    fn finds_pictures(&mut self) {
        if !self.has_pictures() {
            return;
        }
        let id = "5e551017-0000-4000-8000-0000000000ff";
        let plan = json!({"attempts": [{"session_image": true}]});
        self.stand.put(Twin::Plain, id, 60, &plan);
        let outcome = self.stand.reaches(&Call::Get(Twin::Plain, id));
        let image = self.result(outcome.value())["sessionImageId"].as_str().unwrap().to_owned();
        let picture = self.stand.reaches(&Call::Image(&image)).bytes();
        let root = if self.stand.is_ga() { "sessionImages" } else { "session/sessionImages" };
        let target = format!("/face/{}/{root}/{image}", self.stand.client.version);
        let kept = self.stand.emulator.send(Request::get(&target)).body;
        assert!(kept.starts_with(b"\xFF\xD8"), "{kept:?}");
        assert_eq!(picture, const_hex::encode(kept));
        let outcome = self.stand.reaches(&Call::Image("Anowhere"));
        assert_eq!((outcome.ok(), outcome.statuses()), (false, vec![404]));
    }

    fn id<'s>(&self, session: &'s Value) -> &'s str {
        let member = if self.stand.is_ga() { "sessionId" } else { "id" };
        session[member].as_str().unwrap_or_else(|| panic!("{session:#}"))
    }

    /// The latest attempt's entry or result.
    fn result<'s>(&self, session: &'s Value) -> &'s Value {
        if !self.stand.is_ga() {
            return &session["result"];
        }
        let attempts = session["results"]["attempts"].as_array().unwrap();
        let latest = attempts.iter().max_by_key(|attempt| attempt["attemptId"].as_u64());
        latest.map_or(&Value::Null, |attempt| &attempt["result"])
    }

    /// Whether the version knows of pictures and their hashes.
    fn has_pictures(&self) -> bool {
        self.stand.client.version != "v1.1-preview.1"
    }

    pub(super) fn assert_success(&self, twin: Twin, session: &Value, decision: Option<&str>) {
        let result = self.result(session);
        let digest = result["digest"].as_str().unwrap_or_else(|| panic!("{session:#}"));
        assert_eq!(digest.len(), 64, "{digest}");
        let judged = if self.stand.is_ga() { result } else { &result["response"]["body"] };
        assert_eq!(judged["livenessDecision"], decision.unwrap_or("realface"), "{session:#}");
        if self.stand.is_ga() {
            // nothing can change any more, and so nothing is left of the token
            assert_eq!(session["authToken"], "", "{session:#}");
        } else {
            assert_eq!(session["sessionExpired"], true, "{session:#}");
        }
        let verified = judged["verifyResult"]["isIdentical"].as_bool();
        assert_eq!(verified, (twin == Twin::Verify).then_some(true), "{session:#}");
    }

    /// The first of the two attempts, where the body tells of it.
    fn assert_mask(&self, session: &Value) {
        if !self.stand.is_ga() {
            return;
        }
        let attempts = session["results"]["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 2, "{session:#}");
        let first = attempts.iter().find(|attempt| attempt["attemptId"] == 1).unwrap();
        assert_eq!(first["attemptStatus"], "Failed");
        assert_eq!(first["error"]["code"], "FaceWithMaskDetected");
    }

    /// Python makes objects of what comes; their types must hold.
    fn assert_typed(&self, outcome: &Outcome, state: &str) {
        if !self.stand.client.kit.is_python() {
            return;
        }
        assert_eq!(outcome.attribute("status"), ("FaceSessionStatus", state));
        assert_eq!(outcome.attribute("created_date_time").0, "datetime");
        let expired = if state == "ResultAvailable" { "True" } else { "False" };
        assert_eq!(outcome.attribute("session_expired"), ("bool", expired));
        let digest = outcome.attribute("result.digest");
        let expected =
            if state == "ResultAvailable" { ("str", DIGEST) } else { ("NoneType", "None") };
        assert_eq!(digest, expected);
    }
}

fn texts<'v>(list: &'v Value, member: &str) -> Vec<&'v str> {
    let list = list.as_array().unwrap_or_else(|| panic!("{list:#}"));
    list.iter().map(|item| item[member].as_str().unwrap()).collect()
}
