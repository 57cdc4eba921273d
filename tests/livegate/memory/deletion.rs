//! A session that is deleted through the gateway is never told again, whichever answer is on its way meanwhile.

use std::thread::JoinHandle;

use super::azure::{Held, absent, error, expired, ok, running, succeeded};
use super::stage::{ASKING, MISS, STORED, Stage, cache_status, hit, preview, session, told};
use crate::support::gateway::TOKEN;
use crate::support::http::{Answer, Request};
use crate::support::upstream;

/// A session that is kept.
fn kept(stage: &Stage, id: &str) -> String {
    let path = session(id);
    stage.azure.says(&path, ok(&succeeded(id)));
    told(&stage.get(&path), 200, STORED);
    hit(&stage.get(&path));
    path
}

/// Asks for a session, and leaves the answer on its way.
fn on_its_way(stage: &Stage, path: &str) -> (Held, JoinHandle<Answer>) {
    let held = stage.azure.hold("GET");
    let before = stage.azure.calls(path);
    let asker = stage.sending(Request::get(path));
    stage.azure.until_asked("GET", path, before + 1);
    held.let_others_pass();
    (held, asker)
}

/// Begins to delete a session, and leaves the answer on its way.
fn being_deleted(stage: &Stage, path: &str) -> (Held, JoinHandle<Answer>) {
    let held = stage.azure.hold("DELETE");
    let deleter = stage.sending(Request::new("DELETE", path));
    stage.azure.until_asked("DELETE", path, 1);
    (held, deleter)
}

/// It is asked for, and what comes of it is told and not kept.
#[track_caller]
fn is_not_kept(stage: &Stage, path: &str) {
    for _ in 0..2 {
        let before = stage.azure.calls(path);
        told(&stage.get(path), 200, MISS);
        assert_eq!(stage.azure.calls(path), before + 1);
    }
}

#[test]
fn what_was_kept_goes_with_its_session() {
    let stage = Stage::set();
    let (path, other) = (kept(&stage, "abc"), kept(&stage, "other"));
    stage.azure.says(&path, absent());
    hit(&stage.get(&path));
    let deleted = stage.delete(&path);
    assert_eq!((deleted.status, deleted.header("cache-status")), (204, None));
    told(&stage.get(&path), 404, MISS);
    told(&stage.get(&path), 404, MISS);
    assert_eq!(stage.azure.calls(&path), 3);
    hit(&stage.get(&other));
}

#[test]
fn an_answer_from_before_the_deletion_is_told_to_who_asked_then_and_to_nobody_else() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let (held, old) = on_its_way(&stage, &path);
    stage.azure.says(&path, absent());
    assert_eq!(stage.delete(&path).status, 204);
    // Who asks now does not join the question from before: it is still on its way, and the answer is there.
    told(&stage.get(&path), 404, MISS);
    assert!(!old.is_finished());
    held.release();
    let old = old.join().unwrap();
    assert_eq!(old.status, 200, "{old:?}");
    assert!(!cache_status(&old).contains("stored"), "{old:?}");
    told(&stage.get(&path), 404, MISS);
    assert_eq!((stage.azure.calls(&path), stage.metric("livegate_cache_entries")), (3, 0));
}

#[test]
fn an_old_answer_does_not_push_a_new_question_aside() {
    let stage = Stage::with_one_worker("running_ttl = \"0s\"\n");
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let (before, old) = on_its_way(&stage, &path);
    assert_eq!(stage.delete(&path).status, 204);
    stage.azure.says(&path, absent());
    let (after, new) = on_its_way(&stage, &path);
    before.release();
    assert_eq!(old.join().unwrap().status, 200);
    // The old one's end must not have taken the new one off the table.
    let joined = stage.sending(Request::get(&path));
    stage.until_metric(ASKING, 2);
    after.release();
    for asker in [new, joined] {
        assert_eq!(asker.join().unwrap().status, 404);
    }
    assert_eq!(stage.azure.calls(&path), 2);
}

#[test]
fn what_is_answered_while_its_session_is_being_deleted_is_not_kept() {
    let stage = Stage::set();
    let path = kept(&stage, "abc");
    let (held, deleter) = being_deleted(&stage, &path);
    // From the first moment on nothing is told from memory.
    is_not_kept(&stage, &path);
    held.release();
    assert_eq!(deleter.join().unwrap().status, 204);
    is_not_kept(&stage, &path);
}

#[test]
fn what_is_asked_while_its_session_is_being_deleted_and_answered_after_is_not_kept() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let (deletion, deleter) = being_deleted(&stage, &path);
    let (question, asker) = on_its_way(&stage, &path);
    stage.azure.says(&path, absent());
    deletion.release();
    assert_eq!(deleter.join().unwrap().status, 204);
    question.release();
    let answer = asker.join().unwrap();
    assert!(!cache_status(&answer).contains("stored"), "{answer:?}");
    told(&stage.get(&path), 404, MISS);
    assert_eq!(stage.metric("livegate_cache_entries"), 0);
}

