//! Clients that keep the gateway busy with what costs them nothing: it is bounded, and others are served meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::emulator::Emulator;
use crate::support::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
    SETTINGS_FRAME, WINDOW_UPDATE, at, frame, literal,
};
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";

/// More memory than a gateway takes that holds nothing of a flood, in KiB. The binary that is tested is not optimised.
const MEMORY: u64 = 160 << 10;

fn stage() -> (Emulator, Gateway) {
    let emulator = Emulator::start();
    emulator.put_session(&json!({"id": "abc", "final": true}));
    let gateway = Builder::new(&emulator.url())
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .cache("running_ttl = \"0s\"\n")
        .start();
    (emulator, gateway)
}

/// A request, on a stream of its own.
fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [
        literal(":method", "GET"),
        literal(":scheme", "http"),
        literal(":authority", "a"),
        literal(":path", path),
        literal("ocp-apim-subscription-key", TOKEN),
    ];
    at(stream, frame(HEADERS, END_STREAM | END_HEADERS, &fields.concat()))
}

/// Sends all of these bytes, or as many as are taken, and reads nothing.
fn pour(gateway: &Gateway, begin: &[u8], more: impl Iterator<Item = Vec<u8>>) -> TcpStream {
    let mut client = TcpStream::connect(gateway.public).unwrap();
    client.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let begun = client.write_all(&[PREFACE, SETTINGS, begin].concat());
    assert!(begun.is_ok());
    for bytes in more {
        // It has ended the connection, or stopped reading what is never answered for want of a reader.
        if client.write_all(&bytes).is_err() {
            break;
        }
    }
    client
}

/// Others are served, and the memory is not filled.
#[track_caller]
fn is_well(gateway: &Gateway) {
    assert_eq!(gateway.get(SESSION).status, 200);
    let memory = gateway.process.memory();
    assert!(memory < MEMORY, "{memory} KiB");
}

/// Whether the gateway has ended the connection, with a GOAWAY or without.
fn ended(mut client: TcpStream) {
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut rest = Vec::new();
    let read = client.read_to_end(&mut rest);
    assert!(!read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it is kept");
}

#[test]
fn streams_that_are_opened_and_reset() {
    let (emulator, gateway) = stage();
    let unknown = "/face/v1.2/detectLiveness-sessions/unknown";
    let streams = (0..20_000).map(|number| {
        let stream = 2 * number + 1;
        [get(stream, unknown), at(stream, frame(RST_STREAM, 0, &[0, 0, 0, 8]))].concat()
    });
    let client = pour(&gateway, &[], streams);
    is_well(&gateway);
    ended(client);
    // Who resets at once is cut off long before all that was sent reaches anybody.
    let asked = emulator.requests().len();
    assert!(asked < 2_000, "{asked}");
}

#[test]
fn a_head_without_end() {
    let (_emulator, gateway) = stage();
    let head = frame(HEADERS, END_STREAM, &literal(":method", "GET"));
    let more = (0..10_000).map(|_| frame(CONTINUATION, 0, &literal("x", &"a".repeat(1000))));
    let client = pour(&gateway, &head, more);
    is_well(&gateway);
    ended(client);
}

#[test]
fn a_head_in_pieces_of_nothing() {
    let (_emulator, gateway) = stage();
    let head = frame(HEADERS, END_STREAM, &literal(":method", "GET"));
    let more = (0..200_000).map(|_| frame(CONTINUATION, 0, &[]));
    let client = pour(&gateway, &head, more);
    is_well(&gateway);
    ended(client);
}

#[test]
fn settings_and_pings_that_nobody_reads_the_answers_of() {
    let (_emulator, gateway) = stage();
    for (kind, payload) in [(SETTINGS_FRAME, &[0, 3, 0, 0, 0, 100][..]), (PING, &[0; 8])] {
        let many = at(0, frame(kind, 0, payload)).repeat(1000);
        let client = pour(&gateway, &[], (0..1000).map(|_| many.clone()));
        is_well(&gateway);
        drop(client);
    }
}

#[test]
fn windows_and_streams_beyond_their_bounds() {
    let (_emulator, gateway) = stage();
    let update = at(0, frame(WINDOW_UPDATE, 0, &[0x7f, 0xff, 0xff, 0xff]));
    ended(pour(&gateway, &update, std::iter::once(update.clone())));
    // More streams than are allowed at a time, of which none is given a window.
    let closed = [0, 4, 0, 0, 0, 0];
    let settings = at(0, frame(SETTINGS_FRAME, 0, &closed));
    let client = pour(&gateway, &settings, (0..5_000).map(|number| get(2 * number + 1, SESSION)));
    is_well(&gateway);
    drop(client);
}

/// Requests one behind the other, without waiting for an answer.
#[test]
fn requests_in_one_breath_that_nobody_reads_the_answers_of() {
    let (_emulator, gateway) = stage();
    let get =
        format!("GET {SESSION} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n");
    let many = get.repeat(100);
    let mut client = TcpStream::connect(gateway.public).unwrap();
    client.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    for _ in 0..1000 {
        if client.write_all(many.as_bytes()).is_err() {
            break;
        }
    }
    is_well(&gateway);
}
