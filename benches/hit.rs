//! A hit: the look-up alone, and the whole way of a request but for the network. `cargo bench --bench hit`.

use std::sync::Arc;

use divan::{Bencher, black_box};
use http::Request;
use livegate::answer::key::Question;
use livegate::answer::memory::Memory;
use livegate::azure::reread::Reread;
use livegate::body::Body;
use livegate::config;
use livegate::liveness::Resource;
use livegate::metrics::Metrics;
use livegate::state::State;
use tokio::runtime::Runtime;

#[path = "stage/mod.rs"]
mod stage;

const TOKEN: &str = "bench-token";
/// SHA-256 of [`TOKEN`].
const HASH: &str = "7137e16f75a1d75b6fd65930672814806cdc1a0d6e0aa38611afc996a402258b";
const SIZES: [usize; 2] = [1, 10_000];

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
}

/// Looks one of so many sessions up.
#[divan::bench(args = SIZES)]
fn look_up(bencher: Bencher<'_, '_>, sessions: usize) {
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let memory = Arc::new(Memory::new(u64::MAX, metrics));
    runtime().block_on(stage::fill(&memory, sessions));
    let key = |number| {
        let resource = Resource::parse(&stage::path(number)).expect("a session");
        Question::new(0, &resource).expect("a session")
    };
    let keys: Vec<_> = (0..sessions).map(key).collect();
    let mut next = order(sessions);
    bencher.bench_local(|| {
        let key = next().and_then(|number| keys.get(number)).expect("a key");
        black_box(memory.recall(black_box(key))).expect("a hit");
    });
}

/// Asks the gateway's stack for one of so many sessions.
#[divan::bench(args = SIZES)]
fn whole_way(bencher: Bencher<'_, '_>, sessions: usize) {
    let runtime = runtime();
    let state = state();
    runtime.block_on(stage::fill(&state.lasting.memory, sessions));
    let front = state.way.load().front.clone();
    let mut next = order(sessions);
    let request = || {
        let uri = stage::path(next().unwrap_or_default());
        let request = Request::get(uri).header("host", "localhost");
        let request = request.header("ocp-apim-subscription-key", TOKEN);
        request.body(Body::Empty).expect("a request")
    };
    let _inside = runtime.enter();
    bencher.with_inputs(request).bench_local_values(|request| {
        let answer = runtime.block_on(front.ask(request)).expect("an answer");
        assert_eq!(answer.headers().get("age").map(|_| answer.status().as_u16()), Some(200));
        black_box(answer)
    });
}

/// Every session once and again, in an order that no cache of a processor's likes.
fn order(sessions: usize) -> impl FnMut() -> Option<usize> {
    let mut at = 0_usize;
    move || {
        at = at.wrapping_add(7919);
        at.checked_rem(sessions)
    }
}

/// A gateway's state, in front of nothing.
fn state() -> State {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("livegate.toml");
    let text = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[[upstreams]]\nname = \"none\"\nendpoint = \"http://127.0.0.1:9\"\n\
         keys = {{ primary = {{ file = \"key\" }} }}\n[[apps]]\nname = \"bench\"\ntoken_sha256 = [\"{HASH}\"]\n\
         upstream = \"none\"\n"
    );
    std::fs::write(folder.path().join("key"), "none").expect("a key");
    std::fs::write(&path, text).expect("a configuration");
    let loaded = config::load(&path);
    let config = loaded.config.expect("a configuration");
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    State::new(config, loaded.watched, Vec::new(), metrics, Reread::channel().0).expect("a gateway")
}
