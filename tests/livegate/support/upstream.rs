//! An upstream that answers whatever the test says, byte for byte, and remembers what it was asked.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certs::Certs;
use super::http::{self, Headers};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    /// Path and query as they stood in the request line.
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

type Script = dyn Fn(&Recorded) -> Vec<u8> + Send + Sync;

/// Runs until it is dropped; each connection has a thread of its own, so a script may block.
pub(crate) struct Upstream {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    recorded: Mutex<Vec<Recorded>>,
    tls: Option<Arc<ServerConfig>>,
    stopped: AtomicBool,
}

impl Upstream {
    /// Without TLS. The script's bytes are the whole answer; an answer of no bytes closes the connection.
    pub(crate) fn plain(script: impl Fn(&Recorded) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(None, Box::new(script))
    }

    /// The same with the server's test certificate, for `https://localhost:PORT`.
    pub(crate) fn tls(
        certs: &Certs,
        script: impl Fn(&Recorded) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::new(server_config(certs))), Box::new(script))
    }

    pub(crate) fn url(&self) -> String {
        if self.tls {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        }
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        self.shared.recorded.lock().unwrap().clone()
    }

    fn start(tls: Option<Arc<ServerConfig>>, script: Box<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            tls: tls.is_some(),
            shared: Arc::new(Shared {
                script,
                recorded: Mutex::default(),
                tls,
                stopped: AtomicBool::new(false),
            }),
        };
        let shared = Arc::clone(&upstream.shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // a peer that goes away ends its own connection, nothing more
                thread::spawn(move || stream.and_then(|stream| shared.serve(stream)));
            }
        });
        upstream
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // wakes the accepting thread
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        match &self.tls {
            None => self.exchanges(stream),
            Some(config) => {
                let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                self.exchanges(StreamOwned::new(tls, stream))
            }
        }
    }

    fn exchanges(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (line, headers) = http::read_head(&mut stream)?;
            let body = http::read_body(&mut stream, &headers)?.unwrap_or_default();
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            let request = Recorded { method: word(), target: word(), headers, body };
            self.recorded.lock().unwrap().push(request.clone());
            let bytes = (self.script)(&request);
            stream.get_mut().write_all(&bytes)?;
            stream.get_mut().flush()?;
            if !complete(&bytes) {
                return Ok(());
            }
        }
    }
}

/// Whether the peer can tell where this answer ends, so that the connection may go on.
fn complete(mut answer: &[u8]) -> bool {
    let Ok((line, headers)) = http::read_head(&mut answer) else {
        return false;
    };
    let bodiless = [" 204", " 304"].iter().any(|status| line.contains(status));
    let ended = match http::read_body(&mut answer, &headers) {
        Ok(body) => (body.is_some() || bodiless) && answer.is_empty(),
        Err(_) => false,
    };
    ended && headers.get("connection") != Some("close")
}

/// An answer with the right `Content-Length` and these headers.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} Whatever\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if status != 204 && status != 304 {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

fn server_config(certs: &Certs) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(&certs.server.cert).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&certs.server.key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

#[test]
fn the_connection_goes_on_only_after_a_whole_answer() {
    assert!(complete(&answer(200, &[], b"{}")));
    assert!(complete(&answer(204, &[], b"")));
    assert!(!complete(&answer(200, &[("Connection", "close")], b"{}")));
    assert!(!complete(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"));
    assert!(!complete(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"));
    assert!(!complete(b""));
}

#[test]
fn remembers_what_it_was_sent_and_closes_where_the_answer_has_no_end() {
    let upstream = Upstream::plain(|request| match request.target.as_str() {
        "/whole" => answer(200, &[], b"{}"),
        _ => b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec(),
    });
    let mut connection = http::Connection::open(upstream.address);
    let put = b"PUT /whole HTTP/1.1\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\0\xFF\r\n0\r\n\r\n";
    connection.write(put).unwrap();
    assert_eq!(connection.read().unwrap().text(), "{}");
    connection.write(b"GET /open HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(connection.read().unwrap().text(), "until the end");
    assert!(connection.closed());
    let recorded = upstream.recorded();
    assert_eq!((recorded.len(), recorded[0].method.as_str()), (2, "PUT"));
    assert_eq!(
        (recorded[0].headers.get("x-a"), recorded[0].body.as_slice()),
        (Some("b"), &b"\0\xFF"[..])
    );
}
