//! Clients that hold on and do nothing lose their place: with one place in all, the next client gets in.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::support::frames::{END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, literal};
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::upstream::Upstream;
use crate::support::wait;

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";

/// More than the buffers between two sockets hold.
const LONG: usize = 12 << 20;

const LIMITS: &str =
    "[server]\nmax_connections = 1\nheader_timeout = \"300ms\"\nsend_timeout = \"300ms\"\n";

fn stage() -> (Upstream, Gateway) {
    stage_with(LIMITS)
}

fn stage_with(limits: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::plain(|_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n");
        [head.into_bytes(), vec![b' '; LONG]].concat()
    });
    let gateway =
        Builder::new(&upstream.url()).app("onboarding", TOKEN, &ALL_ROUTES).more(limits).start();
    (upstream, gateway)
}

/// Whether a client that behaves is served at all.
fn gets_in(address: SocketAddr) -> bool {
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    asked.is_ok_and(|answer| answer.starts_with("HTTP/1.1 401 "))
}

/// Lets a client begin as it will, and waits until somebody else gets in although it holds on.
fn loses_its_place(gateway: &Gateway, bytes: &[u8]) {
    // The place may be taken by the last client still.
    wait::until(|| gets_in(gateway.public).then_some(())).unwrap();
    let mut client = wait::until(|| {
        let mut client = TcpStream::connect(gateway.public).unwrap();
        client.write_all(bytes).ok().map(|()| client)
    })
    .unwrap();
    wait::until(|| gets_in(gateway.public).then_some(())).unwrap();
    drop(client.write_all(b" "));
}

fn get() -> String {
    format!("GET {SESSION} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n")
}

#[test]
fn who_reads_nothing_of_a_long_answer() {
    let (_upstream, gateway) = stage();
    loses_its_place(&gateway, get().as_bytes());
}

#[test]
fn who_asks_again_and_again_and_reads_no_answer() {
    let (_upstream, gateway) = stage();
    let strangers = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20_000);
    let mut client = TcpStream::connect(gateway.public).unwrap();
    // The gateway stops reading where its answers are not taken, so not all of it can be written.
    client.set_nonblocking(true).unwrap();
    drop(client.write(strangers.as_bytes()));
    wait::until(|| gets_in(gateway.public).then_some(())).unwrap();
}

/// RFC 9113 §6.5: an initial window (setting 4) of 0: nothing may be sent.
const NO_WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];

#[test]
fn who_begins_http2_and_falls_silent() {
    let (_upstream, gateway) = stage();
    loses_its_place(&gateway, PREFACE);
    loses_its_place(&gateway, &[PREFACE, SETTINGS].concat());
}

#[test]
fn who_gives_http2_no_window() {
    let (_upstream, gateway) = stage();
    let fields = [
        literal(":method", "GET"),
        literal(":scheme", "http"),
        literal(":authority", "a"),
        literal(":path", SESSION),
        literal("ocp-apim-subscription-key", TOKEN),
    ]
    .concat();
    let head = frame(HEADERS, END_STREAM | END_HEADERS, &fields);
    loses_its_place(&gateway, &[PREFACE, NO_WINDOW, &head].concat());
}

#[test]
fn who_has_said_all_is_told_the_whole_of_a_long_answer() {
    // It reads as fast as the machine lets it.
    let (_upstream, gateway) = stage_with("[server]\nmax_connections = 1\n");
    wait::until(|| gets_in(gateway.public).then_some(())).unwrap();
    let mut client = wait::until(|| {
        let mut client = TcpStream::connect(gateway.public).unwrap();
        let request = format!(
            "GET {SESSION} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).ok()?;
        client.shutdown(Shutdown::Write).ok()?;
        let mut begun = [0; 12];
        client.read_exact(&mut begun).ok()?;
        // Where the place is taken still, it is told so.
        begun.ends_with(b"200").then_some(client)
    })
    .unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > LONG, "{} bytes", rest.len());
}
