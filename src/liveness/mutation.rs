//! For tests of what reads Azure's JSON: good bodies, made bad by cutting, doubling and exchanging pieces.

use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed};

/// Many cases, and the same ones each time.
pub(super) fn config() -> Config {
    Config {
        cases: 2_000,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(7),
        ..Config::default()
    }
}

/// What is changed: where, how many bytes go, and what comes.
#[derive(Debug, Clone)]
pub(super) struct Changes(Vec<(prop::sample::Index, usize, &'static str)>);

/// So many changes with these pieces.
pub(super) fn changes(
    count: Range<usize>,
    pieces: Vec<&'static str>,
) -> impl Strategy<Value = Changes> {
    let piece = prop::sample::select(pieces);
    let change = (any::<prop::sample::Index>(), 0..40_usize, piece);
    prop::collection::vec(change, count).prop_map(Changes)
}

impl Changes {
    /// What becomes of a good body.
    pub(super) fn of(&self, good: &str) -> Vec<u8> {
        let mut body = good.as_bytes().to_vec();
        for (at, length, piece) in &self.0 {
            let at = at.index(body.len() + 1);
            let end = body.len().min(at + length);
            body.splice(at..end, piece.bytes());
        }
        body
    }
}
