//! Tokens of Entra's in the place of keys.

use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::face::{Face, refusals};
use super::stage::{AUDIT, LIST, SESSIONS, Stage, unauthorized, unavailable};
use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, Builder, TOKEN};
use crate::support::http::Request;
use crate::support::upstream::{Recorded, Upstream, answer};
use crate::support::wait;

const SECRET: &str = "client-secret~with.all-that/is=in+them";
const ASSERTION: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJsaXZlZ2F0ZSJ9.c2lnbmVk";
const TENANT: &str = "tenant_id = \"11112222-bbbb-3333-cccc-4444dddd5555\"\nclient_id = \"00001111-aaaa-2222-bbbb-3333cccc4444\"\n";
const PATH: &str = "/11112222-bbbb-3333-cccc-4444dddd5555/oauth2/v2.0/token";

/// A gateway that shows tokens of this authority's, which these lines ask for.
fn builder(endpoint: &str, authority: &str, identity: &str) -> Builder {
    Builder::new(endpoint)
        .authority(&format!("[upstreams.entra]\n{identity}\nauthority_host = \"{authority}\"\n"))
        .file("client-secret", format!("{SECRET}\n"))
        .file("assertion", ASSERTION)
        .app_with("onboarding", TOKEN, &ALL_ROUTES, "enrich = false\n")
}

fn with_secret() -> String {
    format!("{TENANT}client_secret = {{ file = \"client-secret\" }}")
}

/// Gives out token-1, token-2 and so on, or says what the test says.
struct Authority {
    upstream: Upstream,
    says: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Authority {
    fn start(seconds: u32) -> Self {
        let (says, count) = (Arc::new(Mutex::new(None)), Mutex::new(0));
        let script = Arc::clone(&says);
        let upstream = Upstream::plain(move |_: &Recorded| {
            let said: Option<Vec<u8>> = script.lock().unwrap().clone();
            said.unwrap_or_else(|| {
                let mut count = count.lock().unwrap();
                *count += 1;
                let given = json!({"access_token": format!("token-{count}"), "token_type": "Bearer", "expires_in": seconds});
                answer(200, &[("Content-Type", "application/json")], given.to_string().as_bytes())
            })
        });
        Self { upstream, says }
    }

    fn says(&self, said: Option<Vec<u8>>) {
        *self.says.lock().unwrap() = said;
    }

    fn asked(&self) -> usize {
        self.upstream.recorded().len()
    }
}

/// A resource that takes any token, an authority and a gateway between them.
fn set(seconds: u32) -> (Face, Authority, Stage) {
    let (face, authority) = (Face::start(), Authority::start(seconds));
    face.accepts_all();
    let stage = Stage::of(builder(&face.url(), &authority.upstream.url(), &with_secret()));
    (face, authority, stage)
}

fn form(request: &Recorded) -> Vec<(String, String)> {
    form_urlencoded::parse(&request.body).into_owned().collect()
}

fn told(stage: &Stage) -> Value {
    stage.upstream()["token"].clone()
}

#[test]
fn a_token_goes_in_the_place_of_a_key() {
    let (face, authority, stage) = set(3600);
    for _ in 0..3 {
        assert_eq!(stage.get(LIST).status, 200);
    }
    assert_eq!(face.shown(), ["token-1"; 3]);
    assert_eq!(authority.asked(), 1);
    let asked = &authority.upstream.recorded()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", PATH));
    let kind = asked.headers.get("content-type");
    assert_eq!(kind, Some("application/x-www-form-urlencoded"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        pair("grant_type", "client_credentials"),
        pair("client_id", "00001111-aaaa-2222-bbbb-3333cccc4444"),
        pair("scope", "https://cognitiveservices.azure.com/.default"),
        pair("client_secret", SECRET),
    ];
    assert_eq!(form(asked), expected);
    let token = told(&stage);
    assert_eq!((&token["requests"], &token["problem"]), (&json!(3), &Value::Null));
    assert!(token["lastAcceptedAt"].is_string() && token["lastRefusedAt"].is_null(), "{token}");
    let labels = [("upstream", "emulated"), ("slot", "token"), ("outcome", "ok")];
    assert_eq!(stage.count("livegate_key_requests_total", &labels), 3);
    let ends: jiff::Timestamp = token["expiresAt"].as_str().unwrap().parse().unwrap();
    let expiry = stage.count("livegate_key_expiry_timestamp_seconds", &[("slot", "token")]);
    assert_eq!(i64::try_from(expiry).unwrap(), ends.as_second());
    let fetched: jiff::Timestamp = token["fetchedAt"].as_str().unwrap().parse().unwrap();
    assert!((3599..=3600).contains(&(ends.as_second() - fetched.as_second())), "{token}");
    let printed = stage.keys(&[]).stdout;
    assert!(printed.contains(&format!("emulated token: ends {ends}")), "{printed}");
    assert_eq!(stage.choose("primary").status, 404);
}

#[test]
fn a_federated_token_is_read_anew_for_each_token() {
    let (face, authority) = (Face::start(), Authority::start(3600));
    face.accepts(&["token-1"]);
    let identity = format!("{TENANT}federated_token_file = \"assertion\"");
    let stage = Stage::of(builder(&face.url(), &authority.upstream.url(), &identity));
    assert_eq!(stage.get(LIST).status, 200);
    stage.put("assertion", "another.assertion.altogether");
    face.accepts(&["token-2"]);
    assert_eq!(stage.get(LIST).status, 200);
    let shown = authority.upstream.recorded().iter().map(form).collect::<Vec<_>>();
    for (form, assertion) in shown.iter().zip([ASSERTION, "another.assertion.altogether"]) {
        let has = |name: &str, value: &str| form.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("client_assertion", assertion), "{form:?}");
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert!(has("client_assertion_type", kind), "{form:?}");
    }
    assert_eq!(shown.len(), 2);
}

#[test]
fn a_managed_identity_asks_its_machine() {
    let (face, machine) = (Face::start(), Authority::start(3600));
    face.accepts_all();
    let identity = format!(
        "managed_identity = true\nclient_id = \"00001111-aaaa-2222-bbbb-3333cccc4444\"\nidentity_endpoint = \"{}/metadata/identity/oauth2/token\"",
        machine.upstream.url()
    );
    let lines = format!("[upstreams.entra]\n{identity}\n");
    let stage = Stage::of(builder(&face.url(), "https://unused.test", "").authority(&lines));
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(face.shown(), ["token-1"]);
    let asked = &machine.upstream.recorded()[0];
    assert_eq!((asked.method.as_str(), asked.headers.get("metadata")), ("GET", Some("true")));
    let (path, query) = asked.target.split_once('?').unwrap();
    assert_eq!(path, "/metadata/identity/oauth2/token");
    let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let expected = [
        ("api-version", "2018-02-01"),
        ("resource", "https://cognitiveservices.azure.com"),
        ("client_id", "00001111-aaaa-2222-bbbb-3333cccc4444"),
    ];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// Keys are switched off there, and its own tokens are looked at.
#[test]
fn the_emulator_takes_tokens_and_no_keys() {
    let emulator = Emulator::start();
    emulator.control("PUT", "/emulator/entra", &json!({"local_auth": false}));
    let identity = format!("{TENANT}federated_token_file = \"assertion\"");
    let stage = Stage::of(builder(&emulator.url(), &emulator.url(), &identity));
    let create = || {
        Request::new("POST", SESSIONS)
            .json(&json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "device"}))
    };
    assert_eq!(stage.send(create()).status, 200);
    // Another token, inside the same create.
    emulator.control("PUT", "/emulator/entra", &json!({"revoke": true}));
    assert_eq!(stage.send(create()).status, 200);
    assert_eq!(stage.get(LIST).json().as_array().map(Vec::len), Some(2));
    let with_key = super::stage::builder(&emulator.url()).upstream(super::stage::NO_PROBES);
    unauthorized(&Stage::of(with_key).get(LIST));
}

