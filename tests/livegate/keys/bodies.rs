//! What a create sends is sent again whole, however much of it had come when the first key was refused.

mod early;

use serde_json::json;

use super::face::{Face, credential};
use super::stage::{NO_PROBES, SESSIONS, Stage, builder, unauthorized};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::{AZURE_KEY, TOKEN};
use crate::support::http::{Connection, Request};
use crate::support::upstream::Recorded;

pub(super) const VERIFY: &str = "/face/v1.2/detectLivenessWithVerify-sessions";
const BOUNDARY: &str = "----a-boundary-0123456789";

/// A form around bytes of every value, which no part of the length repeats.
pub(super) fn form(length: usize) -> Vec<u8> {
    let parameters = json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone"});
    let mut form = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"Parameters\"\r\n\
         Content-Type: application/json\r\n\r\n{parameters}\r\n--{BOUNDARY}\r\n\
         Content-Disposition: form-data; name=\"VerifyImage\"; filename=\"face.jpg\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    )
    .into_bytes();
    let mut state = 0x2545_F491_u32;
    form.extend((0..length).map(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    }));
    form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    form
}

pub(super) fn form_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// Asserts that the same arrived twice, the second time with the other key.
#[track_caller]
fn twice(arrived: &[Recorded], body: &[u8], kind: &str) {
    let shown: Vec<_> = arrived.iter().map(credential).collect();
    assert_eq!(shown, [AZURE_KEY, SECOND_KEY]);
    for request in arrived {
        assert_eq!(request.method, "POST");
        assert_eq!(request.headers.get("content-type"), Some(kind));
        assert_eq!(request.body.len(), body.len());
        assert!(request.body == body, "the body of {:?} is another one", request.headers);
    }
    let lengths = |request: &Recorded| -> Vec<String> {
        request.headers.all("content-length").map(str::to_owned).collect()
    };
    assert_eq!(lengths(&arrived[0]), lengths(&arrived[1]));
}

#[test]
fn a_create_with_json_is_sent_again() {
    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    let body = b"\n { \"unknown\" : 1.50, \"livenessOperationMode\":\"Passive\" }";
    let request = Request::new("POST", SESSIONS).body("application/json", &body[..]);
    let answer = stage.send(request);
    assert_eq!((answer.status, answer.json()["sessionId"].as_str()), (200, Some("abc")));
    let arrived = face.arrived();
    twice(&arrived, body, "application/json");
    let length = body.len().to_string();
    assert_eq!(arrived[1].headers.get("content-length"), Some(length.as_str()));
}

#[test]
fn a_create_with_a_picture_is_sent_again() {
    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    let body = form(1 << 20);
    let request = Request::new("POST", VERIFY).body(&form_type(), body.clone());
    assert_eq!(stage.send(request).status, 200);
    let arrived = face.arrived();
    twice(&arrived, &body, &form_type());
    let length = body.len().to_string();
    assert_eq!(arrived[1].headers.get("content-length"), Some(length.as_str()));
}

#[test]
fn a_create_without_content_is_sent_again() {
    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    assert_eq!(stage.send(Request::new("POST", SESSIONS)).status, 200);
    let arrived = face.arrived();
    assert_eq!(arrived.iter().map(credential).collect::<Vec<_>>(), [AZURE_KEY, SECOND_KEY]);
    assert!(arrived.iter().all(|request| request.body.is_empty()));
}

#[test]
fn a_create_in_chunks_is_sent_again() {
    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    let body = form(300_000);
    let mut connection = Connection::open(stage.gateway.public);
    connection.write(chunked_head().as_bytes()).unwrap();
    for piece in body.chunks(7_777) {
        chunk(&mut connection, piece);
    }
    connection.write(b"0\r\n\r\n").unwrap();
    assert_eq!(connection.read().unwrap().status, 200);
    twice(&face.arrived(), &body, &form_type());
    // The connection goes on.
    let again = connection.send(&Request::get(SESSIONS).key(TOKEN));
    assert!((400..500).contains(&again.status), "{again:?}");
}

pub(super) fn chunked_head() -> String {
    format!(
        "POST {VERIFY} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
         Content-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        form_type()
    )
}

#[track_caller]
pub(super) fn chunk(connection: &mut Connection, piece: &[u8]) {
    connection.write(format!("{:X}\r\n", piece.len()).as_bytes()).unwrap();
    connection.write(piece).unwrap();
    connection.write(b"\r\n").unwrap();
}

#[test]
fn many_creates_at_once_are_all_sent_again() {
    let (face, stage) = Stage::set();
    face.accepts(&[SECOND_KEY]);
    let held = face.hold(VERIFY);
    let request =
        |number: usize| Request::new("POST", VERIFY).body(&form_type(), form((1 << 20) + number));
    let asking: Vec<_> = (0..6).map(|number| stage.sending(request(number))).collect();
    face.until_asked(6);
    held.release();
    for asker in asking {
        let answer = asker.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let arrived = face.arrived();
    assert_eq!(arrived.len(), 12);
    for number in 0..6 {
        let body = form((1 << 20) + number);
        let same: Vec<_> = arrived.iter().filter(|request| request.body == body).collect();
        let shown: Vec<_> = same.into_iter().map(credential).collect();
        assert_eq!(shown, [AZURE_KEY, SECOND_KEY], "{number}");
    }
}

/// More than is kept for that. The request fails, and the next one finds the other key.
#[test]
fn a_create_that_is_too_long_to_be_kept_is_sent_once() {
    let face = Face::start();
    let builder = builder(&face.url()).upstream(NO_PROBES);
    let stage = Stage::of(builder.more("[server]\nmax_body = \"64MiB\"\n"));
    let long = || Request::new("POST", VERIFY).body(&form_type(), form(33 << 20));
    assert_eq!(stage.send(long()).status, 200);
    face.accepts(&[SECOND_KEY]);
    face.arrived();
    let answer = stage.send(long());
    unauthorized(&answer);
    assert_eq!(face.shown(), [AZURE_KEY]);
    // What it took is given back, and what fits is served as ever.
    for length in [1 << 20, 8 << 20] {
        let request = Request::new("POST", VERIFY).body(&form_type(), form(length));
        assert_eq!(stage.send(request).status, 200);
    }
    let arrived = face.shown();
    assert_eq!(arrived.last().map(String::as_str), Some(SECOND_KEY), "{arrived:?}");
    assert_eq!(stage.send(long()).status, 200);
}
