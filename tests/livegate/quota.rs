//! Azure is asked no more than it allows, and left alone when it asks for that; what is asked is shared out fairly.

mod rest;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Connection, Request};

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
const OTHER: &str = "another-apps-token-4471";

/// An emulated resource that allows ten calls in any second, and a gateway that knows it.
fn stage(lines: &str) -> (Emulator, Gateway) {
    let emulator = Emulator::start();
    emulator.control("PUT", "/emulator/limits", &json!({"tier": "S0"}));
    let gateway = Builder::new(&emulator.url())
        .tier("\"S0\"")
        .upstream(lines)
        .app("greedy", TOKEN, &ALL_ROUTES)
        .app("modest", OTHER, &ALL_ROUTES)
        .cache("running_ttl = \"0s\"\n")
        .start();
    (emulator, gateway)
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = Request::get("/metrics").send(gateway.admin).text();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Azure never had to refuse a call.
fn never_throttled(gateway: &Gateway) {
    let azures = "livegate_upstream_throttled_total{source=\"azure_429\",upstream=\"emulated\"}";
    assert_eq!(metric(gateway, azures), 0);
}

#[track_caller]
fn held_back(answer: &Answer) {
    assert_eq!((answer.status, answer.error_code().as_str()), (429, "TooManyRequests"));
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=120).contains(&seconds), "{seconds}");
    assert_eq!(answer.header("proxy-status"), Some("livegate; error=http_request_denied"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.text().contains(&format!("Try again in {seconds} seconds.")), "{answer:?}");
}

/// Asks for these sessions over and over, on so many connections, until told to stop.
fn flood(
    gateway: &Gateway,
    connections: usize,
    stop: &AtomicBool,
    told: &(impl Fn(&Answer) + Sync),
) {
    thread::scope(|scope| {
        for number in 0..connections {
            scope.spawn(move || {
                let mut connection = Connection::open(gateway.public);
                let mut asked = 0;
                while !stop.load(Ordering::SeqCst) {
                    asked += 1;
                    let id = format!("s-{number}-{}", asked % 5);
                    told(&connection.send(&Request::get(&format!("{SESSIONS}/{id}")).key(TOKEN)));
                }
            });
        }
    });
}

#[test]
fn a_flood_of_polls_reaches_azure_as_what_it_allows_and_finals_still_come() {
    let (emulator, gateway) = stage("");
    for number in 0..100 {
        for id in 0..5 {
            let id = format!("s-{number}-{id}");
            emulator.put_session(&json!({"id": id, "final": true}));
        }
    }
    let (finals, held, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    flood(&gateway, 100, &stop, &|answer| {
        match answer.status {
            200 => {
                let hit = answer.header("cache-status").unwrap().contains("hit");
                // What is kept costs nothing, and is not held back.
                let finals = if hit { 0 } else { finals.fetch_add(1, Ordering::SeqCst) + 1 };
                if finals >= 20 {
                    stop.store(true, Ordering::SeqCst);
                }
            }
            _ => {
                held_back(answer);
                held.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    assert!(held.load(Ordering::SeqCst) > 100, "{}", held.load(Ordering::SeqCst));
    never_throttled(&gateway);
    let ours = "livegate_upstream_throttled_total{source=\"local_budget\",upstream=\"emulated\"}";
    assert_eq!(metric(&gateway, ours), held.load(Ordering::SeqCst) as u64);
    // Nobody was asked twice, and nothing was lost.
    assert_eq!(emulator.requests().len(), finals.load(Ordering::SeqCst));
}

#[test]
fn creates_find_something_left_and_one_apps_flood_is_not_anothers_trouble() {
    let (emulator, gateway) = stage("");
    for number in 0..5 {
        emulator.put_session(&json!({"id": format!("modest-{number}"), "final": true}));
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| flood(&gateway, 100, &stop, &|_| {}));
        // The flood has used up its share by then.
        let held = "livegate_upstream_throttled_total{source=\"local_budget\"";
        while metric(&gateway, held) == 0 {}
        let wish = json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone"});
        for number in 0..5 {
            let session = Request::get(&format!("{SESSIONS}/modest-{number}")).key(OTHER);
            let told = session.send(gateway.public);
            assert_eq!(told.status, 200, "{}", told.text());
            let create = Request::new("POST", SESSIONS).json(&wish).key(OTHER);
            let told = create.send(gateway.public);
            assert_eq!(told.status, 200, "{}", told.text());
        }
        stop.store(true, Ordering::SeqCst);
    });
    never_throttled(&gateway);
}

/// Who waits for a session has time to wait for a turn too.
#[test]
fn who_is_held_waits_for_a_turn() {
    let (emulator, gateway) = stage("timeout = \"2s\"\n");
    emulator.put_session(&json!({"id": "waited-for", "final": true}));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| flood(&gateway, 100, &stop, &|_| {}));
        let held = "livegate_upstream_throttled_total{source=\"local_budget\"";
        while metric(&gateway, held) == 0 {}
        let session = format!("{SESSIONS}/waited-for");
        let told =
            Request::get(&session).key(TOKEN).header("Prefer", "wait=60").send(gateway.public);
        assert_eq!(told.status, 200, "{}", told.text());
        stop.store(true, Ordering::SeqCst);
    });
    never_throttled(&gateway);
}

#[test]
fn the_share_of_polls_can_be_chosen() {
    let (_emulator, gateway) = stage("poll_share = 0.1\ntimeout = \"1s\"\n");
    let answers = [1, 2].map(|_| gateway.get(&format!("{SESSIONS}/absent")).status);
    // One in each window; the second one would have to wait for longer than half of the time there is.
    assert_eq!(answers, [404, 429]);
    for _ in 0..5 {
        let image = Request::get("/face/v1.2/sessionImages/absent").key(TOKEN);
        assert_eq!(image.send(gateway.public).status, 404);
    }
}
