//! Whoever takes the log's lines may stop: requests are answered all the same, and the gateway ends when it is told to.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;

use super::trail_off::Second;
use crate::memory::stage::{Stage, session};
use crate::support::gateway::TOKEN;
use crate::support::http::Request;

/// More lines than a pipe holds, which is 64 KiB.
const READS: usize = 500;

#[test]
fn a_log_that_nobody_takes_holds_nobody_up() {
    let stage = Stage::set();
    let mut second = Second::start(&stage, None, Stdio::piped());
    // It is read no further than to the address, and not closed.
    let mut log = BufReader::new(second.0.stderr.take().unwrap()).lines();
    let public = log.find_map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap()).ok()?;
        let meant = line["message"] == "listening" && line["listener"] == "public";
        meant.then(|| line["address"].as_str().unwrap().parse::<SocketAddr>().unwrap())
    });
    for _ in 0..READS {
        let answer = Request::get(&session("abc")).key(TOKEN).send(public.unwrap());
        assert_eq!(answer.status, 404);
    }
    let ended = second.stop();
    drop(log);
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}
