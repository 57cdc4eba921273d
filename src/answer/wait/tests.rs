use std::time::Duration;

use tokio::task::{JoinHandle, yield_now};
use tokio::time::advance;

use super::*;
use crate::answer::key::SessionKey;
use crate::answer::scene::{CACHE, RUNNING, SUCCEEDED, Scene, call};
use crate::liveness::{Operation, SessionId};
use crate::wishes::Wishes;

/// Waits for so many seconds. What comes of it: the status, whether the wish was met, and how long it took.
async fn ask(scene: Scene, id: String, seconds: u64) -> (u16, bool, Duration) {
    let start = Instant::now();
    let row =
        wait(Arc::clone(&scene.memory), Arc::clone(&scene.share)).layer(scene.recalling(CACHE));
    let mut wishes = Wishes::default();
    wishes.wait = Some(Duration::from_secs(seconds));
    let told = row.oneshot(call(&id, wishes)).await.unwrap();
    (told.answer.status.as_u16(), told.waited, start.elapsed())
}

fn asking(scene: &Scene, id: &str, seconds: u64) -> JoinHandle<(u16, bool, Duration)> {
    tokio::spawn(ask(scene.clone(), id.to_owned(), seconds))
}

/// Lets time pass in small steps, so that all that is due happens in its order.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 100 {
        advance(Duration::from_millis(10)).await;
        for _ in 0..20 {
            yield_now().await;
        }
    }
}

