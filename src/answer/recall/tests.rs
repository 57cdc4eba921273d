use tokio::task::{JoinHandle, yield_now};
use tokio::time::advance;

use super::*;
use crate::answer::key::SessionKey;
use crate::answer::scene::{CACHE, RUNNING, SUCCEEDED, Scene, call};
use crate::liveness::{Operation, SessionId};
use crate::wishes::Wishes;

const SHARING: Cache = Cache { running_ttl: Duration::from_millis(250), ..CACHE };
const MISS: How = How::Asked { why: Why::Miss, stored: true };
const TOLD: How = How::Asked { why: Why::Miss, stored: false };

fn owner() -> SessionKey {
    SessionKey::new(0, Operation::Liveness, &SessionId::parse("abc").unwrap())
}

async fn ask(scene: &Scene, cache: Cache) -> Result<How, Error> {
    let told = scene.recalling(cache).ask(call("abc", Wishes::default())).await?;
    Ok(told.how)
}

fn asking(scene: &Scene) -> JoinHandle<Result<How, Error>> {
    let scene = scene.clone();
    tokio::spawn(async move { ask(&scene, CACHE).await })
}

async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

fn on_their_way(scene: &Scene) -> usize {
    scene.memory.table().flights.len()
}

#[tokio::test(start_paused = true)]
async fn a_final_session_is_asked_for_once() {
    let scene = Scene::new(SUCCEEDED);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    advance(Duration::from_secs(100)).await;
    assert_eq!(ask(&scene, CACHE).await, Ok(How::Hit(Duration::from_secs(3500))));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_after_its_life_whatever_the_caches_own_clock_says() {
    let scene = Scene::new(SUCCEEDED);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    // moka's clock does not move with tokio's.
    advance(Duration::from_secs(3600)).await;
    let stale = How::Asked { why: Why::Stale, stored: true };
    assert_eq!(ask(&scene, CACHE).await, Ok(stale));
    assert!(matches!(ask(&scene, CACHE).await, Ok(How::Hit(_))));
}

#[tokio::test(start_paused = true)]
async fn a_stricter_configuration_holds_for_what_is_kept_already() {
    let scene = Scene::new(SUCCEEDED);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    advance(Duration::from_secs(60)).await;
    let strict = Cache { ttl: Duration::from_secs(60), ..CACHE };
    assert_eq!(ask(&scene, strict).await, Ok(How::Asked { why: Why::Stale, stored: true }));
}

#[tokio::test(start_paused = true)]
async fn a_running_session_is_shared_for_its_time_and_no_longer() {
    let scene = Scene::new(RUNNING);
    assert_eq!(ask(&scene, SHARING).await, Ok(TOLD));
    advance(Duration::from_millis(249)).await;
    assert_eq!(ask(&scene, SHARING).await, Ok(How::Shared));
    advance(Duration::from_millis(2)).await;
    settle().await;
    assert_eq!(on_their_way(&scene), 0);
    assert_eq!(ask(&scene, SHARING).await, Ok(TOLD));
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_askers_of_whom_most_leave_cost_one_call() {
    let scene = Scene::held(SUCCEEDED);
    let askers: Vec<_> = (0..1000).map(|_| asking(&scene)).collect();
    settle().await;
    for leaver in askers.iter().take(900) {
        leaver.abort();
    }
    settle().await;
    scene.gate.add_permits(1);
    for asker in askers.into_iter().skip(900) {
        assert_eq!(asker.await.unwrap(), Ok(How::Collapsed(Why::Miss)));
    }
    assert_eq!((scene.calls(), on_their_way(&scene)), (1, 0));
    assert!(matches!(ask(&scene, CACHE).await, Ok(How::Hit(_))));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_handed_to_all_and_not_kept() {
    let scene = Scene::held("");
    scene.answers(Some((0, "")));
    let askers: Vec<_> = (0..3).map(|_| asking(&scene)).collect();
    settle().await;
    scene.gate.add_permits(1);
    for asker in askers {
        assert_eq!(asker.await.unwrap(), Err(Error::UpstreamTimeout));
    }
    assert_eq!((scene.calls(), on_their_way(&scene)), (1, 0));
    scene.answers(Some((200, SUCCEEDED)));
    scene.gate.add_permits(1);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_told_to_all_and_ends_nothing_else() {
    let scene = Scene::held("");
    scene.answers(None);
    let askers: Vec<_> = (0..3).map(|_| asking(&scene)).collect();
    settle().await;
    scene.gate.add_permits(1);
    for asker in askers {
        assert_eq!(asker.await.unwrap(), Err(Error::Internal));
    }
    scene.answers(Some((200, SUCCEEDED)));
    scene.gate.add_permits(1);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_anothers_question_has_a_deadline() {
    let scene = Scene::held(SUCCEEDED);
    let first = asking(&scene);
    settle().await;
    advance(Duration::from_secs(20)).await;
    let second = asking(&scene);
    settle().await;
    advance(Duration::from_secs(31)).await;
    assert_eq!(second.await.unwrap(), Err(Error::UpstreamTimeout));
    // How long the question itself may take is bounded where Azure is asked.
    assert!(!first.is_finished());
    scene.gate.add_permits(1);
    assert_eq!(first.await.unwrap(), Ok(MISS));
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_cannot_put_a_deleted_session_back() {
    let scene = Scene::held(SUCCEEDED);
    let asker = asking(&scene);
    settle().await;
    scene.memory.delete(&owner());
    // Who asks now is not told what was fetched before.
    scene.answers(Some((404, "{}")));
    let later = asking(&scene);
    settle().await;
    scene.gate.add_permits(2);
    assert_eq!(asker.await.unwrap(), Ok(TOLD));
    assert_eq!(later.await.unwrap(), Ok(TOLD));
    assert_eq!((scene.calls(), on_their_way(&scene)), (2, 0));
    assert!(
        scene
            .memory
            .recall(&Question::new(0, &call("abc", Wishes::default()).target.resource).unwrap())
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_deleted_session_is_kept_until_the_deletion_is_taken_back() {
    let scene = Scene::new(SUCCEEDED);
    scene.memory.delete(&owner());
    assert_eq!(ask(&scene, CACHE).await, Ok(TOLD));
    assert_eq!(ask(&scene, CACHE).await, Ok(TOLD));
    scene.memory.undelete(&owner());
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
}

#[tokio::test(start_paused = true)]
async fn a_purge_takes_what_is_kept_and_what_is_on_its_way() {
    let scene = Scene::new(SUCCEEDED);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    let id = SessionId::parse("abc").unwrap();
    assert_eq!(scene.memory.purge(Some(&SessionId::parse("abd").unwrap()), 1), 0);
    assert_eq!(scene.memory.purge(Some(&id), 1), 1);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    assert_eq!(scene.memory.purge(None, 1), 1);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    assert_eq!(scene.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_answer_replaces_what_is_kept_where_azure_speaks_of_the_session() {
    let scene = Scene::new(SUCCEEDED);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    let fresh = || async {
        let call = call("abc", Wishes::for_no_cache());
        scene.recalling(CACHE).ask(call).await.unwrap().how
    };
    assert_eq!(fresh().await, How::Asked { why: Why::Request, stored: true });
    scene.answers(Some((500, "{}")));
    assert_eq!(fresh().await, How::Asked { why: Why::Request, stored: false });
    assert!(matches!(ask(&scene, CACHE).await, Ok(How::Hit(_))), "trouble of Azure's is no news");
    scene.answers(Some((404, "{}")));
    assert_eq!(fresh().await, How::Asked { why: Why::Request, stored: false });
    assert_eq!(ask(&scene, CACHE).await, Ok(TOLD), "it is gone");
}

#[tokio::test(start_paused = true)]
async fn who_wants_a_fresh_answer_is_told_no_shared_one() {
    let scene = Scene::new(RUNNING);
    assert_eq!(ask(&scene, SHARING).await, Ok(TOLD));
    let call = call("abc", Wishes::for_no_cache());
    let told = scene.recalling(SHARING).ask(call).await.unwrap();
    assert_eq!(told.how, How::Asked { why: Why::Request, stored: false });
    assert_eq!(ask(&scene, SHARING).await, Ok(How::Shared));
    advance(Duration::from_millis(300)).await;
    settle().await;
    assert_eq!(on_their_way(&scene), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_beyond_48_hours_from_a_creation_that_the_gateway_saw() {
    let scene = Scene::new(SUCCEEDED);
    scene.memory.created(owner(), Moment::now(), None);
    advance(Duration::from_secs(48 * 3600 - 60)).await;
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    let left = Duration::from_secs(60);
    // The wall clock, which goes on, has a part in it too.
    assert!(matches!(ask(&scene, CACHE).await, Ok(How::Hit(hit)) if hit <= left));
    advance(left).await;
    assert_eq!(ask(&scene, CACHE).await, Ok(How::Asked { why: Why::Stale, stored: false }));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_stored_is_not() {
    let scene = Scene::new(SUCCEEDED);
    let mut wishes = Wishes::default();
    wishes.no_store = true;
    let told = scene.recalling(SHARING).ask(call("abc", wishes)).await.unwrap();
    assert_eq!(told.how, TOLD);
    let off = Cache { max_bytes: 0, ..SHARING };
    assert_eq!(ask(&scene, off).await, Ok(TOLD), "the one before was not shared either");
    assert_eq!(ask(&scene, off).await, Ok(How::Shared), "this one may be");
}

#[tokio::test(start_paused = true)]
async fn a_shared_answer_is_as_young_as_whoever_asks_now_allows() {
    let scene = Scene::new(RUNNING);
    assert_eq!(ask(&scene, SHARING).await, Ok(TOLD));
    assert_eq!(ask(&scene, SHARING).await, Ok(How::Shared));
    // The configuration was loaded again.
    assert_eq!(ask(&scene, CACHE).await, Ok(TOLD));
}

#[tokio::test(start_paused = true)]
async fn questions_on_their_way_are_bounded_and_those_beyond_are_told_at_once() {
    let scene = Scene::held(SUCCEEDED);
    let places: Vec<_> = std::iter::from_fn(|| scene.share.place()).collect();
    assert_eq!(ask(&scene, CACHE).await, Err(Error::TooManyQuestions));
    assert_eq!((scene.calls(), on_their_way(&scene)), (0, 0));
    drop(places);
    scene.gate.add_permits(1);
    assert_eq!(ask(&scene, CACHE).await, Ok(MISS));
    assert!(scene.share.place().is_some());
}
