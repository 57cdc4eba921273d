//! The ring of keys, without anybody who waits.

use std::path::Path;

use super::load::Reading;
use super::ring::{Change, Next, Ring, SlotName, Tried};
use super::{NoKey, Verdict};
use crate::azure::finding::Refusal;
use crate::config::{Mistake, Place, Slot, Slots};
use crate::moment::Moment;
use crate::secret::Secret;
use std::time::Duration;

const PROBE: Duration = Duration::from_secs(60);
const NONE: [u64; 0] = [];
const REFUSED: Refusal = Refusal::Unauthorized;

fn slot(key: &str) -> Option<Slot> {
    let named = Mistake::at(Path::new("f"), "", 0..0, "");
    let read = Secret::parse(key).map_err(|told| (key == "gone", told.to_owned()));
    Some(Slot::new(Place::Environment("KEY_1".to_owned()), named, read))
}

fn slots(primary: &str, secondary: &str) -> Slots {
    [slot(primary), slot(secondary)]
}

/// A ring, and what requests and Azure do to it.
struct Scene(Ring);

impl Scene {
    fn new(slots: &Slots) -> Self {
        let mut ring = Ring::default();
        ring.load(slots, Moment::now(), Duration::ZERO);
        Self(ring)
    }

    fn load(&mut self, slots: &Slots) {
        self.0.load(slots, Moment::now(), Duration::ZERO);
    }

    /// A request at an Azure that takes these keys: what it showed, the last of it with success unless all was refused.
    fn request(&mut self, good: &[&str]) -> Vec<String> {
        let (mut tried, mut shown) = (Tried::default(), Vec::new());
        loop {
            let (id, value) = match self.0.next(&mut tried, Moment::now()) {
                Next::Go { id, value, .. } => (id, value),
                other => {
                    shown.push(format!("{other:?}"));
                    return shown;
                }
            };
            let key = value.to_str().unwrap().to_owned();
            self.0.done(id);
            if good.contains(&&*key) {
                self.0.accepted(id, Moment::now(), Moment::now(), PROBE);
                shown.push(key);
                return shown;
            }
            self.0.refused(id, REFUSED, Moment::now(), Moment::now(), PROBE);
            shown.push(key);
        }
    }

    fn verdicts(&self) -> [Verdict; 2] {
        let told = self.0.status("weu", Moment::now(), PROBE);
        [told[0].verdict, told[1].verdict]
    }

    fn serving(&self) -> Option<&'static str> {
        self.0.serving_slot().map(SlotName::as_str)
    }
}

/// So many requests are refused that a rest begins.
fn rest(ring: &mut Ring) {
    while !ring.rest.refused(Moment::now()) {}
}

#[test]
fn the_primary_key_serves_and_the_secondary_where_there_is_no_other() {
    assert_eq!(Scene::new(&slots("a", "b")).request(&["a", "b"]), ["a"]);
    assert_eq!(Scene::new(&slots("", "b")).request(&["b"]), ["b"]);
    assert_eq!(Scene::new(&[slot(""), None]).request(&[]), ["Nothing"]);
}

#[test]
fn what_is_refused_is_followed_by_the_other_and_the_winner_stays() {
    let mut scene = Scene::new(&slots("a", "b"));
    assert_eq!(scene.request(&["b"]), ["a", "b"]);
    assert_eq!(scene.serving(), Some("secondary"));
    assert_eq!(scene.request(&["a", "b"]), ["b"], "the winner stays");
    assert_eq!(scene.request(&["a"]), ["b", "a"]);
    assert_eq!(scene.serving(), Some("primary"));
}

#[test]
fn a_new_key_serves_at_once_where_its_slot_does() {
    let mut scene = Scene::new(&slots("a", "b"));
    scene.request(&["a"]);
    scene.load(&slots("A", "b"));
    assert_eq!(scene.request(&["A", "b"]), ["A"]);
    assert_eq!(scene.request(&["A", "a"]), ["A"]);
    assert_eq!(
        scene.request(&["a"]),
        ["A", "b", "Exhausted"],
        "what was accepted has no former key"
    );
}

