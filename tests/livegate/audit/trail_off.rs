//! The access trail is switched off by its target, and nothing else of the log with it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::memory::stage::{Stage, session};
use crate::support::gateway::TOKEN;
use crate::support::http::Request;
use crate::support::wait;

/// A second gateway of the same configuration; killed when dropped.
pub(super) struct Second(pub(super) Child);

impl Second {
    /// Its log goes there, by this `RUST_LOG` if there is one.
    pub(super) fn start(stage: &Stage, filter: Option<&str>, log: Stdio) -> Self {
        let config = stage.gateway.scratch.path("livegate.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_livegate"));
        command.args(["serve".as_ref(), "--config".as_ref(), config.as_os_str()]);
        command.env_remove("RUST_LOG").envs(filter.map(|filter| ("RUST_LOG", filter)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().unwrap())
    }

    /// Tells it to stop. How it ended, if it did.
    pub(super) fn stop(&mut self) -> Option<ExitStatus> {
        let sent = Command::new("kill").arg("-TERM").arg(self.0.id().to_string()).status();
        assert!(sent.unwrap().success());
        wait::until(|| self.0.try_wait().unwrap())
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a gateway with this `RUST_LOG` wrote, until it had answered a read and stopped.
fn log(stage: &Stage, filter: &str) -> Vec<Value> {
    let printed = stage.gateway.scratch.path("second.err");
    let log = File::create(&printed).unwrap();
    let mut second = Second::start(stage, Some(filter), log.into());
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
    assert!(second.stop().is_some_and(|status| status.success()));
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
