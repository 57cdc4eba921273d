//! Hours of trouble in a short time: memory, descriptors and tasks level off, and what was asked was answered and counted.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Connection, Request};
use crate::support::wait;

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
const AUDITS: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";

/// Clients, how often each of them asks in a round, and how many rounds there are.
const CLIENTS: u64 = 8;
const ASKS: u64 = 700;
const ROUNDS: u64 = 4;

/// Sessions that are asked about, over and over.
const IDS: u64 = 60;

/// Every fault that can be played, one after the other, for a few requests each.
fn troubles() -> Vec<Value> {
    let status = |status: u16| json!({"status": {"status": status}});
    vec![
        json!({"delay": {"ms": 5}}),
        json!({"slow_body": {"ms_per_chunk": 1, "chunk_bytes": 200}}),
        json!("gzip"),
        json!("reset"),
        json!("close"),
        json!("hang"),
        json!({"truncated": {}}),
        json!({"truncated": {"keep_bytes": 1, "reset": true}}),
        json!("garbage_json"),
        json!("garbage_http"),
        json!("endless_body"),
        status(401),
        status(403),
        status(404),
        json!({"status": {"status": 429, "message": "Slow down."}}),
        json!({"status": {"status": 429, "retry_after": "0"}}),
        status(500),
        status(502),
        status(503),
    ]
}

/// Numbers that look random and are the same each time (an LCG of Knuth's).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What was answered, by status, and how many have left before.
#[derive(Default)]
struct Tally {
    answers: Mutex<BTreeMap<u16, u64>>,
    left: AtomicUsize,
}

fn request(dice: &mut Dice) -> Request {
    let id = dice.roll(IDS);
    let session = format!("{SESSIONS}/s-{id}");
    match dice.roll(12) {
        0..=3 => Request::get(&session),
        4 => Request::get(&session).header("Cache-Control", "no-cache"),
        5 => Request::get(&session).header("Prefer", "wait=1"),
        6 => Request::get(&format!("{AUDITS}/s-{id}/audit")),
        7 => Request::get(&format!("{SESSIONS}/s-{id}/audit")),
        8 => Request::new("DELETE", &format!("{SESSIONS}/other-{id}")),
        9 => Request::new("POST", SESSIONS)
            .json(&json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone"})),
        10 => Request::get("/face/v1.2/sessionImages/unknown"),
        _ => Request::get("/face/v1.2/nowhere"),
    }
}

fn client(gateway: &Gateway, emulator: &Emulator, seed: u64, tally: &Tally) {
    let (mut dice, troubles) = (Dice(seed), troubles());
    let mut connection = Connection::open(gateway.public);
    for ask in 0..ASKS {
        if ask % 50 == 0 {
            let effect = &troubles[usize::try_from(dice.roll(troubles.len() as u64)).unwrap()];
            let fault = json!({"times": 4, "effect": effect});
            emulator.control("POST", "/emulator/faults", &fault);
        }
        let known = dice.roll(20) > 0;
        let request = request(&mut dice).key(if known { TOKEN } else { "nobody" });
        connection.write(&request.bytes()).unwrap();
        if dice.roll(25) == 0 {
            // Somebody has lost their patience.
            tally.left.fetch_add(1, Ordering::SeqCst);
            connection = Connection::open(gateway.public);
            continue;
        }
        match connection.read() {
            Ok(answer) => {
                is_ones_own(&request, &answer);
                *tally.answers.lock().unwrap().entry(answer.status).or_default() += 1;
                if answer.header("connection") == Some("close") {
                    connection = Connection::open(gateway.public);
                }
            }
            // What streamed broke off, as it did at Azure: its head was an answer.
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it hangs");
                tally.left.fetch_add(1, Ordering::SeqCst);
                connection = Connection::open(gateway.public);
            }
        }
    }
}

