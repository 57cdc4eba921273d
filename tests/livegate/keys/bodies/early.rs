//! Azure refuses the key before the whole body has come.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::{VERIFY, chunk, chunked_head, form, form_type};
use crate::keys::face::{self, Face, credential};
use crate::keys::stage::{NO_PROBES, Stage, builder};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::{AZURE_KEY, TOKEN};
use crate::support::http::{self, Connection, Headers};

/// What the first connection does after its refusal.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    /// Goes on reading, as a server does that keeps the connection.
    Reads,
    /// Ends at once.
    Closes,
}

/// Stands before a Face service. The first connection is refused once so many bytes of content have come; all others pass.
struct Front {
    address: SocketAddr,
    refused: Receiver<Headers>,
}

impl Front {
    fn before(face: &Face, content: usize, after: After) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let behind: SocketAddr = face.url().trim_start_matches("http://").parse().unwrap();
        let (sender, refused) = mpsc::channel();
        thread::spawn(move || {
            let mut incoming = listener.incoming().map_while(Result::ok);
            let first = incoming.next().unwrap();
            // The gateway may close it at any time.
            thread::spawn(move || refuse(first, content, after, &sender));
            for stream in incoming {
                let onward = TcpStream::connect(behind).unwrap();
                pipe(stream.try_clone().unwrap(), onward.try_clone().unwrap());
                pipe(onward, stream);
            }
        });
        Self { address, refused }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn pipe(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
}

fn refuse(
    stream: TcpStream,
    content: usize,
    after: After,
    sender: &Sender<Headers>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (_, headers) = http::read_head(&mut stream)?;
    let mut came = vec![0; content];
    stream.read_exact(&mut came)?;
    stream.get_mut().write_all(&face::unauthorized())?;
    if after == After::Closes {
        stream.get_mut().shutdown(Shutdown::Both)?;
    }
    // Nobody listens any more only if the test has failed.
    drop(sender.send(headers));
    io::copy(&mut stream, &mut io::sink())?;
    Ok(())
}

fn stage(content: usize, after: After) -> (Face, Front, Stage) {
    let face = Face::start();
    face.accepts(&[SECOND_KEY]);
    let front = Front::before(&face, content, after);
    let stage = Stage::of(builder(&front.url()).upstream(NO_PROBES));
    (face, front, stage)
}

#[track_caller]
fn first_key(headers: &Headers) {
    assert_eq!(headers.get("ocp-apim-subscription-key"), Some(AZURE_KEY));
    assert_eq!(headers.get("content-type"), Some(form_type().as_str()));
}

#[test]
fn what_comes_in_chunks_after_the_refusal_is_sent_too() {
    for (content, after) in [(0, After::Reads), (900, After::Reads), (900, After::Closes)] {
        let (face, front, stage) = stage(content, after);
        let body = form(200_000);
        let (early, late) = body.split_at(1_000);
        let mut connection = Connection::open(stage.gateway.public);
        connection.write(chunked_head().as_bytes()).unwrap();
        chunk(&mut connection, early);
        first_key(&front.refused.recv().unwrap());
        for piece in late.chunks(50_000) {
            chunk(&mut connection, piece);
        }
        connection.write(b"0\r\n\r\n").unwrap();
        let answer = connection.read().unwrap();
        assert_eq!(answer.status, 200, "{content} {after:?}: {}", answer.text());
        let arrived = face.arrived();
        assert_eq!(arrived.iter().map(credential).collect::<Vec<_>>(), [SECOND_KEY]);
        assert_eq!(arrived[0].headers.get("content-type"), Some(form_type().as_str()));
        assert!(arrived[0].body == body, "{content} {after:?}: {} bytes", arrived[0].body.len());
    }
}

#[test]
fn what_comes_after_the_refusal_keeps_its_length() {
    for (content, after) in [(0, After::Reads), (900, After::Reads), (900, After::Closes)] {
        let (face, front, stage) = stage(content, after);
        let body = form(1 << 20);
        let (early, late) = body.split_at(1_000);
        let head = format!(
            "POST {VERIFY} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
             Content-Type: {}\r\nContent-Length: {}\r\n\r\n",
            form_type(),
            body.len()
        );
        let mut connection = Connection::open(stage.gateway.public);
        connection.write(head.as_bytes()).unwrap();
        connection.write(early).unwrap();
        let headers = front.refused.recv().unwrap();
        first_key(&headers);
        connection.write(late).unwrap();
        let answer = connection.read().unwrap();
        assert_eq!(answer.status, 200, "{content} {after:?}: {}", answer.text());
        let arrived = face.arrived();
        assert_eq!(arrived.iter().map(credential).collect::<Vec<_>>(), [SECOND_KEY]);
        assert!(arrived[0].body == body, "{content} {after:?}: {} bytes", arrived[0].body.len());
        let length = body.len().to_string();
        assert_eq!(headers.get("content-length"), Some(length.as_str()));
        assert_eq!(arrived[0].headers.get("content-length"), Some(length.as_str()));
    }
}

/// Both keys are refused early: the app hears so, whether or not it has sent everything.
#[test]
fn who_is_refused_by_both_keys_hears_it() {
    let (face, front, stage) = stage(900, After::Reads);
    face.accepts(&[]);
    let body = form(200_000);
    let (early, late) = body.split_at(1_000);
    let mut connection = Connection::open(stage.gateway.public);
    connection.write(chunked_head().as_bytes()).unwrap();
    chunk(&mut connection, early);
    front.refused.recv().unwrap();
    chunk(&mut connection, late);
    connection.write(b"0\r\n\r\n").unwrap();
    crate::keys::stage::unauthorized(&connection.read().unwrap());
    assert_eq!(face.shown(), [SECOND_KEY]);
}