fn pollers(scene: &Scene) -> usize {
    scene.memory.table().pollers.len()
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_is_told_at_once() {
    let scene = Scene::new(SUCCEEDED);
    assert_eq!(ask(scene, "abc".into(), 60).await, (200, true, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn one_poller_asks_for_all_until_the_session_ends() {
    let scene = Scene::held(RUNNING);
    let askers: Vec<_> = (0..50).map(|_| asking(&scene, "abc", 60)).collect();
    // All ask before Azure answers.
    yield_now().await;
    scene.gate.add_permits(1000);
    pass(5).await;
    assert_eq!(pollers(&scene), 1);
    // The first question, which all share, and one each half second.
    assert_eq!(scene.calls(), 10);
    scene.answers(Some((200, SUCCEEDED)));
    pass(1).await;
    for asker in askers {
        let (status, waited, took) = asker.await.unwrap();
        assert!(status == 200 && waited && took < Duration::from_secs(6), "{took:?}");
    }
    assert_eq!(pollers(&scene), 0);
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_over_the_latest_is_told() {
    let scene = Scene::new(RUNNING);
    let asker = asking(&scene, "abc", 3);
    pass(4).await;
    let (status, waited, took) = asker.await.unwrap();
    assert_eq!((status, waited, took.as_secs()), (200, true, 3));
    assert_eq!(pollers(&scene), 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_forgotten_at_once() {
    let scene = Scene::new(RUNNING);
    let (one, other) = (asking(&scene, "abc", 60), asking(&scene, "abc", 60));
    pass(1).await;
    one.abort();
    pass(1).await;
    assert_eq!(pollers(&scene), 1);
    other.abort();
    for _ in 0..20 {
        yield_now().await;
    }
    let calls = scene.calls();
    assert_eq!(pollers(&scene), 0);
    pass(5).await;
    assert_eq!(scene.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn many_sessions_share_half_of_what_the_resource_allows() {
    let scene = Scene::new(RUNNING);
    scene.share.allow(Some(10.0), 0.5);
    let ids: Vec<_> = (0..20).map(|id| format!("id-{id}")).collect();
    let askers: Vec<_> = ids.iter().map(|id| asking(&scene, id, 60)).collect();
    pass(1).await;
    let first = scene.calls();
    pass(20).await;
    // Five in each window of 1.05 s, and each of the twenty had its turns.
    assert!((95..=96).contains(&(scene.calls() - first)), "{}", scene.calls() - first);
    drop(askers);
}

#[tokio::test(start_paused = true)]
async fn draining_answers_all_who_wait() {
    let scene = Scene::new(RUNNING);
    let asker = asking(&scene, "abc", 60);
    pass(1).await;
    scene.memory.drain();
    let (status, waited, took) = asker.await.unwrap();
    assert!(status == 200 && !waited && took < Duration::from_secs(2));
    let late = ask(scene.clone(), "abc".into(), 60).await;
    assert_eq!(late, (200, false, Duration::ZERO), "nobody begins to wait any more");
}

#[tokio::test(start_paused = true)]
async fn trouble_of_azures_is_waited_out_and_asked_about_ever_more_rarely() {
    let scene = Scene::new(RUNNING);
    let asker = asking(&scene, "abc", 60);
    pass(1).await;
    let calls = scene.calls();
    scene.answers(Some((429, "{}")));
    pass(30).await;
    assert!(scene.calls() - calls <= 6, "{}", scene.calls() - calls);
    scene.answers(Some((200, SUCCEEDED)));
    pass(17).await;
    assert!(asker.is_finished());
    assert_eq!(asker.await.unwrap().0, 200);
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_told_at_once() {
    let scene = Scene::new(RUNNING);
    let asker = asking(&scene, "abc", 60);
    pass(1).await;
    scene.answers(Some((404, "{}")));
    pass(1).await;
    assert_eq!(asker.await.unwrap().0, 404);
    assert_eq!(ask(scene, "abc".into(), 60).await, (404, true, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_deleted_is_asked_for_anew() {
    let scene = Scene::new(RUNNING);
    let asker = asking(&scene, "abc", 60);
    pass(1).await;
    scene.answers(Some((404, "{}")));
    scene.memory.delete(&SessionKey::new(
        0,
        Operation::Liveness,
        &SessionId::parse("abc").unwrap(),
    ));
    assert_eq!(asker.await.unwrap().0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_purge_ends_no_wait_and_costs_no_burst() {
    let scene = Scene::new(RUNNING);
    scene.share.allow(Some(10.0), 0.5);
    let ids: Vec<_> = (0..20).map(|id| format!("id-{id}")).collect();
    let askers: Vec<_> = ids.iter().map(|id| asking(&scene, id, 30)).collect();
    pass(1).await;
    let calls = scene.calls();
    scene.memory.purge(None, 1);
    pass(1).await;
    assert!(scene.calls() - calls <= 6, "{}", scene.calls() - calls);
    assert!(askers.iter().all(|asker| !asker.is_finished()));
    scene.answers(Some((200, SUCCEEDED)));
    pass(5).await;
    for asker in askers {
        assert_eq!(asker.await.unwrap().0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_is_not_told_when_the_time_is_over() {
    let scene = Scene::new(RUNNING);
    // No turn comes before the time is over.
    scene.share.asked_for_rest(60);
    let asker = asking(&scene, "abc", 3);
    pass(1).await;
    scene.answers(Some((404, "{}")));
    scene.memory.delete(&SessionKey::new(
        0,
        Operation::Liveness,
        &SessionId::parse("abc").unwrap(),
    ));
    pass(3).await;
    assert_eq!(asker.await.unwrap().0, 404);
}

#[tokio::test(start_paused = true)]
async fn what_was_known_is_told_when_the_time_is_over_and_azure_in_trouble() {
    let scene = Scene::new(RUNNING);
    let asker = asking(&scene, "abc", 5);
    pass(1).await;
    scene.answers(Some((0, "")));
    pass(5).await;
    let (status, waited, _) = asker.await.unwrap();
    assert_eq!((status, waited), (200, true));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_asks_for_rest_is_left_alone_by_all_who_wait() {
    let scene = Scene::new(RUNNING);
    let askers = ["a", "b", "c"].map(|id| asking(&scene, id, 60));
    pass(1).await;
    scene.share.asked_for_rest(26);
    pass(2).await;
    let calls = scene.calls();
    pass(23).await;
    assert_eq!(scene.calls(), calls);
    pass(2).await;
    assert!(scene.calls() >= calls + 3, "{} calls", scene.calls() - calls);
    assert!(askers.iter().all(|asker| !asker.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn no_poller_watches_for_ever() {
    let scene = Scene::new(RUNNING);
    let first = asking(&scene, "abc", 60);
    pass(50).await;
    let seated = scene.memory.table().pollers.values().next().map(Arc::downgrade).unwrap();
    let second = asking(&scene, "abc", 60);
    pass(15).await;
    assert!(first.is_finished() && !second.is_finished());
    assert!(seated.upgrade().is_none());
    assert_eq!(pollers(&scene), 1);
    scene.answers(Some((200, SUCCEEDED)));
    pass(1).await;
    assert!(second.is_finished());
}
