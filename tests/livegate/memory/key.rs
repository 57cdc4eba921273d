//! What is one and the same session, and who may hear of it.

use super::azure::{Azure, expired, ok, succeeded};
use super::stage::{STORED, Stage, cache_status, hit, preview, session, told};
use crate::reload::hash;
use crate::support::gateway::TOKEN;
use crate::support::http::Request;

const OTHER_TOKEN: &str = "app-token-other-0123456789";

#[test]
fn twins_and_versions_are_each_asked_for() {
    let stage = Stage::set();
    let paths = [
        session("abc"),
        "/face/v1.2/detectLivenessWithVerify-sessions/abc".to_owned(),
        "/face/v1.3-preview.1/detectLiveness-sessions/abc".to_owned(),
        "/face/v1.3-preview.1/detectLivenessWithVerify-sessions/abc".to_owned(),
        session("abd"),
    ];
    for (index, path) in paths.iter().enumerate() {
        stage.azure.says(path, ok(&succeeded(&format!("own-{index}"))));
        let answer = stage.get(path);
        told(&answer, 200, STORED);
        assert!(answer.text().contains(&format!("own-{index}")), "{path}: {}", answer.text());
    }
    for (index, path) in paths.iter().enumerate() {
        let answer = stage.get(path);
        hit(&answer);
        assert!(answer.text().contains(&format!("own-{index}")), "{path}: {}", answer.text());
    }
    for path in &paths {
        assert_eq!(stage.azure.calls(path), 1, "{path}");
    }
}

/// Whether Azure tells capitals from small letters is not documented.
#[test]
fn two_spellings_are_never_told_for_each_other_and_end_together() {
    let stage = Stage::set();
    let (small, capital) = (session("abc"), session("ABC"));
    for path in [&small, &capital] {
        stage.azure.says(path, ok(&succeeded(path.rsplit('/').next().unwrap())));
    }
    for (path, spelt) in [(&small, "\"abc\""), (&capital, "\"ABC\"")] {
        let answer = stage.get(path);
        told(&answer, 200, STORED);
        assert!(answer.text().contains(spelt), "{}", answer.text());
    }
    hit(&stage.get(&capital));
    let deleted = Request::new("DELETE", &small).key(TOKEN).send(stage.gateway.public);
    assert_eq!(deleted.status, 204);
    assert_eq!(stage.get(&capital).header("cache-status"), Some("livegate; fwd=miss"));
}

#[test]
fn the_previews_have_keys_of_their_own_too() {
    let stage = Stage::set();
    let old = preview("abc").replace("v1.2", "v1.1");
    for (path, note) in [(preview("abc"), "second"), (old.clone(), "first")] {
        stage.azure.says(&path, ok(&expired(note)));
        told(&stage.get(&path), 200, STORED);
    }
    for (path, note) in [(preview("abc"), "second"), (old, "first")] {
        let answer = stage.get(&path);
        hit(&answer);
        assert_eq!((answer.text(), stage.azure.calls(&path)), (expired(note), 1));
    }
}

#[test]
fn another_resource_has_other_sessions() {
    let second = Azure::start();
    let tables = format!(
        "[[upstreams]]\nname = \"second\"\nendpoint = \"{}\"\ntier = \"unlimited\"\n\
         [upstreams.keys]\nprimary = {{ file = \"azure.key\" }}\n\
         [[apps]]\nname = \"other\"\ntoken_sha256 = [\"{}\"]\nupstream = \"second\"\n",
        second.url(),
        hash(OTHER_TOKEN)
    );
    let stage = Stage::built(|builder| builder.more(&tables));
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("first-resource")));
    second.says(&path, ok(&succeeded("second-resource")));
    let other = || Request::get(&path).key(OTHER_TOKEN).send(stage.gateway.public);
    told(&stage.get(&path), 200, STORED);
    told(&other(), 200, STORED);
    for _ in 0..2 {
        let (ours, theirs) = (stage.get(&path), other());
        hit(&ours);
        hit(&theirs);
        assert!(ours.text().contains("first-resource"), "{}", ours.text());
        assert!(theirs.text().contains("second-resource"), "{}", theirs.text());
    }
    assert_eq!((stage.azure.calls(&path), second.calls(&path)), (1, 1));
}

#[test]
fn apps_of_one_resource_share_and_nobody_else_hears_of_it() {
    const BLIND: &str = "app-token-blind-0123456789";
    let stage = Stage::built(|builder| {
        builder.app("other", OTHER_TOKEN, &["session"]).app("blind", BLIND, &["audit", "delete"])
    });
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    told(&stage.get(&path), 200, STORED);
    let ask = |token: &str| Request::get(&path).key(token).send(stage.gateway.public);
    hit(&ask(OTHER_TOKEN));
    for (token, status, code) in
        [(BLIND, 403, "Forbidden"), ("app-token-of-a-stranger", 401, "Unauthorized")]
    {
        let known = ask(token);
        let unknown = Request::get(&session("never")).key(token).send(stage.gateway.public);
        for answer in [&known, &unknown] {
            assert_eq!((answer.status, answer.error_code().as_str()), (status, code));
            assert_eq!(cache_status(answer), "livegate");
            assert!(!answer.text().contains("realface"), "{}", answer.text());
            for field in ["etag", "age", "liveness-decision"] {
                assert_eq!(answer.header(field), None, "{field}");
            }
        }
        // Not even that it is kept can be told from the answer.
        assert_eq!(known.body, unknown.body);
        // Nor by what an app may have already.
        let tag = ask(TOKEN).header("etag").unwrap().to_owned();
        let asked = Request::get(&path).key(token).header("If-None-Match", &tag);
        assert_eq!(asked.send(stage.gateway.public).status, status);
    }
    assert_eq!((stage.azure.calls(&path), stage.azure.calls(&session("never"))), (1, 0));
}

#[test]
fn the_case_of_a_path_makes_no_difference() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    told(&stage.get("/FACE/V1.2/DETECTLIVENESS-SESSIONS/abc"), 200, STORED);
    for same in [path.as_str(), "/Face/v1.2/detectliveness-Sessions/abc"] {
        hit(&stage.get(same));
    }
    hit(&stage.get(&format!("{path}?unknown=1")));
    assert_eq!(stage.azure.calls(&path), 1);
}
