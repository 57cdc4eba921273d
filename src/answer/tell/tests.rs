use std::sync::Arc;

use bytes::Bytes;
use http_body::Body as _;
use tokio::time::advance;

use super::*;
use crate::answer::key::Question;
use crate::answer::prepared::Prepared;
use crate::answer::scene::{RUNNING, SUCCEEDED};
use crate::config::App;
use crate::liveness::verdict::Verdict;
use crate::liveness::{ApiVersion, Resource};

const MISS: How = How::Asked { why: Why::Miss, stored: false };

fn told(status: u16, body: &'static str, how: How) -> Judged {
    let answer = Response::builder().status(status).header("vary", "Prefer").header("x-more", "1");
    let answer = answer.body(Bytes::from_static(body.as_bytes())).unwrap();
    let resource = Resource::parse("/face/v1.2/detectLiveness-sessions/abc").unwrap();
    let question = Question::new(0, &resource).unwrap();
    let told = Told {
        question,
        answer: Arc::new(Prepared::new(ApiVersion::V1_2, answer).0),
        how,
        waited: false,
        flight: None,
    };
    Judged { told, digest: None, picture: None }
}

fn wishes(fields: &[(&'static str, &str)]) -> Wishes {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.insert(*name, value.parse().unwrap());
    }
    Wishes::read(&headers, &App::default())
}

fn field<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.answer.headers().get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn how_an_answer_was_come_by_is_told_in_the_words_of_rfc_9211() {
    let left = Duration::from_millis(3_512_900);
    for (how, status, word) in [
        (How::Hit(left), "livegate; hit; ttl=3512", "hit"),
        (How::Shared, "livegate; hit; ttl=0", "shared"),
        (MISS, "livegate; fwd=miss", "miss"),
        (How::Asked { why: Why::Miss, stored: true }, "livegate; fwd=miss; stored", "miss"),
        (How::Asked { why: Why::Stale, stored: true }, "livegate; fwd=stale; stored", "miss"),
        (How::Asked { why: Why::Stale, stored: false }, "livegate; fwd=stale", "miss"),
        (How::Asked { why: Why::Request, stored: true }, "livegate; fwd=request; stored", "bypass"),
        (How::Asked { why: Why::Request, stored: false }, "livegate; fwd=request", "bypass"),
        (How::Asked { why: Why::Off, stored: false }, "livegate; fwd=bypass", "disabled"),
        (How::Collapsed(Why::Off), "livegate; fwd=bypass; collapsed", "disabled"),
        (How::Collapsed(Why::Miss), "livegate; fwd=miss; collapsed", "collapsed"),
        (How::Collapsed(Why::Stale), "livegate; fwd=stale; collapsed", "collapsed"),
        (How::Collapsed(Why::Request), "livegate; fwd=request; collapsed", "collapsed"),
    ] {
        let reply = reply(&told(200, SUCCEEDED, how), &Wishes::default());
        assert_eq!((field(&reply, "cache-status"), reply.cache.as_str()), (Some(status), word));
    }
}

#[tokio::test(start_paused = true)]
async fn an_age_is_told_unless_the_answer_was_made_for_this_very_request() {
    let age = |told: &Judged| field(&reply(told, &Wishes::default()), "age").map(str::to_owned);
    let asked = told(200, RUNNING, MISS);
    assert_eq!(age(&asked), None);
    let shared = [told(200, RUNNING, How::Shared), told(404, "{}", How::Shared)];
    assert_eq!(shared.each_ref().map(age), [Some("0".to_owned()), Some("0".to_owned())]);
    advance(Duration::from_millis(6500)).await;
    assert_eq!((age(&asked).unwrap(), age(&shared[0]).unwrap()), ("6".to_owned(), "6".to_owned()));
}

#[test]
fn what_may_change_is_not_kept_nearer_to_the_app_either() {
    for (status, body, control) in [
        (200, SUCCEEDED, Some("private")),
        (200, RUNNING, Some("private, no-cache")),
        (200, "{}", Some("private, no-cache")),
        (404, "{}", None),
    ] {
        let reply = reply(&told(status, body, MISS), &Wishes::default());
        assert_eq!(field(&reply, "cache-control"), control, "{body}");
        assert_eq!(field(&reply, "etag").is_some(), status == 200);
    }
}

#[test]
fn who_has_it_already_is_told_so_without_content() {
    let session = told(200, RUNNING, How::Shared);
    let whole = reply(&session, &Wishes::default());
    let tag = field(&whole, "etag").unwrap();
    let unchanged = reply(&session, &wishes(&[("if-none-match", tag)]));
    assert_eq!(unchanged.answer.status(), 304);
    assert!(unchanged.answer.body().is_end_stream());
    let mut names: Vec<_> =
        unchanged.answer.headers().keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["age", "cache-control", "cache-status", "etag", "vary"]);
    let changed = reply(&session, &wishes(&[("if-none-match", "\"other\"")]));
    assert_eq!((changed.answer.status().as_u16(), field(&changed, "x-more")), (200, Some("1")));
    let missing = reply(&told(404, "{}", MISS), &wishes(&[("if-none-match", "*")]));
    assert_eq!(missing.answer.status(), 404, "there is nothing that it could have");
}

#[test]
fn a_preference_is_said_to_be_applied_where_it_was() {
    let wishes = wishes(&[("prefer", "wait=7")]);
    let applied =
        |told: &Judged| field(&reply(told, &wishes), "preference-applied").map(str::to_owned);
    let mut session = told(200, RUNNING, MISS);
    assert_eq!(applied(&session), None);
    session.told.waited = true;
    assert_eq!(applied(&session).unwrap(), "wait=7");
    let mut missing = told(404, "{}", MISS);
    missing.told.waited = true;
    assert_eq!(applied(&missing), None);
}

#[test]
fn a_verdict_is_told_of_what_is_unchanged_too() {
    let verdict = (Some(Verdict::Match(Some(2))), Some(Likeness::Malformed));
    for (status, wishes) in [(200, Wishes::default()), (304, wishes(&[("if-none-match", "*")]))] {
        let judged = Judged { digest: verdict.0, picture: verdict.1, ..told(200, SUCCEEDED, MISS) };
        let reply = reply(&judged, &wishes);
        assert_eq!(reply.answer.status().as_u16(), status);
        assert_eq!(field(&reply, "liveness-digest"), Some("match;attempt=2"));
        assert_eq!(field(&reply, "liveness-verify-image"), Some("unknown"));
        let vary: Vec<_> = reply.answer.headers().get_all("vary").iter().collect();
        assert_eq!(vary, ["Prefer", "Liveness-Client-Digest, Liveness-Expected-Verify-Image"]);
    }
}
