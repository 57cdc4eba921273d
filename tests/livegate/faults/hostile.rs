//! An upstream that says more than was asked, or says it in a way that has no one meaning.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::stage::{SESSIONS, failed};
use crate::support::certs::Certs;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Request, read_head};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;

/// What an app is told for an upstream's bytes, as a session and as a picture.
fn told(bytes: &[u8]) -> [Answer; 2] {
    let bytes = bytes.to_vec();
    let upstream = Upstream::plain(move |_| bytes.clone());
    let gateway = Builder::new(&upstream.url())
        .upstream("timeout = \"2s\"\n")
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .start();
    [format!("{SESSIONS}/abc"), "/face/v1.2/sessionImages/abc".to_owned()]
        .map(|target| gateway.get(&target))
}

/// Answers each request with its own target; whatever is `more` goes out with it, on a connection that stays open.
/// Its address, and how many connections it has been asked for.
fn talkative(more: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut stream = BufReader::new(stream.unwrap());
            thread::spawn(move || {
                while let Ok((line, _)) = read_head(&mut stream) {
                    let target = line.split(' ').nth(1).unwrap();
                    let head =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", target.len());
                    let bytes = [head.as_bytes(), target.as_bytes(), more].concat();
                    if stream.get_mut().write_all(&bytes).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (format!("http://{address}"), connections)
}

/// A second answer in the same bytes would be the next app's, if the connection were used again.
#[test]
fn an_answer_that_nobody_asked_for_is_given_to_nobody() {
    let ask = |more| {
        let (url, connections) = talkative(more);
        let gateway = Gateway::before(&url);
        for number in 0..20 {
            for kind in [SESSIONS, "/face/v1.2/sessionImages"] {
                let target = format!("{kind}/s-{number}");
                let answer = gateway.get(&target);
                assert_eq!((answer.status, answer.text()), (200, target));
            }
        }
        connections.load(Ordering::SeqCst)
    };
    for more in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"[..],
        b"HTTP/1.1 200 OK\r\n",
        b"more than its length",
    ] {
        assert_eq!(ask(more), 40, "such a connection was used again");
    }
    // Without it one connection does for all, or nearly.
    assert!(ask(b"") < 10);
}

#[test]
fn heads_that_have_no_one_meaning() {
    for (what, head) in [
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n"),
        ("a length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
        ("white space before a colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n"),
        ("a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\n"),
        ("a field without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 5\r\n\r\n"),
        ("NUL in a value", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\n"),
        ("a version nobody has", "HTTP/3.7 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HTTP/2 in words", "HTTP/2 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\n"),
        ("a status below all classes", "HTTP/1.1 099 X\r\nContent-Length: 5\r\n\r\n"),
        ("a status above all classes", "HTTP/1.1 600 X\r\nContent-Length: 5\r\n\r\n"),
        ("another protocol", "HTTP/1.1 101 Y\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        ("bytes before it", "\u{feff}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ] {
        for answer in told(format!("{head}hello").as_bytes()) {
            failed(what, &answer, 502, "UpstreamInvalidResponse", "http_protocol_error");
        }
    }
}

#[test]
fn heads_that_are_too_large() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(500));
    for (what, head) in [("a long field", long), ("many fields", many)] {
        for answer in told(head.as_bytes()) {
            failed(what, &answer, 502, "UpstreamInvalidResponse", "http_protocol_error");
        }
    }
}

#[test]
fn interim_answers_are_not_the_answer() {
    let early = "HTTP/1.1 103 Early Hints\r\nX-Planted: a\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for answer in told(format!("HTTP/1.1 100 Continue\r\n\r\n{early}{last}").as_bytes()) {
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert_eq!(answer.header("x-planted"), None);
    }
}

/// RFC 9112 §2.3: a gateway sends its own version, whatever the other side speaks.
#[test]
fn an_old_version_is_azures_alone() {
    let upstream = Upstream::plain(|_| b"HTTP/1.0 200 OK\r\n\r\nhello".to_vec());
    let gateway = Gateway::before(&upstream.url());
    for target in [format!("{SESSIONS}/abc"), "/face/v1.2/sessionImages/abc".to_owned()] {
        let mut stream = TcpStream::connect(gateway.public).unwrap();
        let get = format!(
            "GET {target} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(get.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("hello"), "{answer}");
    }
}

/// RFC 9110 §7.6.1. One option that is no name hides no other.
#[test]
fn what_the_other_side_names_in_connection_stays_there() {
    for options in [&b"x-hop"[..], b"X-Hop, \xff", b"\xff,close ,x-hop"] {
        let head = b"HTTP/1.1 200 OK\r\nX-Hop: planted\r\nX-Kept: 1\r\nConnection: ";
        let bytes = [head, options, b"\r\nContent-Length: 5\r\n\r\nhello"].concat();
        for answer in told(&bytes) {
            assert_eq!((answer.status, answer.header("x-hop")), (200, None));
            assert_eq!(answer.header("x-kept"), Some("1"));
        }
    }
}

/// The answer may come before the request has been heard to its end.
#[test]
fn an_answer_that_comes_early_is_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            // Nothing but a connection that opens and says nothing ends here.
            if read_head(&mut stream).is_ok() {
                let answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly";
                drop(stream.get_mut().write_all(answer));
                drop(std::io::copy(&mut stream, &mut std::io::sink()));
            }
        }
    });
    let gateway = Gateway::before(&format!("http://{address}"));
    let create = Request::new("POST", SESSIONS).key(TOKEN).body("image/jpeg", vec![b'x'; 6 << 20]);
    let answer = create.send(gateway.public);
    assert_eq!((answer.status, answer.text().as_str()), (413, "early"));
    assert_eq!(answer.header("x-ms-error-code"), None);
}

#[test]
fn no_tls_where_there_should_be() {
    let scratch = Scratch::new();
    let certs = Certs::new(&scratch);
    // Speaks HTTP to whoever comes, as a server without TLS does.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain_address = plain.local_addr().unwrap();
    thread::spawn(move || {
        for stream in plain.incoming() {
            let mut stream = stream.unwrap();
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
            drop(std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    // Takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (address, error) in [
        (plain_address, "tls_protocol_error"),
        (silent.local_addr().unwrap(), "connection_timeout"),
    ] {
        let gateway = Builder::new(&format!("https://{address}"))
            .trusting(&certs)
            .upstream("connect_timeout = \"1s\"\n")
            .app("onboarding", TOKEN, &ALL_ROUTES)
            .start();
        for target in [format!("{SESSIONS}/abc"), "/face/v1.2/sessionImages/abc".to_owned()] {
            failed(&target, &gateway.get(&target), 503, "UpstreamUnavailable", error);
        }
    }
}
