//! Reads whatever comes as an audit list, puts a member into each entry, and takes it out again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use livegate::liveness::audit::read;
use livegate::liveness::audit::timeline::{Reach, Timeline};

const MEMBER: &[u8] = b"\"gateway\":{}";

fuzz_target!(|body: &[u8]| {
    let Ok(list) = read(body) else {
        return;
    };
    let mut gaps = Vec::new();
    let spliced = list.splice(body, |out| {
        out.extend_from_slice(b"{}");
        gaps.push(out.len());
        Ok::<_, ()>(())
    });
    let spliced = spliced.expect("it was written");
    assert!(read(&spliced).is_err() || list.entries.is_empty(), "it is taken now");
    let (mut rest, mut from) = (Vec::new(), 0);
    for end in gaps {
        let start = end - MEMBER.len();
        assert_eq!(&spliced[start..end], MEMBER);
        let comma = usize::from(spliced[start - 1] == b',');
        rest.extend_from_slice(&spliced[from..start - comma]);
        from = end;
    }
    rest.extend_from_slice(&spliced[from..]);
    assert_eq!(rest, body, "all of Azure's bytes are there");
    for reach in [Reach::WHOLE, Reach { first: false, last: false }] {
        let timeline = Timeline::new(&list.entries, reach, Default::default());
        assert_eq!(timeline.places.len(), list.entries.len());
        assert!(timeline.of.is_none_or(|of| of <= list.entries.len()));
    }
});