#[test]
fn a_token_that_azure_refuses_is_followed_by_a_fresh_one_once() {
    for (name, refusal) in refusals() {
        let (face, authority, stage) = set(3600);
        face.refuses_with(refusal);
        assert_eq!(stage.get(LIST).status, 200, "{name}");
        face.accepts(&["token-2"]);
        let create = Request::new("POST", SESSIONS).json(&json!({"a": "b".repeat(100_000)}));
        assert_eq!(stage.send(create).status, 200, "{name}");
        assert_eq!(face.shown(), ["token-1", "token-1", "token-2"], "{name}");
        let posted = face.recorded().into_iter().filter(|request| request.method == "POST");
        assert!(posted.map(|request| request.body.len()).eq([100_008; 2]), "{name}");
        // Where the fresh one is refused too, that is all.
        face.accepts(&[]);
        unauthorized(&stage.get(LIST));
        assert_eq!(face.shown(), ["token-2", "token-3"], "{name}");
        assert_eq!(authority.asked(), 3, "{name}");
    }
}

/// Everybody who needs one waits for the same fetch.
#[test]
fn one_fetches_for_all() {
    let (face, authority, stage) = set(3600);
    assert_eq!(stage.get(LIST).status, 200);
    face.accepts(&["token-2"]);
    let held = face.hold(AUDIT);
    let requests: Vec<_> = (0..20).map(|_| stage.sending(Request::get(AUDIT))).collect();
    face.until_asked(21);
    held.release();
    for request in requests {
        assert_eq!(request.join().unwrap().status, 200);
    }
    assert_eq!(authority.asked(), 2);
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let (face, authority, stage) = set(4);
    let renewed = wait::until(|| {
        assert_eq!(stage.get(LIST).status, 200);
        (authority.asked() >= 3).then_some(())
    });
    assert!(renewed.is_some());
    assert!(face.shown().iter().any(|shown| shown == "token-2"));
    // While the authority is away the last good one serves.
    authority.says(Some(answer(500, &[], b"")));
    let failed = wait::until(|| {
        let status = stage.get(LIST).status;
        let problem = told(&stage)["problem"].as_str().map(str::to_owned);
        assert!(status == 200 || problem.is_some(), "{status} {problem:?}");
        problem
    });
    assert!(failed.unwrap().contains("500"));
    // Until it ends; then there is nothing to show.
    let over = wait::until(|| Some(stage.get(LIST)).filter(|answer| answer.status != 200));
    unavailable(&over.unwrap());
    assert!(!stage.ready());
    authority.says(None);
    assert!(wait::until(|| (stage.get(LIST).status == 200).then_some(())).is_some());
}