#[test]
fn the_key_before_serves_while_nothing_else_does() {
    let mut scene = Scene::new(&[slot("a"), None]);
    scene.request(&["a"]);
    scene.load(&[slot("A"), None]);
    assert_eq!(scene.request(&["a"]), ["A", "a"], "Azure does not know the new one yet");
    assert_eq!(scene.request(&["a"]), ["a"]);
    assert_eq!(scene.request(&["A"]), ["a", "A"]);
    assert_eq!(scene.request(&["A"]), ["A"]);
    assert_eq!(scene.request(&["a"]), ["A", "Exhausted"]);
    // Both slots' new keys lag.
    let mut scene = Scene::new(&slots("a", "b"));
    scene.request(&["a"]);
    scene.load(&slots("A", "b"));
    assert_eq!(scene.request(&["a", "b"]), ["A", "b"]);
    scene.load(&slots("A", "B"));
    assert_eq!(scene.request(&["a", "b"]), ["B", "a"]);
    assert_eq!(scene.request(&["a", "b"]), ["a"]);
}

#[test]
fn half_a_key_does_not_push_out_the_good_one_before_it() {
    let mut scene = Scene::new(&[slot("whole"), None]);
    scene.request(&["whole"]);
    scene.load(&[slot("ne"), None]);
    scene.load(&[slot("new"), None]);
    assert_eq!(scene.request(&["whole"]), ["new", "whole"]);
    scene.load(&[slot("whole"), None]);
    assert_eq!(scene.request(&["whole"]), ["whole"], "given back what it had");
}

#[test]
fn what_is_no_key_leaves_the_last_good_one() {
    let mut ring = Ring::default();
    let mut load = |key: &str| ring.load(&[slot(key), None], Moment::now(), PROBE).0;
    let primary = |reading| vec![(SlotName::Primary, reading)];
    assert_eq!(load("a"), primary(Reading::New));
    assert_eq!(load("a"), primary(Reading::Unchanged));
    assert_eq!(load("a b"), primary(Reading::Invalid { news: true }));
    assert_eq!(load("a b"), primary(Reading::Invalid { news: false }));
    assert_eq!(load(""), primary(Reading::Invalid { news: true }));
    assert_eq!(load("a"), primary(Reading::Unchanged));
    let shown = format!("{ring:?}");
    assert!(ring.slots[0].problem.is_none() && !shown.contains("\"a\""), "{shown}");
}

