//! HTTP/1.1 by hand: requests go out exactly as written, answers come back whole.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything a test may take; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The headers of a message in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// The first header of this name, whatever its case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.0.iter().filter(same).map(|(_, value)| value.as_str())
    }

    fn says(&self, name: &str, token: &str) -> bool {
        self.all(name).any(|value| value.to_ascii_lowercase().contains(token))
    }
}

/// An answer, whole, its transfer coding taken off.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in answer {}: {}", self.status, self.text()))
    }

    /// `error.code` of the body, or `""`.
    pub(crate) fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A connection that stays open from one exchange to the next.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap()
    }

    fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Writes these bytes and nothing else.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one final answer; interim ones (1xx) are passed over.
    pub(crate) fn read(&mut self) -> io::Result<Answer> {
        loop {
            let answer = read_answer(&mut self.stream)?;
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    /// Whether the other side has closed, with nothing left to read.
    pub(crate) fn closed(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok([]) | Err(_))
    }

    pub(crate) fn send(&mut self, request: &Request) -> Answer {
        self.write(&request.bytes()).unwrap();
        self.read().unwrap()
    }
}

/// A request in the making.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the key header that every Azure SDK sends.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Ocp-Apim-Subscription-Key", key)
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    pub(crate) fn json(self, value: &serde_json::Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Over a connection of its own.
    pub(crate) fn send(&self, address: SocketAddr) -> Answer {
        Connection::open(address).send(self)
    }

    /// The same where it may be that no whole answer comes.
    pub(crate) fn try_send(&self, address: SocketAddr) -> io::Result<Answer> {
        let mut connection = Connection::try_open(address)?;
        connection.write(&self.bytes())?;
        connection.read()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut line = |name: &str, value: &str| {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        };
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            line("Host", "livegate.test");
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if !self.body.is_empty() || !matches!(self.method.as_str(), "GET" | "HEAD") {
            line("Content-Length", &self.body.len().to_string());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn read_answer(stream: &mut impl BufRead) -> io::Result<Answer> {
    let (first, headers) = read_head(stream)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status: u16 = status.ok_or_else(|| io::Error::other(format!("status line {first:?}")))?;
    let body = match status {
        100..=199 | 204 | 304 => Vec::new(),
        _ => match read_body(stream, &headers)? {
            Some(body) => body,
            None => {
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest)?;
                rest
            }
        },
    };
    Ok(Answer { status, headers, body })
}

/// First line and headers of a message.
pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<(String, Headers)> {
    let first = read_line(stream)?;
    let mut headers = Headers::default();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok((first, headers));
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| io::Error::other(format!("header {line:?}")))?;
        headers.0.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// The body that the headers announce; `None` where they announce none.
pub(super) fn read_body(
    stream: &mut impl BufRead,
    headers: &Headers,
) -> io::Result<Option<Vec<u8>>> {
    if headers.says("transfer-encoding", "chunked") {
        return read_chunks(stream).map(Some);
    }
    let Some(length) = headers.get("content-length") else {
        return Ok(None);
    };
    let length: usize = length.parse().map_err(io::Error::other)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(body))
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        if size == 0 {
            while !read_line(stream)?.is_empty() {}
            return Ok(body);
        }
        if stream.by_ref().take(size).read_to_end(&mut body)? as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read_line(stream)?;
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line.iter().map(|&byte| char::from(byte)).collect())
}

#[test]
fn reads_chunked_and_counted_bodies_one_after_the_other() {
    let wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n\
        HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\n{}";
    let mut stream = &wire[..];
    let first = read_answer(&mut stream).unwrap();
    assert_eq!((first.status, first.text().as_str()), (200, "abcde"));
    let second = read_answer(&mut stream).unwrap();
    assert_eq!((second.status, second.text().as_str()), (404, "{}"));
    assert_eq!(second.headers.all("X-a").collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn a_truncated_body_is_an_error() {
    let mut counted = &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"[..];
    assert!(read_answer(&mut counted).is_err());
    let mut chunked = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"[..];
    assert!(read_answer(&mut chunked).is_err());
}
