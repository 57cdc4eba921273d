//! What is kept, and for how long; what may change is asked for each time, or shared for its moment.

use jiff::{SignedDuration, Timestamp};

use super::azure::{DEAD_TOKEN, absent, cut_off, ended, error, ok, result, running, succeeded};
use super::stage::{MISS, STORED, Stage, cache_status, hit, preview, session, told, ttl};
use crate::support::http::Request;

/// A preview's session with a result, that was created so long ago, or that does not say when.
fn result_available(expired: bool, age: Option<SignedDuration>) -> String {
    let created = age.map(|age| {
        format!("\"createdDateTime\":\"{}\",", Timestamp::now().checked_sub(age).unwrap())
    });
    format!(
        "{{\"id\":\"abc\",{}\"sessionExpired\":{expired},\"authToken\":\"{DEAD_TOKEN}\",\
         \"status\":\"ResultAvailable\",\"result\":{{\"id\":1,\"response\":\
         {{\"body\":{{\"livenessDecision\":\"realface\"}},\"statusCode\":200}}}}}}",
        created.unwrap_or_default()
    )
}

#[test]
fn a_final_session_costs_one_call_and_is_told_again_as_it_was() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let (first, second) = (stage.get(&path), stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 1);
    told(&first, 200, STORED);
    let left = ttl(&second).unwrap();
    assert!((3501..=3600).contains(&left), "{left}");
    let age: u64 = second.header("age").unwrap().parse().unwrap();
    assert!(age <= 100, "{age}");
    assert_eq!(first.header("age"), None);
    for answer in [&first, &second] {
        // But for the dead token it is what Azure said, byte for byte.
        assert_eq!(answer.text(), succeeded("abc").replace(DEAD_TOKEN, ""));
        assert_eq!(answer.header("cache-control"), Some("private"));
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(answer.header("apim-request-id"), Some("apim-1"));
        assert_eq!(answer.header("liveness-decision"), Some("realface;attempt=1;attempts=1"));
        let tag = answer.header("etag").unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    }
    assert_eq!(first.header("etag"), second.header("etag"));
}

#[test]
fn what_may_change_is_asked_for_each_time() {
    let stage = Stage::set();
    let attempt = "{\"attemptId\":1,\"attemptStatus\":\"Running\"}";
    for (what, path, answer, status) in [
        ("running", session("a"), ok(&running("a")), 200),
        ("not started", session("b"), ok(&ended("b", "NotStarted", "")), 200),
        (
            "not started with a result",
            session("c"),
            ok(&ended("c", "NotStarted", &result("A"))),
            200,
        ),
        ("succeeded without a result", session("d"), ok(&ended("d", "Succeeded", attempt)), 200),
        ("a status that nobody knows", session("e"), ok(&ended("e", "Paused", &result("A"))), 200),
        ("another attempt may follow", preview("f"), ok(&result_available(false, None)), 200),
        ("broken JSON", session("g"), ok("{\"status\":\"Succeeded\""), 200),
        ("no JSON", session("h"), ok("Succeeded"), 200),
        ("absent", session("i"), absent(), 404),
        ("too many", session("j"), error(429, "429", &[]), 429),
        ("trouble", session("k"), error(500, "InternalServerError", &[]), 500),
        ("half an answer", session("l"), cut_off(), 502),
    ] {
        stage.azure.says(&path, answer);
        for calls in 1..=3 {
            let answer = stage.get(&path);
            assert_eq!((answer.status, cache_status(&answer)), (status, MISS), "{what}");
            assert_eq!(answer.header("age"), None, "{what}");
            assert_eq!(stage.azure.calls(&path), calls, "{what}");
        }
    }
    assert_eq!(stage.metric("livegate_cache_entries"), 0);
}

#[test]
fn a_token_of_a_session_that_goes_on_is_passed() {
    let stage = Stage::set();
    stage.azure.says(&session("abc"), ok(&running("abc")));
    let answer = stage.get(&session("abc"));
    assert_eq!(answer.text(), running("abc"));
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    assert_eq!(answer.header("liveness-decision"), Some("pending"));
}

