//! What happens to processes and machines: an upstream that is killed or stopped, a full disk, no file descriptors, a clock that is set.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::json;

use super::stage::{SESSION, SESSIONS, failed};
use crate::support::emulator::Emulator;
use crate::support::free;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Connection, Request};
use crate::support::wait;

fn stage(lines: &str) -> (Emulator, Gateway) {
    // One of them comes back to where it was.
    let emulator = Emulator::start_at(&free::address().to_string());
    emulator.put_session(&json!({"id": "abc", "final": true}));
    emulator.put_session(&json!({"id": "kept", "final": true}));
    let gateway = Builder::new(&emulator.url())
        .upstream(lines)
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .cache("running_ttl = \"0s\"\n")
        .start();
    assert_eq!(gateway.get(&format!("{SESSIONS}/kept")).status, 200);
    (emulator, gateway)
}

/// What is kept is told, whatever becomes of Azure.
fn still_tells_what_is_kept(gateway: &Gateway) {
    let kept = gateway.get(&format!("{SESSIONS}/kept"));
    assert!(kept.status == 200 && kept.header("cache-status").unwrap().contains("hit"), "{kept:?}");
}

#[test]
fn an_upstream_that_is_killed_and_comes_back() {
    let (emulator, gateway) = stage("");
    let address = emulator.address.to_string();
    emulator.strike_once(&json!("hang"));
    thread::scope(|scope| {
        let asked = scope.spawn(|| gateway.get(SESSION));
        assert!(wait::until(|| (emulator.requests().len() == 2).then_some(())).is_some());
        emulator.process.signal("KILL");
        // Its connection breaks. Whether the second one is still taken in a dying process's name is the system's matter.
        let answer = asked.join().unwrap();
        let taken = answer.header("proxy-status").is_some_and(|told| told.contains("terminated"));
        let kind = if taken { "connection_terminated" } else { "connection_refused" };
        failed("killed", &answer, 503, "UpstreamUnavailable", kind);
    });
    still_tells_what_is_kept(&gateway);
    drop(emulator);
    let answer = gateway.get(SESSION);
    failed("gone", &answer, 503, "UpstreamUnavailable", "connection_refused");
    let emulator = Emulator::start_at(&address);
    emulator.put_session(&json!({"id": "abc", "final": true}));
    assert_eq!(gateway.get(SESSION).status, 200);
}

#[test]
fn an_upstream_that_stands_still_and_goes_on() {
    let (emulator, gateway) = stage("timeout = \"1s\"\n");
    emulator.process.signal("STOP");
    for id in ["abc", "other"] {
        let answer = gateway.get(&format!("{SESSIONS}/{id}"));
        failed("stopped", &answer, 504, "UpstreamTimeout", "http_response_timeout");
    }
    still_tells_what_is_kept(&gateway);
    emulator.process.signal("CONT");
    assert_eq!(gateway.get(SESSION).status, 200);
}

#[test]
fn a_full_disk_for_the_log_is_nobodys_trouble() {
    let (emulator, gateway) = stage("");
    let address = free::address().to_string();
    let config = fs::read_to_string(gateway.scratch.path("livegate.toml")).unwrap();
    let config = config.replacen("127.0.0.1:0", &address, 1);
    let config = gateway.scratch.write("second.toml", config);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut second = Command::new(env!("CARGO_BIN_EXE_livegate"))
        .args(["serve".as_ref(), "--config".as_ref(), config.as_os_str()])
        .stdout(Stdio::null())
        .stderr(full)
        .spawn()
        .unwrap();
    let address = address.parse().unwrap();
    assert!(wait::until(|| TcpStream::connect(address).ok()).is_some());
    let ask = || Request::get(SESSION).key(TOKEN).send(address).status;
    assert_eq!([ask(), ask(), ask()], [200; 3]);
    // Failures are logged, and would be noticed.
    emulator.process.signal("KILL");
    let unknown = Request::get(&format!("{SESSIONS}/unknown")).key(TOKEN);
    for _ in 0..3 {
        assert_eq!(unknown.send(address).status, 503);
    }
    let id = second.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = wait::until(|| second.try_wait().unwrap());
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
}

#[test]
fn who_finds_no_file_descriptor_is_not_served_and_others_are() {
    let emulator = Emulator::start();
    emulator.put_session(&json!({"id": "abc", "final": true}));
    let gateway = Builder::new(&emulator.url())
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .cache("")
        .through("prlimit --nofile=48:48")
        .start();
    let asked = Request::get(SESSION).key(TOKEN);
    let mut served = Connection::open(gateway.public);
    assert_eq!(served.send(&asked).status, 200);
    let crowd: Vec<_> = (0..60).map(|_| TcpStream::connect(gateway.public).unwrap()).collect();
    let full = || gateway.process.stderr().contains("cannot accept a connection").then_some(());
    assert!(wait::until(full).is_some());
    // Who is in is answered from memory; where Azure would have to be asked there is no connection for it.
    assert_eq!(served.send(&asked).status, 200);
    let fresh = served.send(&asked.clone().header("Cache-Control", "no-cache"));
    assert!([200, 503].contains(&fresh.status), "{fresh:?}");
    drop(crowd);
    let again = || {
        let asked = Request::get(&format!("{SESSIONS}/unknown")).key(TOKEN);
        (TcpStream::connect(gateway.public).is_ok() && asked.send(gateway.public).status == 404)
            .then_some(())
    };
    assert!(wait::until(again).is_some());
}

/// The wall clock is set forth and back while it runs; libfaketime does that.
#[test]
fn a_clock_that_is_set_loses_nothing_and_holds_nothing_up() {
    let library = ["x86_64", "aarch64"]
        .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"));
    let library = library.iter().find(|path| fs::exists(path).unwrap());
    let library = library.expect("libfaketime: see tests/README.md");
    let emulator = Emulator::start();
    emulator.put_session(&json!({"id": "kept", "final": true}));
    let builder = Builder::new(&emulator.url());
    let builder = builder.file("clock", "+1d").app("onboarding", TOKEN, &ALL_ROUTES);
    let clock = builder.path("clock");
    let command = format!(
        "env LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1",
        clock.display()
    );
    let gateway = builder.cache("running_ttl = \"0s\"\n").through(&command).start();
    let kept = || {
        let answer = gateway.get(&format!("{SESSIONS}/kept"));
        assert_eq!(answer.status, 200);
        let age = answer.header("age").map(|age| age.parse::<u64>().unwrap());
        (answer.header("cache-status").unwrap().contains("hit"), age)
    };
    kept();
    let (hit, age) = kept();
    assert!(hit && age.is_some_and(|age| age < 30));
    // Two days back: nothing is younger for that, and nothing older.
    fs::write(&clock, "-1d").unwrap();
    let (hit, age) = kept();
    assert!(hit && age.is_some_and(|age| age < 30), "{age:?}");
    // Four days ahead of that: nothing is kept so long.
    fs::write(&clock, "+3d").unwrap();
    let (hit, _) = kept();
    assert!(!hit);
    assert!(kept().0);
    // A rest is not made longer by it.
    emulator.fail_once(&json!({"status": 429, "retry_after": "1"}));
    assert_eq!(gateway.get(SESSION).status, 429);
    fs::write(&clock, "-5d").unwrap();
    assert!(wait::until(|| (gateway.get(SESSION).status == 404).then_some(())).is_some());
    assert_eq!(Request::get("/readyz").send(gateway.admin).status, 200);
}
