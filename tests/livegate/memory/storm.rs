//! A thousand who ask for one session, most of whom leave before there is an answer.

use super::azure::{ok, succeeded};
use super::stage::{ASKING, COLLAPSED, ONE_WORKER, Stage, hit, session, told};
use crate::support::gateway::TOKEN;
use crate::support::http::{Connection, Request};

const ASKERS: usize = 1000;
const LEAVERS: usize = 900;

/// Every route's label, as the gateway has counted it so far.
fn in_flight(stage: &Stage) -> Vec<String> {
    let metrics = Request::get("/metrics").send(stage.gateway.admin).text();
    let families = ["livegate_http_requests_in_flight{", "livegate_upstream_requests_in_flight{"];
    let lines = metrics.lines().filter(|line| families.iter().any(|name| line.starts_with(name)));
    lines.map(str::to_owned).collect()
}

fn ask(stage: &Stage, path: &str) -> Connection {
    let mut connection = Connection::open(stage.gateway.public);
    let get =
        format!("GET {path} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n");
    connection.write(get.as_bytes()).unwrap();
    connection
}

#[test]
fn of_a_thousand_askers_those_who_stay_are_answered_by_one_call() {
    // Other tests of this process have files open too.
    rlimit::increase_nofile_limit(8 * ASKERS as u64).unwrap();
    let stage = Stage::built(|builder| {
        // None of them may be told that the answer took too long, however slow the machine.
        builder.upstream("timeout = \"10m\"\n").more(ONE_WORKER)
    });
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let held = stage.azure.hold("GET");
    let mut askers = vec![ask(&stage, &path)];
    stage.azure.until_asked("GET", &path, 1);
    askers.extend((1..ASKERS).map(|_| ask(&stage, &path)));
    stage.until_metric(ASKING, ASKERS as u64);

    // The first asker, who made the call, is among those who leave.
    let stay = askers.split_off(LEAVERS);
    drop(askers);
    held.release();
    assert_eq!(stay.len(), ASKERS - LEAVERS);
    for mut asker in stay {
        let answer = asker.read().unwrap();
        told(&answer, 200, COLLAPSED);
        assert!(answer.text().contains("realface"), "{}", answer.text());
    }
    assert_eq!(stage.azure.calls(&path), 1);

    stage.until_metric(ASKING, 0);
    stage.until_metric("livegate_upstream_requests_in_flight{upstream=\"emulated\"}", 0);
    let left = in_flight(&stage);
    assert!(left.len() >= 2 && left.iter().all(|line| line.ends_with("} 0")), "{left:?}");
    hit(&stage.get(&path));
    stage.azure.says(&session("abd"), ok(&succeeded("abd")));
    assert_eq!(stage.get(&session("abd")).status, 200);
    assert_eq!(stage.azure.calls(&path), 1);
}