/// Whoever changes a timeout while the authority is away does not lose a token that is good for an hour.
#[test]
fn a_token_outlives_a_reload_that_leaves_its_identity() {
    let (face, authority, stage) = set(3600);
    assert_eq!(stage.get(LIST).status, 200);
    authority.says(Some(answer(500, &[], b"")));
    stage.exchange("tier = \"unlimited\"\n", "tier = \"unlimited\"\ntimeout = \"29s\"\n");
    assert_eq!(stage.reload().status, 200);
    face.arrived();
    assert_eq!(stage.get(LIST).status, 200);
    assert!(stage.ready());
    assert_eq!(authority.asked(), 1);
    let active = [("upstream", "emulated"), ("slot", "token")];
    assert_eq!(stage.metric("livegate_key_active", &active), Some(1.0));
    // Another identity has no right to it.
    stage.exchange("00001111-aaaa", "00002222-aaaa");
    assert_eq!(stage.reload().status, 200);
    unavailable(&stage.get(LIST));
    assert!(!stage.ready());
    assert_eq!(stage.metric("livegate_key_active", &active), Some(0.0));
}

/// What is shown may change with the configuration, and nothing is told of what is gone.
#[test]
fn keys_that_follow_a_token_are_told_in_its_place() {
    let (face, _authority, stage) = set(3600);
    assert_eq!(stage.get(LIST).status, 200);
    let gauge =
        |slot| stage.metric("livegate_key_active", &[("upstream", "emulated"), ("slot", slot)]);
    assert_eq!((gauge("token"), gauge("primary")), (Some(1.0), None));
    let config = fs::read_to_string(stage.gateway.scratch.path("livegate.toml")).unwrap();
    let (before, rest) = config.split_once("[upstreams.entra]").unwrap();
    let (_, after) = rest.split_once("[[apps]]").unwrap();
    let keys = "[upstreams.keys]\nprimary = { file = \"client-secret\" }\n";
    stage.put("livegate.toml", format!("{before}{keys}[[apps]]{after}"));
    assert_eq!(stage.reload().status, 200);
    assert_eq!(stage.get(LIST).status, 200);
    assert_eq!(face.shown().last().map(String::as_str), Some(SECRET));
    assert_eq!((gauge("token"), gauge("primary")), (None, Some(1.0)));
    let read = [("source", "admin"), ("result", "ok")];
    assert_eq!(stage.metric("livegate_key_reloads_total", &read), Some(1.0));
}

#[test]
fn what_the_authority_says_is_told_without_a_secret() {
    let invalid = json!({"error": "invalid_client", "error_description": format!("AADSTS7000215: Invalid client secret {SECRET}.")});
    let refused = answer(401, &[], invalid.to_string().as_bytes());
    let huge = answer(200, &[], &vec![b' '; 1 << 20]);
    let split = json!({"access_token": "to\r\nken", "expires_in": 60}).to_string();
    for (said, part) in [
        (refused, "401 Unauthorized, invalid_client, AADSTS7000215"),
        (answer(200, &[], b"<html>"), "holds no token"),
        (answer(302, &[("Location", "http://127.0.0.1:1/")], b""), "302"),
        (huge, "too long"),
        (answer(200, &[], split.as_bytes()), "token"),
        (answer(200, &[], b"{\"access_token\":\"t\"}"), "how long"),
        (Vec::new(), ""),
    ] {
        let (face, authority) = (Face::start(), Authority::start(3600));
        authority.says(Some(said));
        let stage =
            Stage::of(builder(&face.url(), &authority.upstream.url(), &with_secret()).keyless());
        let answer = stage.get(LIST);
        unavailable(&answer);
        assert!(face.recorded().is_empty() && !stage.ready(), "{part}");
        let problem = told(&stage)["problem"].as_str().unwrap().to_owned();
        assert!(problem.contains(part), "{problem}");
        let log = stage.gateway.process.stderr();
        let all = stage.page("/status")
            + &stage.page("/")
            + &stage.page("/metrics")
            + &log
            + &answer.text();
        assert!(!all.contains(SECRET) && log.contains("no token could be fetched"), "{all}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_told_and_heals() {
    let (face, authority) = (Face::start(), Authority::start(3600));
    face.accepts_all();
    let identity = format!("{TENANT}client_secret = {{ file = \"later\" }}");
    let stage = Stage::of(builder(&face.url(), &authority.upstream.url(), &identity).keyless());
    unavailable(&stage.get(LIST));
    assert!(told(&stage)["problem"].is_string(), "{}", told(&stage));
    fs::write(stage.gateway.scratch.path("later"), SECRET).unwrap();
    assert!(wait::until(|| (stage.get(LIST).status == 200).then_some(())).is_some());
    assert!(stage.ready());
}
