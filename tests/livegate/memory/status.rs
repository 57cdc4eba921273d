//! How it is told what the memory did: a field on every GET, and metrics.

use super::azure::{ended, error, ok, running, succeeded};
use super::stage::{ASKING, Stage, cache_status, preview, session, told};
use crate::support::http::Request;
use crate::support::upstream;

const BYPASS: &str = "livegate; fwd=bypass";
const MISS: &str = "livegate; fwd=miss";

#[test]
fn every_get_tells_what_the_memory_did() {
    let stage = Stage::set();
    let list = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";
    let (audit, image) = (format!("{list}/abc/audit"), "/face/v1.2/sessionImages/abc");
    for path in [list, &audit] {
        stage.azure.says(path, ok("[]"));
    }
    let picture = upstream::answer(200, &[("Content-Type", "image/jpeg")], b"\xFF\xD8");
    stage.azure.says(image, picture);
    stage.azure.says(&session("cut"), super::azure::cut_off());
    stage.azure.says(&format!("{list}/cut/audit"), super::azure::cut_off());
    for (path, status, how) in [
        (audit.as_str(), 200, BYPASS),
        (audit.as_str(), 200, BYPASS),
        (list, 200, BYPASS),
        (image, 200, BYPASS),
        ("/face/v1.2/sessionImages/none", 404, BYPASS),
        (&session("none"), 404, MISS),
        (&session("cut"), 502, MISS),
        (&format!("{list}/cut/audit"), 502, BYPASS),
        // Nobody got as far as the memory.
        ("/face/v1.2/detectLiveness-sessions", 405, "livegate"),
        ("/face/v1.2/nothing", 404, "livegate"),
        (&session("no_id"), 400, "livegate"),
    ] {
        told(&stage.get(path), status, how);
        let (line, fields, _) = stage.raw("HEAD", path, "");
        assert!(line.contains(&format!(" {status} ")), "{path}: {line}");
        assert_eq!(fields.get("cache-status"), Some(how), "{path}");
    }
    let stranger = Request::get(&session("abc")).send(stage.gateway.public);
    told(&stranger, 401, "livegate");
    assert_eq!(stage.azure.calls(&audit), 4);
    let create = Request::new("POST", "/face/v1.2/detectLiveness-sessions");
    let created = stage.sending(create.json(&serde_json::json!({}))).join().unwrap();
    for answer in [created, stage.delete(&session("abc"))] {
        assert_eq!(answer.header("cache-status"), None, "{answer:?}");
    }
}

#[test]
fn what_azure_says_of_other_memories_is_told_once_and_before_the_gateways_own() {
    let stage = Stage::set();
    let fields =
        [("Cache-Status", "edge; fwd=miss"), ("Cache-Control", "max-age=5"), ("ETag", "\"x\"")];
    let path = session("abc");
    stage.azure.says(&path, upstream::answer(200, &fields, succeeded("abc").as_bytes()));
    let first = stage.get(&path);
    let told: Vec<_> = first.headers.all("cache-status").collect();
    assert_eq!(told, ["edge; fwd=miss", "livegate; fwd=miss; stored"]);
    let second = stage.get(&path);
    assert!(cache_status(&second).starts_with("livegate; hit; "), "{second:?}");
    for answer in [first, second] {
        assert_eq!(answer.headers.all("cache-control").collect::<Vec<_>>(), ["private"]);
        assert_eq!(answer.headers.all("etag").count(), 1);
        assert_ne!(answer.header("etag"), Some("\"x\""));
    }
}

#[test]
fn each_outcome_is_counted() {
    let stage = Stage::with_one_worker("running_ttl = \"60s\"\n");
    let (kept, goes_on, asked) = (session("kept"), session("goes-on"), session("asked"));
    let twin = "/face/v1.2/detectLivenessWithVerify-sessions/kept";
    for path in [&kept, &asked, twin] {
        stage.azure.says(path, ok(&succeeded("any")));
    }
    stage.azure.says(&goes_on, ok(&running("goes-on")));
    for _ in 0..3 {
        stage.get(&kept);
    }
    for wish in ["no-cache", "max-age=0"] {
        stage.get_with(&kept, "Cache-Control", wish);
    }
    for path in [goes_on.as_str(), &goes_on, twin] {
        stage.get(path);
    }
    let held = stage.azure.hold("GET");
    let askers: Vec<_> = (0..5).map(|_| stage.sending(Request::get(&asked))).collect();
    stage.until_metric(ASKING, 5);
    held.release();
    askers.into_iter().for_each(|asker| assert_eq!(asker.join().unwrap().status, 200));
    // Neither of these is a question about a session that the memory had part in.
    stage.get(&session("no_id"));
    stage.get(&preview("kept/audit"));

    for (route, outcome, count) in [
        ("session", "hit", 2),
        ("session", "miss", 3),
        ("session", "bypass", 2),
        ("session", "shared", 1),
        ("session", "collapsed", 4),
        ("session_verify", "miss", 1),
        ("session_verify", "hit", 0),
    ] {
        let labels = format!("{{outcome=\"{outcome}\",route=\"{route}\"}}");
        let counted = stage.metric(&format!("livegate_cache_requests_total{labels}"));
        assert_eq!(counted, count, "{route} {outcome}");
    }
    let text = Request::get("/metrics").send(stage.gateway.admin).text();
    let series = text.lines().filter(|line| line.starts_with("livegate_cache_requests_total{"));
    assert_eq!(series.count(), 6, "{text}");
}

#[test]
fn what_became_of_each_answer_is_counted() {
    let stage = Stage::set();
    let long = format!("{}{}", succeeded("long"), " ".repeat(300 << 10));
    for (id, answer) in [
        ("kept", ok(&succeeded("kept"))),
        ("running", ok(&running("running"))),
        ("paused", ok(&ended("paused", "Paused", ""))),
        ("broken", ok("{")),
        ("trouble", error(500, "No", &[])),
        ("absent", super::azure::absent()),
        ("long", ok(&long)),
        ("deleted", ok(&succeeded("deleted"))),
        ("cut", super::azure::cut_off()),
    ] {
        stage.azure.says(&session(id), answer);
        if id == "deleted" {
            assert_eq!(stage.delete(&session(id)).status, 204);
        }
        stage.get(&session(id));
    }
    stage.get(&session("kept"));
    for (result, count) in [
        ("stored", 1),
        ("not_terminal", 1),
        ("unknown_state", 1),
        ("undecodable", 1),
        ("error_status", 2),
        ("too_large", 1),
        ("no_store", 1),
    ] {
        let counted = stage.metric(&format!("livegate_cache_stores_total{{result=\"{result}\"}}"));
        assert_eq!(counted, count, "{result}");
    }
    assert_eq!(stage.metric("livegate_cache_entries"), 1);
    let weight = stage.metric("livegate_cache_weight_bytes");
    assert!(weight > succeeded("kept").len() as u64, "{weight}");
    assert_eq!(stage.metric("livegate_cache_purges_total{source=\"delete\"}"), 1);
    let purge = Request::new("POST", "/cache/purge").send(stage.gateway.admin);
    assert_eq!((purge.status, stage.metric("livegate_cache_entries")), (200, 0));
    assert_eq!(stage.metric("livegate_cache_purges_total{source=\"admin\"}"), 1);
    // What was too long was told all the same.
    let answer = stage.get(&session("long"));
    assert_eq!(
        (answer.status, answer.body.len()),
        (200, long.replace(super::azure::DEAD_TOKEN, "").len())
    );
}
