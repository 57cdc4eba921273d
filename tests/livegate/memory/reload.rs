//! What is kept outlives a new configuration, but not what that forbids; and nothing outlives a purge or the process.

use super::azure::{Azure, ok, running, succeeded};
use super::stage::{MISS, STORED, Stage, cache_status, hit, session, told, ttl};
use crate::support::http::Request;

const UNCHANGED: &str = "livegate_config_reloads_total{result=\"unchanged\"}";

fn kept(stage: &Stage, id: &str) -> String {
    let path = session(id);
    stage.azure.says(&path, ok(&succeeded(id)));
    told(&stage.get(&path), 200, STORED);
    path
}

#[test]
fn what_is_kept_outlives_a_reload() {
    let stage = Stage::set();
    let path = kept(&stage, "abc");
    stage.gateway.process.signal("HUP");
    stage.until_metric(UNCHANGED, 1);
    hit(&stage.get(&path));
    // Another limit builds the resource anew, and it is the same resource.
    stage.reload("tier = \"unlimited\"\n", "tier = \"unlimited\"\nmax_answer = \"1MiB\"\n");
    hit(&stage.get(&path));
    stage.reload("tier = \"unlimited\"\n", "tier = \"S0\"\n");
    hit(&stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 1);
}

#[test]
fn a_question_that_is_on_its_way_outlives_a_reload() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let held = stage.azure.hold("GET");
    let asker = stage.sending(Request::get(&path));
    stage.azure.until_asked("GET", &path, 1);
    stage.reload("tier = \"unlimited\"\n", "tier = \"unlimited\"\nmax_answer = \"1MiB\"\n");
    held.release();
    told(&asker.join().unwrap(), 200, STORED);
    hit(&stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 1);
}

#[test]
fn who_waits_outlives_a_reload() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    let waiter = stage.waiting(&path);
    stage.azure.until_asked("GET", &path, 2);
    stage.reload("tier = \"unlimited\"\n", "tier = \"unlimited\"\nmax_answer = \"1MiB\"\n");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let answer = waiter.join().unwrap();
    assert_eq!((answer.status, answer.header("preference-applied")), (200, Some("wait=60")));
    assert!(answer.text().contains("realface"), "{}", answer.text());
}

#[test]
fn a_shorter_life_holds_for_what_is_kept_already() {
    let stage = Stage::with("ttl = \"1h\"\nrunning_ttl = \"0s\"\n");
    let path = kept(&stage, "abc");
    stage.reload("ttl = \"1h\"", "ttl = \"600s\"");
    let left = ttl(&stage.get(&path)).unwrap();
    assert!((501..=600).contains(&left), "{left}");
    stage.reload("\nttl = \"600s\"", "\nttl = \"0s\"");
    for calls in 2..=3 {
        let answer = stage.get(&path);
        assert_eq!(answer.status, 200);
        let how = cache_status(&answer);
        assert!(["livegate; fwd=stale", MISS].contains(&how), "{answer:?}");
        assert_eq!(stage.azure.calls(&path), calls);
    }
    stage.reload("\nttl = \"0s\"", "\nttl = \"1h\"");
    assert!(cache_status(&stage.get(&path)).ends_with("; stored"));
    hit(&stage.get(&path));
}

#[test]
fn what_one_address_said_is_not_told_as_anothers() {
    let stage = Stage::set();
    let moved = Azure::start();
    let path = kept(&stage, "abc");
    moved.says(&path, ok(&succeeded("moved")));
    stage.reload(&stage.azure.url(), &moved.url());
    let answer = stage.get(&path);
    told(&answer, 200, STORED);
    assert!(answer.text().contains("moved"), "{}", answer.text());
    hit(&stage.get(&path));
    // What the first one said is its own again when it comes back.
    stage.reload(&moved.url(), &stage.azure.url());
    let answer = stage.get(&path);
    hit(&answer);
    assert!(!answer.text().contains("moved"), "{}", answer.text());
    assert_eq!((stage.azure.calls(&path), moved.calls(&path)), (1, 1));
}

#[test]
fn a_purge_forgets_one_session_or_all() {
    let stage = Stage::set();
    let paths = ["one", "two", "three"].map(|id| kept(&stage, id));
    let [one, two, three] = &paths;
    let purge = |query: &str| {
        let target = format!("/cache/purge{query}");
        Request::new("POST", &target).send(stage.gateway.admin).status
    };
    assert_eq!(purge("?session=two"), 200);
    hit(&stage.get(one));
    told(&stage.get(two), 200, STORED);
    hit(&stage.get(three));
    assert_eq!(purge("?sesion=two"), 400);
    for path in &paths {
        hit(&stage.get(path));
    }
    assert_eq!(purge("?session=a%20b"), 400);
    for all in ["", "?session=all"] {
        assert_eq!(purge(all), 200);
        for path in &paths {
            told(&stage.get(path), 200, STORED);
        }
    }
}

#[test]
fn a_purge_takes_what_is_on_its_way_too() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    for query in ["", "?session=abc"] {
        let held = stage.azure.hold("GET");
        let before = stage.azure.calls(&path);
        let asker = stage.sending(Request::get(&path));
        stage.azure.until_asked("GET", &path, before + 1);
        let purge = Request::new("POST", &format!("/cache/purge{query}"));
        assert_eq!(purge.send(stage.gateway.admin).status, 200);
        held.release();
        told(&asker.join().unwrap(), 200, MISS);
    }
    told(&stage.get(&path), 200, STORED);
    hit(&stage.get(&path));
}