#[test]
fn a_slot_that_is_taken_out_serves_no_more() {
    let mut ring = Ring::default();
    let now = Moment::now();
    ring.load(&slots("a", "b"), now, PROBE);
    ring.choose(SlotName::Secondary).unwrap();
    let (_, missing) = ring.load(&[slot("a"), None], now, PROBE);
    assert_eq!(missing, Some(SlotName::Primary));
    assert_eq!(ring.choose(SlotName::Secondary), Err(NoKey));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_refuses_everything_is_left_alone_until_something_is_new() {
    let mut scene = Scene::new(&slots("a", "b"));
    assert_eq!(scene.request(&[]), ["a", "b", "Exhausted"]);
    rest(&mut scene.0);
    assert_eq!(scene.request(&["a"]), ["Resting"]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(scene.request(&["a"]), ["a"]);
    assert_eq!(scene.request(&["a"]), ["a"], "it is over");
    rest(&mut scene.0);
    scene.load(&slots("a", "B"));
    assert_eq!(scene.request(&["a"]), ["a"], "a new key is a reason to try");
    rest(&mut scene.0);
    scene.0.choose(SlotName::Secondary).unwrap();
    assert_eq!(scene.request(&["a", "B"]), ["B"], "so is a choice");
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_azure_does_not_know_yet_is_waited_for_with_short_rests() {
    let mut scene = Scene::new(&[slot("a"), None]);
    scene.request(&["a"]);
    scene.load(&[slot("A"), None]);
    rest(&mut scene.0);
    for _ in 0..5 {
        assert_eq!(scene.request(&["A"]), ["Resting"]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(scene.request(&[]).last().unwrap(), "Exhausted");
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(scene.request(&["A"]).last().unwrap(), "A");
}

#[test]
fn a_choice_holds_until_it_is_refused() {
    let mut scene = Scene::new(&slots("a", "b"));
    scene.request(&["b"]);
    assert_eq!(scene.0.choose(SlotName::Primary), Ok(true));
    assert_eq!(scene.0.choose(SlotName::Primary), Ok(false));
    assert_eq!(scene.request(&["a", "b"]), ["a"], "though it was refused before");
    assert_eq!(scene.request(&["b"]), ["a", "b"]);
    assert_eq!(scene.serving(), Some("secondary"));
}

#[test]
fn a_choice_makes_no_key_good() {
    use Verdict::{NotSafe, Unknown};
    let mut scene = Scene::new(&slots("a", "b"));
    scene.request(&["a"]);
    scene.0.choose(SlotName::Secondary).unwrap();
    scene.request(&["b"]);
    assert_eq!(scene.request(&["a"]), ["b", "a"], "b was good, and is so no more");
    scene.0.choose(SlotName::Secondary).unwrap();
    assert_eq!(scene.verdicts(), [Unknown, NotSafe], "a may be the only good key");
    assert_eq!(scene.0.due(Moment::now(), PROBE).len(), 1, "b is tried at once");
    let told = scene.0.status("weu", Moment::now(), PROBE);
    assert!(told[1].last_refused_at.is_some() && told[1].last_accepted_at.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_says_nothing_of_what_came_after() {
    use Verdict::{NotSafe, Unknown};
    let mut scene = Scene::new(&slots("a", "b"));
    let [a, _] = [1, 2];
    let early = Moment::now();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(scene.request(&["b"]), ["a", "b"]);
    tokio::time::advance(Duration::from_secs(1)).await;
    let change = scene.0.accepted(a, early, Moment::now(), PROBE);
    assert_eq!(change, Change::default(), "a create that took long");
    scene.0.choose(SlotName::Primary).unwrap();
    assert_eq!(scene.verdicts(), [NotSafe, Unknown]);
    // The other way round: what a new key's lag brought is told after it was accepted.
    let late = Moment::now();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(scene.request(&["a", "b"]), ["a"]);
    scene.0.refused(a, REFUSED, late, Moment::now(), PROBE);
    assert_eq!(scene.request(&["a", "b"]), ["a"]);
}

#[test]
fn requests_on_their_way_are_not_lost_with_their_slot() {
    use Verdict::{NotSafe, Safe};
    let mut scene = Scene::new(&slots("a", "b"));
    scene.0.choose(SlotName::Secondary).unwrap();
    let Next::Go { id, .. } = scene.0.next(&mut Tried::default(), Moment::now()) else { panic!() };
    scene.0.choose(SlotName::Primary).unwrap();
    scene.request(&["a"]);
    assert_eq!(scene.verdicts(), [NotSafe, NotSafe]);
    scene.load(&[slot("a"), None]);
    scene.load(&slots("a", "b"));
    scene.request(&["a"]);
    assert_eq!(scene.verdicts(), [NotSafe, NotSafe], "the slot was taken out and is back");
    scene.0.done(id);
    assert_eq!(scene.verdicts(), [NotSafe, Safe]);
    assert!(scene.0.leaving.is_empty());
}

#[test]
fn what_would_not_outlive_a_restart_makes_nothing_safe() {
    use Verdict::{NotSafe, Safe};
    let mut scene = Scene::new(&slots("a", "b"));
    scene.request(&["a"]);
    assert_eq!(scene.verdicts(), [NotSafe, Safe]);
    scene.load(&slots("a b", "b"));
    assert_eq!(scene.verdicts(), [NotSafe, NotSafe]);
    scene.load(&slots("a", "b"));
    assert_eq!(scene.verdicts(), [NotSafe, Safe]);
}

#[test]
fn a_fail_over_is_told_once_and_says_why() {
    let mut ring = Ring::default();
    let now = Moment::now();
    ring.load(&slots("a", "b"), now, PROBE);
    let [a, b] = [1, 2];
    assert_eq!(ring.accepted(b, now, now, PROBE), Change::default(), "what serves was not refused");
    ring.refused(a, Refusal::Disabled, now, now, PROBE);
    rest(&mut ring);
    let failed_over = Some((SlotName::Secondary, Refusal::Disabled));
    assert_eq!(ring.accepted(b, now, now, PROBE), Change { recovered: true, failed_over });
    assert_eq!(ring.accepted(b, now, now, PROBE), Change::default());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_uses_is_tried_now_and_then() {
    let mut ring = Ring::default();
    let due = |ring: &mut Ring| {
        let due = ring.due(Moment::now(), PROBE);
        due.iter().map(|(id, ..)| *id).collect::<Vec<u64>>()
    };
    ring.load(&[slot("a"), None], Moment::now(), Duration::ZERO);
    assert_eq!(due(&mut ring), NONE, "alone it proves itself");
    ring.load(&slots("a", "b"), Moment::now(), Duration::ZERO);
    assert!(ring.due(Moment::now(), Duration::ZERO).is_empty());
    assert_eq!(due(&mut ring), [1, 2]);
    assert_eq!(due(&mut ring), NONE, "they are being tried");
    ring.accepted(1, Moment::now(), Moment::now(), PROBE);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        ring.accepted(1, Moment::now(), Moment::now(), PROBE);
        ring.refused(2, REFUSED, Moment::now(), Moment::now(), PROBE);
        tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
        assert_eq!(due(&mut ring), NONE, "{seconds}");
        ring.accepted(1, Moment::now(), Moment::now(), PROBE);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(due(&mut ring), [2], "{seconds}");
    }
    ring.accepted(2, Moment::now(), Moment::now(), PROBE);
    tokio::time::advance(PROBE).await;
    assert_eq!(due(&mut ring), [1, 2]);
    ring.accepted(1, Moment::now(), Moment::now(), PROBE);
    ring.accepted(2, Moment::now(), Moment::now(), PROBE);
    tokio::time::advance(Duration::from_secs(2)).await;
    let often = ring.due(Moment::now(), Duration::from_secs(2)).len();
    assert_eq!(often, 2, "how often was changed meanwhile");
}

#[tokio::test(start_paused = true)]
async fn many_refusals_at_once_are_one_reason_to_wait() {
    let mut ring = Ring::default();
    ring.load(&slots("a", "b"), Moment::now(), PROBE);
    for _ in 0..12 {
        ring.refused(2, REFUSED, Moment::now(), Moment::now(), PROBE);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ring.due(Moment::now(), PROBE).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn safe_is_only_what_nothing_needs() {
    use Verdict::{NotSafe, Safe, Unknown};
    let mut scene = Scene::new(&slots("a", "b"));
    assert_eq!(scene.verdicts(), [NotSafe, Unknown], "a has not been accepted yet");
    scene.request(&["a"]);
    assert_eq!(scene.verdicts(), [NotSafe, Safe]);
    scene.0.choose(SlotName::Secondary).unwrap();
    assert_eq!(scene.verdicts(), [Unknown, NotSafe]);
    let Next::Go { id, .. } = scene.0.next(&mut Tried::default(), Moment::now()) else { panic!() };
    scene.0.accepted(id, Moment::now(), Moment::now(), PROBE);
    assert_eq!(scene.verdicts(), [Safe, NotSafe]);
    scene.0.choose(SlotName::Primary).unwrap();
    scene.request(&["a"]);
    assert_eq!(scene.verdicts(), [NotSafe, NotSafe], "a request is on its way with b");
    scene.0.done(id);
    assert_eq!(scene.verdicts(), [NotSafe, Safe]);
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(scene.verdicts(), [NotSafe, Unknown], "that is long ago");
    scene.request(&["b"]);
    assert_eq!(scene.verdicts(), [Safe, NotSafe]);
    scene.load(&slots("a", "B"));
    assert_eq!(scene.verdicts(), [Unknown, NotSafe]);
    scene.request(&["b"]);
    assert_eq!(scene.verdicts(), [NotSafe, NotSafe], "B is refused, its former key serves");
    let mut alone = Scene::new(&[slot("a"), None]);
    assert_eq!(alone.verdicts(), [NotSafe, Unknown]);
    alone.request(&["a"]);
    assert_eq!(alone.verdicts(), [NotSafe, Unknown], "what is not known is not known to be safe");
}
