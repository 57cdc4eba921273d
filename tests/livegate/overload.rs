//! Beyond its limits the gateway says so at once, and serves on within them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use serde_json::json;

use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Connection, Request};
use crate::support::upstream::{Upstream, answer};
use crate::support::wait;

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
const AUDIT: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/abc/audit";
const OTHER: &str = "another-apps-token-4471";

fn rejected(gateway: &Gateway, reason: &str) -> u64 {
    let text = Request::get("/metrics").send(gateway.admin).text();
    let ours = |line: &&str| {
        line.starts_with("livegate_http_requests_rejected_total")
            && line.contains(&format!("reason=\"{reason}\""))
    };
    let lines = text.lines().filter(ours);
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.error_code().as_str()), (status, code), "{answer:?}");
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&seconds));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn connections_beyond_the_limit_are_told_so() {
    let emulator = Emulator::start();
    let gateway = Builder::new(&emulator.url())
        .tls()
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .more("[server]\nmax_connections = 3\n")
        .start();
    let session = format!("{SESSIONS}/abc");
    let asked = Request::get(&session).key(TOKEN);
    let mut held: Vec<_> = (0..3).map(|_| Connection::open(gateway.public)).collect();
    for connection in &mut held {
        assert_eq!(connection.send(&asked).status, 404);
    }
    for _ in 0..5 {
        let mut surplus = Connection::open(gateway.public);
        let told = surplus.send(&asked);
        refused(&told, 503, "ServiceUnavailable");
        assert_eq!(told.header("connection"), Some("close"));
        assert!(surplus.closed());
    }
    // The same over TLS, with either protocol.
    for protocol in ["--http1.1", "--http2"] {
        let port = gateway.secure.unwrap().port();
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "30", protocol, "-w", "%{http_code}", "-o", "/dev/null"])
            .args(["--cacert".as_ref(), gateway.certs.authority.as_os_str()])
            .arg(format!("https://localhost:{port}{session}"))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "503", "{protocol}: {output:?}");
    }
    assert_eq!(rejected(&gateway, "shed"), 7);
    for connection in &mut held {
        assert_eq!(connection.send(&asked).status, 404, "who is served is served on");
    }
    held.pop();
    let again = || (asked.send(gateway.public).status == 404).then_some(());
    assert!(wait::until(again).is_some());
}

/// Asks for a session that does not end, and holds on.
fn hold(gateway: &Gateway, token: &str, id: usize) -> Connection {
    let mut connection = Connection::open(gateway.public);
    let wait = "Prefer: wait=60";
    let head = format!("GET {SESSIONS}/s-{id} HTTP/1.1\r\nHost: a\r\n{wait}\r\n");
    let head = format!("{head}Ocp-Apim-Subscription-Key: {token}\r\n\r\n");
    connection.write(head.as_bytes()).unwrap();
    connection
}

fn stage(server: &str, app: &str) -> (Emulator, Gateway) {
    let emulator = Emulator::start();
    for id in 0..4 {
        emulator.put_session(&json!({"id": format!("s-{id}")}));
    }
    let gateway = Builder::new(&emulator.url())
        .app_with("greedy", TOKEN, &ALL_ROUTES, app)
        .app("modest", OTHER, &ALL_ROUTES)
        .more(&format!("[server]\n{server}\n"))
        .start();
    (emulator, gateway)
}

/// How many requests are under way.
fn until_under_way(gateway: &Gateway, count: u64) {
    let name = "livegate_http_requests_in_flight{route=\"session\"} ";
    let seen = || {
        let text = Request::get("/metrics").send(gateway.admin).text();
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        (line.parse::<u64>().ok()? == count).then_some(())
    };
    assert!(wait::until(seen).is_some());
}

#[test]
fn requests_beyond_the_limit_are_told_so() {
    let (_emulator, gateway) = stage("max_requests = 4", "");
    let mut held: Vec<_> = (0..4).map(|id| hold(&gateway, TOKEN, id)).collect();
    until_under_way(&gateway, 4);
    for token in [TOKEN, OTHER] {
        let told = Request::get(&format!("{SESSIONS}/abc")).key(token).send(gateway.public);
        refused(&told, 503, "ServiceUnavailable");
    }
    // Who is nobody learns nothing of it.
    assert_eq!(Request::get(SESSIONS).send(gateway.public).status, 401);
    assert_eq!(rejected(&gateway, "shed"), 2);
    held.pop();
    let again = || (gateway.get(&format!("{SESSIONS}/abc")).status == 404).then_some(());
    assert!(wait::until(again).is_some());
}

#[test]
fn an_app_beyond_its_limit_is_told_so_and_others_are_not() {
    let (_emulator, gateway) = stage("", "max_requests = 2\n");
    let mut held: Vec<_> = (0..2).map(|id| hold(&gateway, TOKEN, id)).collect();
    until_under_way(&gateway, 2);
    let ask =
        |token: &str| Request::get(&format!("{SESSIONS}/abc")).key(token).send(gateway.public);
    for _ in 0..3 {
        refused(&ask(TOKEN), 429, "TooManyRequests");
        assert_eq!(ask(OTHER).status, 404);
    }
    assert_eq!(rejected(&gateway, "app_limit"), 3);
    held.pop();
    assert!(wait::until(|| (ask(TOKEN).status == 404).then_some(())).is_some());
}

#[test]
fn an_app_beyond_its_rate_is_told_so_and_others_are_not() {
    let (emulator, gateway) = stage("", "per_second = 2\n");
    let ask =
        |token: &str| Request::get(&format!("{SESSIONS}/abc")).key(token).send(gateway.public);
    let answers: Vec<_> = (0..50).map(|_| ask(TOKEN)).collect();
    let refusals: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(refusals.len() >= 30, "{}", refusals.len());
    refusals.iter().for_each(|answer| refused(answer, 429, "TooManyRequests"));
    assert_eq!(emulator.requests().len() + refusals.len(), 50);
    assert_eq!(ask(OTHER).status, 404);
    assert!(wait::until(|| (ask(TOKEN).status == 404).then_some(())).is_some());
}

/// Answers that nobody reads do not fill the memory.
#[test]
fn long_answers_take_only_so_much_memory() {
    const LONG: usize = 15 << 20;
    let upstream = Upstream::plain(|_| answer(200, &[], &vec![b' '; LONG]));
    let gateway = Builder::new(&upstream.url())
        .app_with("onboarding", TOKEN, &ALL_ROUTES, "enrich = false\n")
        .start();
    let ask = || {
        let mut client = TcpStream::connect(gateway.public).unwrap();
        let head = format!("GET {AUDIT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        write!(client, "{head}Ocp-Apim-Subscription-Key: {TOKEN}\r\n\r\n").unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).unwrap();
        (client, String::from_utf8_lossy(&status[9..]).into_owned())
    };
    let asked = thread::scope(|scope| {
        let asked: Vec<_> = (0..24).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect::<Vec<_>>()
    });
    let told = |status| asked.iter().filter(|(_, told)| told == status).count();
    // 8 of them are as much as 128 MiB hold; those that came together may have kept each other out.
    assert!((1..=8).contains(&told("200")), "{}", told("200"));
    assert_eq!(told("200") + told("503"), 24);
    assert_eq!(rejected(&gateway, "shed"), told("503") as u64);
    drop(asked);
    assert!(wait::until(|| (gateway.get(AUDIT).status == 200).then_some(())).is_some());
}
