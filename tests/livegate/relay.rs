//! What streams through: creating sessions, with their pictures too, deleting and listing them, and pictures back.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::emulator::Emulator;
use crate::support::gateway::{Gateway, TOKEN};
use crate::support::http::{Answer, Connection, Request};

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
const VERIFY: &str = "/face/v1.2/detectLivenessWithVerify-sessions";
const PREVIEW: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";
const BOUNDARY: &str = "----a-boundary-0123456789";

fn stage() -> (Emulator, Gateway) {
    let emulator = Emulator::start();
    let gateway = Gateway::before(&emulator.url());
    (emulator, gateway)
}

fn wish() -> Value {
    json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone"})
}

/// A form as Microsoft's samples send it, around bytes that no text has.
fn form(picture: &[u8]) -> Vec<u8> {
    let mut form = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"Parameters\"\r\n\
         Content-Type: application/json\r\n\r\n{}\r\n--{BOUNDARY}\r\n\
         Content-Disposition: form-data; name=\"VerifyImage\"; filename=\"face.jpg\"\r\n\
         Content-Type: image/jpeg\r\n\r\n",
        json!({
            "livenessOperationMode": "Passive",
            "deviceCorrelationId": "phone",
            "returnVerifyImageHash": true
        })
    )
    .into_bytes();
    form.extend_from_slice(picture);
    form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    form
}

/// Bytes of every value, which no part of the length repeats.
fn picture(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// Sends raw bytes; the answer as it came, to the end of the connection.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = open(address);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Holds what the emulator received last against these bytes.
#[track_caller]
fn arrived_whole(emulator: &Emulator, body: &[u8]) {
    let last = emulator.requests().pop().unwrap();
    assert_eq!(last["body_length"], body.len());
    let sent = const_hex::encode(Sha256::digest(body));
    let received = last["body_sha256"].as_str().unwrap();
    assert!(received.eq_ignore_ascii_case(&sent), "{received} in place of {sent}");
}

/// The session of a create exists.
#[track_caller]
fn created(gateway: &Gateway, sessions: &str, answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert!(answer["authToken"].as_str().is_some_and(|token| !token.is_empty()), "{answer}");
    let id = answer["sessionId"].as_str().unwrap().to_owned();
    let session = gateway.get(&format!("{sessions}/{id}"));
    assert_eq!(session.status, 200, "{}", session.text());
    id
}

#[test]
fn a_session_is_created_with_json_byte_for_byte() {
    let (emulator, gateway) = stage();
    for sessions in [SESSIONS, PREVIEW, "/face/v1.3-preview.1/detectLiveness-sessions"] {
        // Spaces and an unknown member, which a gateway that writes it anew would lose.
        let body = wish().to_string().replacen('{', "\n { \"unknown\" : 1.50, ", 1);
        let request = Request::new("POST", sessions).key(TOKEN);
        let answer = request.body("application/json", body.clone()).send(gateway.public);
        let sent = emulator.requests().pop().unwrap();
        assert_eq!(sent["target"], sessions);
        arrived_whole(&emulator, body.as_bytes());
        created(&gateway, sessions, &answer);
    }
}

#[test]
fn a_session_is_created_with_a_picture_byte_for_byte() {
    let (emulator, gateway) = stage();
    let picture = picture(5 << 20);
    let body = form(&picture);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = Request::new("POST", VERIFY).key(TOKEN).body(&kind, body.clone());
    let answer = request.send(gateway.public);
    arrived_whole(&emulator, &body);
    let sent = emulator.requests().pop().unwrap();
    assert!(sent["headers"].as_array().unwrap().contains(&json!(["content-type", kind])));
    assert!(
        sent["headers"]
            .as_array()
            .unwrap()
            .contains(&json!(["content-length", body.len().to_string()])),
        "{sent}"
    );
    let id = created(&gateway, VERIFY, &answer);
    // The picture itself was understood.
    let hash = const_hex::encode_upper(Sha256::digest(&picture));
    let advance = json!({"final": true});
    emulator.control("PATCH", &format!("/emulator/sessions/{id}"), &advance);
    let session = gateway.get(&format!("{VERIFY}/{id}")).text();
    assert!(session.contains(&hash), "no {hash} in {session}");
}

#[test]
fn a_session_is_created_with_chunks() {
    let (emulator, gateway) = stage();
    let body = form(&picture(300_000));
    let mut connection = Connection::open(gateway.public);
    let head = format!(
        "POST {VERIFY} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Planted\r\n\r\n"
    );
    connection.write(head.as_bytes()).unwrap();
    for piece in body.chunks(7_777) {
        connection.write(format!("{:X};ext=1\r\n", piece.len()).as_bytes()).unwrap();
        connection.write(piece).unwrap();
        connection.write(b"\r\n").unwrap();
    }
    connection.write(b"0\r\nX-Planted: trailer-of-the-app\r\n\r\n").unwrap();
    let answer = connection.read().unwrap();
    arrived_whole(&emulator, &body);
    let sent = emulator.requests().pop().unwrap();
    assert!(!sent.to_string().to_lowercase().contains("planted"), "{sent}");
    created(&gateway, VERIFY, &answer);
    // The connection goes on.
    let get = Request::get(&format!("{SESSIONS}/missing")).key(TOKEN);
    assert_eq!(connection.send(&get).error_code(), "SessionNotFound");
}

#[test]
fn who_expects_100_is_told_to_continue() {
    let (emulator, gateway) = stage();
    let body = wish().to_string();
    let head = |token: &str| {
        format!(
            "POST {SESSIONS} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\
             Connection: close\r\n\r\n",
            body.len()
        )
    };
    let mut stream = open(gateway.public);
    stream.write_all(head(TOKEN).as_bytes()).unwrap();
    let mut interim = Vec::new();
    while !interim.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        interim.push(byte[0]);
    }
    let interim = String::from_utf8(interim).unwrap();
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    arrived_whole(&emulator, body.as_bytes());
    let sent = emulator.requests().pop().unwrap();
    assert!(!sent["headers"].to_string().contains("expect"), "{sent}");
    // Who may not is told so without having sent anything.
    let refused = exchange(gateway.public, head("nobody").as_bytes());
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert_eq!(emulator.requests().len(), 1);
}