/// Whatever else goes on, who asks for a session is told of no other.
fn is_ones_own(request: &Request, answer: &Answer) {
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let (200, Some(id)) = (answer.status, told["sessionId"].as_str())
        && request.method() == "GET"
    {
        assert!(request.target().ends_with(&format!("/{id}")), "{request:?} {answer:?}");
    }
}

/// All samples of a metric, by the value of this label.
fn by_label(gateway: &Gateway, name: &str, label: &str) -> BTreeMap<String, i64> {
    let text = Request::get("/metrics").send(gateway.admin).text();
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with(name)) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (_, rest) = series.split_once(&format!("{label}=\"")).unwrap_or(("", "\""));
        let value: i64 = value.parse().unwrap();
        *sums.entry(rest.split('"').next().unwrap().to_owned()).or_default() += value;
    }
    sums
}

fn sum(gateway: &Gateway, name: &str) -> i64 {
    by_label(gateway, name, "-").values().sum()
}

/// Tasks, descriptors and KiB of memory, once nothing is under way any more.
fn at_rest(gateway: &Gateway) -> (i64, usize, u64) {
    let quiet = || {
        let under_way = sum(gateway, "livegate_http_requests_in_flight")
            + sum(gateway, "livegate_upstream_requests_in_flight");
        (under_way == 0).then_some(())
    };
    assert!(wait::until(quiet).is_some(), "something is under way for ever");
    let tasks = sum(gateway, "livegate_runtime_tasks");
    (tasks, gateway.process.descriptors(), gateway.process.memory())
}

#[test]
fn nothing_grows_and_nothing_is_lost() {
    let emulator = Emulator::start();
    for id in 0..IDS {
        // Some of them have ended and some have not.
        emulator.put_session(&json!({"id": format!("s-{id}"), "final": id % 3 > 0}));
    }
    let gateway = Builder::new(&emulator.url())
        .upstream("timeout = \"1s\"\nidle_timeout = \"2s\"\nmax_answer = \"256KiB\"\n")
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .cache("ttl = \"1s\"\nrunning_ttl = \"20ms\"\n")
        .more("[server]\nstream_timeout = \"1s\"\n")
        .start();
    let (tally, mut rests) = (Tally::default(), Vec::new());
    for round in 0..ROUNDS {
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (gateway, emulator, tally) = (&gateway, &emulator, &tally);
                scope.spawn(move || client(gateway, emulator, round * 1000 + number, tally));
            }
        });
        emulator.control("DELETE", "/emulator/faults", &Value::Null);
        emulator.control("DELETE", "/emulator/requests", &Value::Null);
        rests.push(at_rest(&gateway));
    }
    let [_, (tasks, files, memory), .., last] = rests[..] else { panic!("{rests:?}") };
    assert!(last.0 <= tasks + 20, "tasks: {rests:?}");
    assert!(last.1 <= files + 20, "descriptors: {rests:?}");
    assert!(last.2 <= memory + (16 << 10), "memory: {rests:?}");
    // Requests in are answers out.
    let counted = by_label(&gateway, "livegate_http_requests_total", "code");
    let answers = tally.answers.into_inner().unwrap();
    let asked = ROUNDS * CLIENTS * ASKS;
    assert_eq!(counted.values().sum::<i64>(), i64::try_from(asked).unwrap(), "{counted:?}");
    // Those who left may have been answered all the same; nobody else may.
    let mut more = 0;
    for (status, count) in &counted {
        let known = status.parse::<u16>().ok().and_then(|status| answers.get(&status));
        let unheard = count - i64::try_from(*known.unwrap_or(&0)).unwrap();
        assert!(unheard >= 0, "{status}: {counted:?} {answers:?}");
        more += unheard;
    }
    assert_eq!(more, i64::try_from(tally.left.into_inner()).unwrap(), "{counted:?} {answers:?}");
    assert!(answers.len() >= 8, "{answers:?}");
    assert_eq!(sum(&gateway, "livegate_panics_total"), 0);
}
