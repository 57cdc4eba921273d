//! Keys are regenerated again and again while apps ask all the time: nobody notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use super::stage::{LIST, SAFE, SESSIONS, Stage, builder};
use crate::support::emulator::Emulator;
use crate::support::gateway::TOKEN;
use crate::support::http::{Connection, Request};
use crate::support::wait;

const ROUNDS: usize = 10;

/// Apps that create, read, list and delete without a pause, on connections that stay open.
struct Load {
    told: Arc<Told>,
    apps: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Told {
    stop: AtomicBool,
    asked: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Load {
    fn start(stage: &Stage) -> Self {
        let (told, public) = (Arc::new(Told::default()), stage.gateway.public);
        let app = |_| {
            let told = Arc::clone(&told);
            thread::spawn(move || {
                let mut app = Connection::open(public);
                while !told.stop.load(Ordering::Relaxed) {
                    told.journey(&mut app);
                }
            })
        };
        let apps = (0..2).map(app).collect();
        Self { told, apps }
    }

    /// Waits for so many more requests.
    #[track_caller]
    fn goes_on(&self, more: usize) {
        let asked = || self.told.asked.load(Ordering::Relaxed);
        let enough = asked() + more;
        let went = wait::until(|| (asked() >= enough).then_some(()));
        assert!(went.is_some(), "{} in place of {enough}", asked());
    }

    #[track_caller]
    fn end(self) {
        self.told.stop.store(true, Ordering::Relaxed);
        self.apps.into_iter().for_each(|app| app.join().unwrap());
        let failed = self.told.failed.lock().unwrap();
        let asked = self.told.asked.load(Ordering::Relaxed);
        assert!(failed.is_empty(), "{} of {asked}: {:?}", failed.len(), failed.first());
    }
}

impl Told {
    fn journey(&self, app: &mut Connection) {
        let create = json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "device"});
        let created = self.ask(app, Request::new("POST", SESSIONS).json(&create));
        let id = created["sessionId"].as_str().unwrap_or("none").to_owned();
        let session = format!("{SESSIONS}/{id}");
        self.ask(app, Request::get(&session));
        self.ask(app, Request::get(LIST));
        self.ask(app, Request::new("DELETE", &session));
    }

    fn ask(&self, app: &mut Connection, request: Request) -> Value {
        let answer = app.send(&request.key(TOKEN));
        self.asked.fetch_add(1, Ordering::Relaxed);
        if !(200..300).contains(&answer.status) {
            self.failed.lock().unwrap().push(format!("{answer:?}"));
        }
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }
}

/// With what the emulator is told beside the slot, and whether the other slot is chosen first.
#[track_caller]
fn drill(lag: &Value, kindly: bool) {
    let emulator = Emulator::start();
    let stage = Stage::of(builder(&emulator.url()).upstream("probe = \"1s\"\n"));
    let load = Load::start(&stage);
    for round in 0..ROUNDS {
        let (slot, other) =
            if round % 2 == 0 { ("primary", "secondary") } else { ("secondary", "primary") };
        load.goes_on(20);
        if kindly {
            assert_eq!(stage.choose(other).status, 200);
            stage.until_verdict(slot, SAFE);
        }
        let number = if slot == "primary" { 1 } else { 2 };
        let mut order = json!({"slot": number, "regenerate": true});
        order.as_object_mut().unwrap().extend(lag.as_object().unwrap().clone());
        let told = emulator.control("POST", "/emulator/keys", &order);
        let key = told["value"].as_str().unwrap().to_owned();
        load.goes_on(20);
        stage.put(&format!("key-{number}"), &key);
        load.goes_on(20);
        // Whatever Azure does not know yet, or knows still, is settled before the next key is touched.
        emulator.advance(120);
        stage.until_accepted(slot, &key);
    }
    load.end();
}

#[test]
fn keys_that_end_at_once() {
    drill(&json!({}), false);
}

#[test]
fn keys_that_azure_accepts_for_longer() {
    drill(&json!({"old_lag_seconds": 60}), false);
}

#[test]
fn keys_that_azure_knows_later() {
    drill(&json!({"new_lag_seconds": 60}), false);
}

#[test]
fn keys_whose_turn_comes_when_they_are_safe() {
    drill(&json!({"lag_seconds": 60}), true);
}