#[test]
fn a_session_is_deleted_as_its_version_answers() {
    let (emulator, gateway) = stage();
    for (sessions, status) in [
        ("/face/v1.1-preview.1/detectLiveness/singleModal/sessions", 200),
        (PREVIEW, 200),
        (SESSIONS, 204),
        ("/face/v1.3-preview.1/detectLiveness-sessions", 204),
    ] {
        emulator.put_session(&json!({"id": "abc"}));
        let target = format!("{sessions}/abc");
        let mut connection = Connection::open(gateway.public);
        let delete = Request::new("DELETE", &target).key(TOKEN);
        let answer = connection.send(&delete);
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{target}");
        if status == 204 {
            assert_eq!(answer.header("content-length"), None, "RFC 9110 §8.6");
        }
        assert!(answer.header("apim-request-id").is_some(), "{:?}", answer.headers);
        // On the same connection: the answer's end was where it should be.
        let again = connection.send(&Request::get(&target).key(TOKEN));
        assert_eq!((again.status, again.error_code().as_str()), (404, "SessionNotFound"));
        assert_eq!(connection.send(&delete).status, 404, "{target}");
    }
}

#[test]
fn sessions_are_listed_page_by_page() {
    let (emulator, gateway) = stage();
    for id in ["a1", "a2", "a3", "a4"] {
        emulator.put_session(&json!({"id": id}));
    }
    let ids = |query: &str| -> Vec<String> {
        let target = format!("{PREVIEW}{query}");
        let answer = gateway.get(&target);
        let direct = emulator.send(Request::get(&target));
        assert_eq!((answer.status, answer.text()), (200, direct.text()), "{query}");
        let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
        answer.json().as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(ids(""), ["a1", "a2", "a3", "a4"]);
    assert_eq!(ids("?top=2"), ["a1", "a2"]);
    assert_eq!(ids("?start=a2&top=1"), ["a3"]);
    assert_eq!(ids("?start=a4"), [""; 0]);
}

/// A session with a picture; the picture's path under v1.2.
fn with_image(emulator: &Emulator) -> String {
    emulator.put_session(&json!({"id": "abc", "final": true, "session_image": true}));
    let session = emulator.send(Request::get(&format!("{SESSIONS}/abc"))).json();
    let image = &session["results"]["attempts"][0]["result"]["sessionImageId"];
    format!("/face/v1.2/sessionImages/{}", image.as_str().unwrap())
}

#[test]
fn a_picture_arrives_byte_for_byte() {
    let (emulator, gateway) = stage();
    let ga = with_image(&emulator);
    let preview = ga.replace("/face/v1.2/", "/face/v1.2-preview.1/session/");
    for target in [ga, preview] {
        let direct = emulator.send(Request::get(&target));
        let answer = gateway.get(&target);
        assert_eq!((answer.status, &answer.body), (200, &direct.body), "{target}");
        assert!(direct.body.len() > 100, "{target}: {}", direct.body.len());
        assert_eq!(answer.header("content-type"), direct.header("content-type"));
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()), "{target}");
    }
    let missing = gateway.get("/face/v1.2/sessionImages/missing");
    assert_eq!(missing.status, 404, "{}", missing.text());
}

