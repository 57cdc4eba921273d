//! When a token is wanted, and for how long it is good.

use tokio::time::advance;

use super::*;

fn token(id: u64, seconds: u64) -> Token {
    let (value, life) = (HeaderValue::from_static("t"), Duration::from_secs(seconds));
    Token { id, value, fetched: Moment::now(), life, accepted: None, refused: None }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_at_half_of_its_life_and_shown_nearly_to_its_end() {
    let mut held = Held::default();
    assert!(held.is_wanted(None, Moment::now()));
    held.token = Some(token(1, 3600));
    assert!(!held.is_wanted(None, Moment::now()));
    assert!(held.is_wanted(Some(1), Moment::now()), "Azure refused it");
    assert!(!held.is_wanted(Some(0), Moment::now()), "it refused an older one");
    advance(Duration::from_secs(1800)).await;
    assert!(held.is_wanted(None, Moment::now()));
    advance(Duration::from_secs(1789)).await;
    assert!(held.pick(&Tried::default(), Moment::now()).is_some());
    advance(Duration::from_secs(1)).await;
    assert!(held.pick(&Tried::default(), Moment::now()).is_none());
}

#[tokio::test(start_paused = true)]
async fn fetches_that_fail_come_less_and_less_often() {
    let mut held = Held::default();
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        assert!(!held.failed("no".to_owned(), Moment::now()), "there is no token");
        advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
        assert!(!held.is_wanted(Some(7), Moment::now()), "{seconds}");
        advance(Duration::from_millis(1)).await;
        assert!(held.is_wanted(None, Moment::now()), "{seconds}");
    }
    held.token = Some(token(1, 3600));
    assert!(held.failed("no".to_owned(), Moment::now()), "the old one serves");
}

#[test]
fn a_request_shows_each_token_once() {
    let mut held = Held { token: Some(token(1, 3600)), ..Held::default() };
    let mut tried = Tried::default();
    let (id, _) = held.pick(&tried, Moment::now()).unwrap();
    tried.ids.push(id);
    assert!(held.pick(&tried, Moment::now()).is_none());
    held.token = Some(token(2, 3600));
    assert_eq!(held.pick(&tried, Moment::now()).unwrap().0, 2);
    assert_eq!(held.requests, 2);
}
