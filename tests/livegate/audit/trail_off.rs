//! The access trail is switched off by its target, and nothing else of the log with it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::memory::stage::{Stage, session};
use crate::support::gateway::TOKEN;
use crate::support::http::Request;
use crate::support::wait;

/// A second gateway of the same configuration; killed when dropped.
struct Second(Child);

impl Drop for Second {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a gateway with this `RUST_LOG` wrote, until it had answered a read and stopped.
fn log(stage: &Stage, filter: &str) -> Vec<Value> {
    let scratch = &stage.gateway.scratch;
    let printed = scratch.path("second.err");
    let command = Command::new(env!("CARGO_BIN_EXE_livegate"))
        .args(["serve".as_ref(), "--config".as_ref(), scratch.path("livegate.toml").as_os_str()])
        .env("RUST_LOG", filter)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&printed).unwrap())
        .spawn();
    let mut second = Second(command.unwrap());
    let lines = || -> Vec<Value> {
        let text = fs::read_to_string(&printed).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    let listening = |listener: &str| -> SocketAddr {
        let address = wait::until(|| {
            let lines = lines();
            let line = lines
                .iter()
                .find(|line| line["message"] == "listening" && line["listener"] == listener)?;
            line["address"].as_str()?.parse().ok()
        });
        address.unwrap()
    };
    let public = listening("public");
    let answered = wait::until(|| {
        let answer = Request::get(&session("abc")).key(TOKEN).send(public);
        (answer.status == 404).then_some(())
    });
    assert!(answered.is_some());
    let sent = Command::new("kill").arg("-TERM").arg(second.0.id().to_string()).status();
    assert!(sent.unwrap().success());
    let ended = wait::until(|| second.0.try_wait().unwrap());
    assert!(ended.is_some_and(|status| status.success()));
    lines()
}

#[test]
fn the_trail_goes_by_its_target() {
    let stage = Stage::set();
    let of_trail = |line: &&Value| line["target"] == "livegate::access";
    for (filter, is_on) in
        [("info", true), ("info,livegate::access=off", false), ("livegate=info", true)]
    {
        let lines = log(&stage, filter);
        assert_eq!(lines.iter().filter(of_trail).count() > 0, is_on, "{filter}: {lines:#?}");
        assert!(lines.iter().any(|line| line["message"] == "listening"), "{filter}");
    }
}