#[test]
fn what_ended_without_a_result_has_a_time_of_its_own() {
    for (failed_ttl, calls) in [("600s", 1), ("0s", 2)] {
        let stage = Stage::with(&format!("failed_ttl = \"{failed_ttl}\"\nrunning_ttl = \"0s\"\n"));
        for status in ["Failed", "Canceled"] {
            let path = session(status);
            stage.azure.says(&path, ok(&ended(status, status, "")));
            let (first, second) = (stage.get(&path), stage.get(&path));
            assert_eq!(stage.azure.calls(&path), calls, "{status} for {failed_ttl}");
            for answer in [&first, &second] {
                assert_eq!(answer.text(), ended(status, status, "").replace(DEAD_TOKEN, ""));
            }
            if calls == 1 {
                told(&first, 200, STORED);
                let left = ttl(&second).unwrap();
                assert!((501..=600).contains(&left), "{left}");
            } else {
                told(&first, 200, MISS);
                told(&second, 200, MISS);
            }
        }
        let path = session("abc");
        stage.azure.says(&path, ok(&succeeded("abc")));
        stage.get(&path);
        assert!(ttl(&stage.get(&path)).unwrap() > 3500);
    }
}

#[test]
fn a_previews_session_is_kept_once_it_has_expired_and_no_longer_than_azure_has_it() {
    let stage = Stage::set();
    let (hours, minutes) = (SignedDuration::from_hours, SignedDuration::from_mins);
    for (id, age, least, most) in [
        ("silent", None, 3501, 3600),
        ("young", Some(minutes(1)), 3501, 3600),
        ("old", Some(hours(47) + minutes(30)), 1701, 1800),
    ] {
        let path = preview(id);
        stage.azure.says(&path, ok(&result_available(true, age)));
        told(&stage.get(&path), 200, STORED);
        let second = stage.get(&path);
        let left = ttl(&second).unwrap();
        assert!((least..=most).contains(&left), "{id}: {left}");
        assert!(!second.text().contains(DEAD_TOKEN), "{}", second.text());
        assert_eq!(second.header("liveness-decision"), Some("realface"));
        assert_eq!(stage.azure.calls(&path), 1);
    }
    for (id, age) in [("just-over", hours(48)), ("ancient", hours(24 * 400))] {
        let path = preview(id);
        stage.azure.says(&path, ok(&result_available(true, Some(age))));
        for calls in 1..=2 {
            told(&stage.get(&path), 200, MISS);
            assert_eq!(stage.azure.calls(&path), calls);
        }
    }
}

#[test]
fn a_session_is_kept_from_the_moment_at_which_it_ends() {
    let stage = Stage::set();
    let path = session("abc");
    let turns = [ok(&running("abc")), ok(&running("abc")), ok(&succeeded("abc"))];
    stage.azure.says_in_turn("GET", &path, turns);
    for how in [MISS, MISS, STORED] {
        told(&stage.get(&path), 200, how);
    }
    hit(&stage.get(&path));
    assert_eq!(stage.azure.calls(&path), 3);
}

#[test]
fn what_may_change_is_shared_for_its_time_and_only_where_that_is_wanted() {
    let stage = Stage::with("running_ttl = \"60s\"\n");
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    told(&stage.get(&path), 200, MISS);
    for _ in 0..3 {
        let answer = stage.get(&path);
        told(&answer, 200, "livegate; hit; ttl=0");
        assert_eq!(answer.text(), running("abc"));
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        assert!(answer.header("age").is_some());
    }
    assert_eq!(stage.azure.calls(&path), 1);
    stage.reload("running_ttl = \"60s\"", "running_ttl = \"0s\"");
    let other = session("abd");
    stage.azure.says(&other, ok(&running("abd")));
    told(&stage.get(&other), 200, MISS);
    told(&stage.get(&other), 200, MISS);
    assert_eq!(stage.azure.calls(&other), 2);
}

#[test]
fn a_memory_of_no_size_keeps_nothing() {
    let stage = Stage::with("max_bytes = \"0B\"\nrunning_ttl = \"0s\"\n");
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    for calls in 1..=3 {
        told(&stage.get(&path), 200, "livegate; fwd=bypass");
        assert_eq!(stage.azure.calls(&path), calls);
    }
    let metrics = Request::get("/metrics").send(stage.gateway.admin).text();
    let counted = "livegate_cache_requests_total{outcome=\"disabled\",route=\"session\"} 3";
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn the_newest_find_a_place_in_a_full_memory() {
    let stage = Stage::with("max_bytes = \"64KiB\"\nrunning_ttl = \"0s\"\n");
    for number in 0..200 {
        let path = session(&format!("n{number}"));
        stage.azure.says(&path, ok(&succeeded(&format!("n{number}"))));
        told(&stage.get(&path), 200, STORED);
        hit(&stage.get(&path));
    }
    assert!(stage.metric("livegate_cache_weight_bytes") <= 64 << 10);
    let entries = stage.metric("livegate_cache_entries");
    assert!((10..200).contains(&entries), "{entries}");
    assert!(stage.metric("livegate_cache_evictions_total{cause=\"size\"}") >= 200 - entries);
    told(&stage.get(&session("n0")), 200, STORED);
}
