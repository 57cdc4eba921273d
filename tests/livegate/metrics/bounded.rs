//! However much strangers, apps and Azure make up, the series stay few and say nothing that came with it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::promtool;
use crate::support::gateway::{ALL_ROUTES, Builder, TOKEN};
use crate::support::http::Request;
use crate::support::upstream::{Upstream, answer};

/// Most series that one upstream and one app can make, with the process' own: far below what it would be if one label were open.
const CEILING: usize = 1_200;

/// Numbers that look like chance, the same in each run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.roll() % words.len() as u64).unwrap()]
    }

    /// A word that nobody has used before; all begin alike, so that they are found wherever they come out.
    fn word(&mut self) -> String {
        format!("madeup{:016x}", self.roll())
    }
}

/// What Azure makes up.
fn azure(dice: &mut Dice) -> Vec<u8> {
    let status = 200 + u16::try_from(dice.roll() % 400).unwrap();
    let [model, code, decision, state] = std::array::from_fn(|_| dice.word());
    let status = if dice.roll().is_multiple_of(2) { 200 } else { status };
    let ended = dice.of(&["Succeeded", "Failed", &state]).to_owned();
    let body = format!(
        r#"{{"sessionId":"{code}","status":"{ended}","modelVersion":"{model}","results":{{"attempts":[
        {{"attemptId":{},"attemptStatus":"Failed","error":{{"code":"{code}","message":"m"}}}},
        {{"attemptId":{},"attemptStatus":"{}","result":{{"livenessDecision":"{decision}","digest":"{}"}}}}]}},
        "error":{{"code":"{code}"}}}}"#,
        dice.roll() % 9,
        dice.roll() % 9,
        dice.of(&["Succeeded", &state]),
        dice.word(),
    );
    answer(
        status,
        &[("x-ms-error-code", &code), ("Content-Type", "application/json")],
        body.as_bytes(),
    )
}

/// What an app or a stranger makes up.
fn request(dice: &mut Dice) -> Request {
    let (id, word) = (dice.word(), dice.word());
    let target = match dice.roll() % 8 {
        0 => format!("/{word}/{id}?{word}={id}"),
        1 => format!("/face/{word}/detectLiveness-sessions/{id}"),
        2 => format!(
            "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/{id}/audit?top={word}"
        ),
        3 => format!("/face/v1.2-preview.1/detectLiveness/singleModal/sessions/{id}/audit"),
        4 => format!("/face/v1.2/sessionImages/{id}"),
        5 => format!("/livegate/v1/sessions/{id}/client-digest"),
        6 => format!("/face/v1.2/detectLivenessWithVerify-sessions/{id}"),
        _ => format!("/face/v1.2/detectLiveness-sessions/{id}"),
    };
    let method = dice.of(&["GET", "GET", "GET", "GET", "POST", "PUT", "DELETE", "PATCH", "MADEUP"]);
    let request = Request::new(method, &target).header("User-Agent", &word);
    let request = request.header("traceparent", &word).header("x-ms-client-request-id", &id);
    let digest = format!("{:064x}", dice.roll());
    let request = request.header("Liveness-Client-Digest", &digest);
    match dice.roll() % 4 {
        0 => request.key(&word),
        1 => request.header("Authorization", &format!("{word} {id}")),
        _ => request.key(TOKEN),
    }
}

fn series(metrics: &str) -> BTreeSet<&str> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0).collect()
}

#[test]
fn series_stay_few_whatever_comes() {
    let dice = Arc::new(Mutex::new(Dice(7)));
    let shared = Arc::clone(&dice);
    let upstream = Upstream::plain(move |_| azure(&mut shared.lock().unwrap()));
    let gateway = Builder::new(&upstream.url()).app("onboarding", TOKEN, &ALL_ROUTES).start();
    let mut traffic = Dice(11);
    let mut send = |count: usize| {
        for _ in 0..count {
            drop(request(&mut traffic).try_send(gateway.public));
        }
        Request::get("/metrics").send(gateway.admin).text()
    };
    let early = send(1_500);
    let late = send(1_500);
    let (early, all) = (series(&early).len(), series(&late).len());
    assert!(all <= CEILING, "{all} series");
    // What is made up later is not new any more.
    assert!(all <= early + early / 10, "{early} series became {all}");
    // The first few versions of the service's model that are seen are told by themselves.
    let models = late.match_indices("model_version=\"madeup").count();
    assert_eq!(late.matches("madeup").count(), models, "{late}");
    for label in ["code=\"other\"", "route=\"other\"", "error_code=\"other\"", "decision=\"other\""]
    {
        assert!(late.contains(label), "{label} was never made up");
    }
    let (content, told) = promtool(&["check", "metrics"], &late);
    assert!(content && told.is_empty(), "{told}");
}
