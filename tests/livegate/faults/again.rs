//! What did not get through is sent once more: on a new connection, and within a budget.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use super::stage::*;
use crate::support::free;
use crate::support::gateway::{Gateway, TOKEN};
use crate::support::http::{self, Request};
use crate::support::upstream::answer;

/// Each of its connections serves one request, and breaks at the next one without a word. The first five are served together.
fn forgetful() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (together, broken) = (Arc::new(Barrier::new(5)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&broken);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (together, broken) = (Arc::clone(&together), Arc::clone(&broken));
            thread::spawn(move || {
                serve(stream.unwrap(), (number < 5).then_some(together), &broken)
            });
        }
    });
    (format!("http://{address}"), seen)
}

fn serve(stream: TcpStream, together: Option<Arc<Barrier>>, broken: &AtomicUsize) {
    let mut stream = BufReader::new(stream);
    if http::read_head(&mut stream).is_err() {
        return;
    }
    if let Some(together) = together {
        together.wait();
    }
    stream.get_mut().write_all(&answer(204, &[], b"")).unwrap();
    if http::read_head(&mut stream).is_ok() {
        broken.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn connections_that_all_went_stale_are_noticed_by_nobody() {
    let (url, broken) = forgetful();
    let gateway = Gateway::before(&url);
    let ask = |method: &str, id: usize| {
        let request = Request::new(method, &format!("{SESSIONS}/s-{id}")).key(TOKEN);
        request.send(gateway.public).status
    };
    thread::scope(|scope| {
        let asked = (0..5).map(|id| scope.spawn(move || ask("GET", id))).collect::<Vec<_>>();
        asked.into_iter().for_each(|asked| assert_eq!(asked.join().unwrap(), 204));
    });
    // All five rest in the pool, and all of them break.
    for (id, method) in ["GET", "DELETE", "GET", "DELETE", "GET"].into_iter().enumerate() {
        assert_eq!(ask(method, id), 204, "{method}");
    }
    assert_eq!(broken.load(Ordering::SeqCst), 5);
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    let name = "livegate_upstream_retries_total{outcome=\"ok\",reason=\"stale_connection\"";
    assert!(metrics.contains(&format!("{name},upstream=\"emulated\"}} 5\n")), "{metrics}");
}

#[test]
fn other_trouble_is_tried_again_within_a_budget() {
    let nobody = free::address();
    let gateway = Gateway::before(&format!("http://{nobody}"));
    for number in 0..20 {
        assert_eq!(gateway.get(&format!("{SESSIONS}/s-{number}")).status, 503);
    }
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    // Ten to begin with, and one for ten requests.
    for (outcome, count) in [("failed", 11), ("no_budget", 9)] {
        let name = format!("livegate_upstream_retries_total{{outcome=\"{outcome}\"");
        let line = format!("{name},reason=\"connect\",upstream=\"emulated\"}} {count}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}