/// RFC 9110 §9.3.2: what GET says, without the content.
#[test]
fn head_has_the_length_and_no_content() {
    let (emulator, gateway) = stage();
    let image = with_image(&emulator);
    for target in [image, format!("{SESSIONS}/abc"), PREVIEW.to_owned(), format!("{PREVIEW}/abc")] {
        let get = gateway.get(&target);
        let length = get.header("content-length").unwrap().to_owned();
        assert_eq!((get.status, length.as_str()), (200, get.body.len().to_string().as_str()));
        let request = format!(
            "HEAD {target} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = exchange(gateway.public, request.as_bytes());
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
        assert_eq!(content, "", "{target}");
        let lines: Vec<_> = head.lines().map(str::to_ascii_lowercase).collect();
        assert!(lines.contains(&format!("content-length: {length}")), "{target}: {head}");
        let kind = format!("content-type: {}", get.header("content-type").unwrap());
        assert!(lines.contains(&kind), "{target}: {head}");
    }
}

/// What `curl` with these arguments prints, as an app over HTTP/2.
fn curl(arguments: &[&str]) -> String {
    let key = format!("Ocp-Apim-Subscription-Key: {TOKEN}");
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "60", "--http2-prior-knowledge", "-H", &key])
        .args(["-w", "\n%{http_version} %{response_code}"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn http_2_does_the_same() {
    let (emulator, gateway) = stage();
    let url = format!("http://{}{SESSIONS}", gateway.public);
    let body = wish().to_string();
    let answer = curl(&["-H", "Content-Type: application/json", "-d", &body, &url]);
    let (content, told) = answer.rsplit_once('\n').unwrap();
    assert_eq!(told, "2 200", "{answer}");
    arrived_whole(&emulator, body.as_bytes());
    let created: Value = serde_json::from_str(content).unwrap();
    let id = created["sessionId"].as_str().unwrap();
    let direct = emulator.send(Request::get(&format!("{SESSIONS}/{id}"))).text();
    let answer = curl(&[&format!("{url}/{id}")]);
    assert_eq!(answer, format!("{direct}\n2 200"));
    let sent = emulator.requests().pop().unwrap();
    assert_eq!(sent["target"], format!("{SESSIONS}/{id}"));
    let via = json!(["via", "2.0 livegate"]);
    assert!(sent["headers"].as_array().unwrap().contains(&via), "{sent}");
}
