//! While files are written again and again no request carries anything but a whole key.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::stage;
use crate::keys::face::{Face, credential};
use crate::keys::stage::{LIST, Stage, fingerprint};
use crate::support::gateway::{AZURE_KEY, TOKEN};
use crate::support::http::{Connection, Request};
use crate::support::wait;

/// Keys of different lengths, so that what is left of one would show behind another.
fn key(number: usize) -> String {
    format!("azure-key-{number:03}-{}-end", "0123456789abcdef".repeat(1 + number % 5))
}

/// Asks without a pause from several threads while something is done; every answer must be good.
fn under_load(stage: &Stage, act: impl FnOnce()) -> usize {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = || {
            let mut connection = Connection::open(stage.gateway.public);
            let mut asked = 0;
            while !stop.load(Ordering::SeqCst) {
                let answer = connection.send(&Request::get(LIST).key(TOKEN));
                assert_eq!(answer.status, 200, "{}", answer.text());
                asked += 1;
            }
            asked
        };
        let askers: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        // A failure must stop the others too.
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        stop.store(true, Ordering::SeqCst);
        let asked = askers.into_iter().map(|asker| asker.join().unwrap()).sum();
        acted.unwrap();
        asked
    })
}

fn shown(face: &Face) -> BTreeSet<String> {
    face.recorded().iter().map(credential).collect()
}

#[test]
fn fifty_keys_one_after_the_other_are_each_seen_whole_or_not_at_all() {
    let (face, stage) = stage();
    let last = key(50);
    let asked = under_load(&stage, || {
        for number in 1..=50 {
            let before = face.recorded().len();
            if number % 2 == 0 {
                stage.put("key-1", key(number));
            } else {
                fs::write(stage.gateway.scratch.path("key-1"), key(number)).unwrap();
            }
            if number % 10 == 0 {
                assert_eq!(stage.reload().status, 200);
            }
            // So that requests go on between one and the next.
            face.until_asked(before + 10);
        }
        let loaded = || (stage.slot("primary")["fingerprint"] == fingerprint(&last)).then_some(());
        wait::until(loaded).unwrap();
        face.until_asked(face.recorded().len() + 10);
    });
    let mut whole: BTreeSet<_> = (1..=50).map(key).collect();
    whole.insert(AZURE_KEY.to_owned());
    let shown = shown(&face);
    assert!(shown.is_subset(&whole), "{shown:?}");
    assert!(shown.contains(&last) && asked >= 500, "{asked}: {shown:?}");
}

#[test]
fn a_key_that_is_written_bit_by_bit_is_not_read_half() {
    let (face, stage) = stage();
    let mut put = BTreeSet::from([AZURE_KEY.to_owned()]);
    let asked = under_load(&stage, || {
        for number in 1..=5 {
            let new = key(number);
            put.insert(new.clone());
            let mut file = fs::File::create(stage.gateway.scratch.path("key-1")).unwrap();
            for piece in new.as_bytes().chunks(3) {
                file.write_all(piece).unwrap();
            }
            drop(file);
            let new = fingerprint(&new);
            wait::until(|| (stage.slot("primary")["fingerprint"] == new).then_some(())).unwrap();
            face.until_asked(face.recorded().len() + 10);
        }
    });
    assert!(asked > 0);
    assert_eq!(shown(&face), put);
}