#[test]
fn what_was_shared_goes_with_its_session_too() {
    let stage = Stage::with("running_ttl = \"60s\"\n");
    let path = session("abc");
    stage.azure.says(&path, ok(&running("abc")));
    told(&stage.get(&path), 200, MISS);
    told(&stage.get(&path), 200, "livegate; hit; ttl=0");
    let (held, deleter) = being_deleted(&stage, &path);
    // It goes at the beginning, and what came meanwhile at the end.
    told(&stage.get(&path), 200, MISS);
    told(&stage.get(&path), 200, "livegate; hit; ttl=0");
    stage.azure.says(&path, absent());
    held.release();
    assert_eq!(deleter.join().unwrap().status, 204);
    told(&stage.get(&path), 404, MISS);
    assert_eq!(stage.azure.calls(&path), 3);
}

#[test]
fn a_deletion_that_azure_refuses_changes_nothing_for_long() {
    let stage = Stage::set();
    for (id, status) in [("forbidden", 403), ("many", 429)] {
        let path = kept(&stage, id);
        let refusal = error(status, "No", &[]);
        stage.azure.says_in_turn("DELETE", &path, [refusal]);
        let refused = stage.delete(&path);
        assert_eq!((refused.status, refused.error_code().as_str()), (status, "No"));
        assert_eq!(stage.get(&path).status, 200);
        hit(&stage.get(&path));
        assert!(stage.azure.calls(&path) <= 2, "{id}");
    }
}

#[test]
fn a_refused_deletion_does_not_bring_back_what_another_has_deleted() {
    let stage = Stage::set();
    let path = session("abc");
    stage.azure.says(&path, ok(&succeeded("abc")));
    let turns = [upstream::answer(204, &[], b""), error(429, "No", &[])];
    stage.azure.says_in_turn("DELETE", &path, turns);
    let (question, asker) = on_its_way(&stage, &path);
    let (deletion, deleter) = being_deleted(&stage, &path);
    deletion.let_others_pass();
    assert_eq!(stage.delete(&path).status, 429);
    deletion.release();
    assert_eq!(deleter.join().unwrap().status, 204);
    stage.azure.says(&path, absent());
    question.release();
    assert_eq!(asker.join().unwrap().status, 200);
    told(&stage.get(&path), 404, MISS);
}

#[test]
fn a_refusal_does_not_take_back_what_an_earlier_deletion_may_have_done() {
    let stage = Stage::set();
    let path = kept(&stage, "abc");
    let turns = [error(500, "InternalServerError", &[]), error(403, "No", &[])];
    stage.azure.says_in_turn("DELETE", &path, turns);
    assert_eq!((stage.delete(&path).status, stage.delete(&path).status), (500, 403));
    is_not_kept(&stage, &path);
}

#[test]
fn a_deletion_of_which_nobody_knows_what_became_ends_the_keeping() {
    let stage = Stage::set();
    for (id, answer, status) in [
        ("no-answer", Vec::new(), 503),
        ("trouble", error(500, "InternalServerError", &[]), 500),
        ("gone-already", error(404, "SessionNotFound", &[]), 404),
    ] {
        let path = kept(&stage, id);
        stage.azure.says_in_turn("DELETE", &path, [answer]);
        assert_eq!(stage.delete(&path).status, status, "{id}");
        is_not_kept(&stage, &path);
    }
}

#[test]
fn whatever_the_version_a_session_is_deleted_by_it_is_gone_for_all() {
    let next = session("abc").replace("v1.2", "v1.3-preview.1");
    let first = preview("abc").replace("v1.2", "v1.1");
    let ways = [session("abc"), next, preview("abc"), first];
    for deleted_by in &ways {
        let stage = Stage::set();
        for path in &ways {
            let preview = path.contains("singleModal");
            let body = if preview { expired("abc") } else { succeeded("abc") };
            stage.azure.says(path, ok(&body));
            told(&stage.get(path), 200, STORED);
            hit(&stage.get(path));
        }
        assert_eq!(stage.delete(deleted_by).status, 204);
        for path in &ways {
            is_not_kept(&stage, path);
        }
    }
}

#[test]
fn a_session_with_verify_is_another_one_though_it_has_the_same_id() {
    let stage = Stage::set();
    let path = kept(&stage, "abc");
    let twin = path.replace("detectLiveness-", "detectLivenessWithVerify-");
    stage.azure.says(&twin, ok(&succeeded("abc")));
    told(&stage.get(&twin), 200, STORED);
    assert_eq!(stage.delete(&path).status, 204);
    is_not_kept(&stage, &path);
    hit(&stage.get(&twin));
    assert_eq!(stage.delete(&twin).status, 204);
    is_not_kept(&stage, &twin);
}

#[test]
fn who_may_not_delete_makes_nothing_be_forgotten() {
    const READER: &str = "app-token-reader-0123456789";
    let stage = Stage::built(|builder| builder.app("reader", READER, &["session"]));
    let path = kept(&stage, "abc");
    for (token, status) in [(READER, 403), ("app-token-of-a-stranger", 401)] {
        let refused = Request::new("DELETE", &path).key(token).send(stage.gateway.public);
        assert_eq!(refused.status, status);
        hit(&stage.get(&path));
    }
    assert_eq!((stage.azure.calls(&path), stage.azure.asked("DELETE", &path)), (1, 0));
    assert_eq!(Request::new("DELETE", &path).key(TOKEN).send(stage.gateway.public).status, 204);
    is_not_kept(&stage, &path);
}
