//! The HTTP library answers a request that it cannot read by itself, with a status and nothing else. Here that
//! becomes an error in Azure's shape, since apps read errors by it.

use bytes::Bytes;

use crate::error::body;

/// The library's own answers: what they begin with, and what they should have said.
const REFUSALS: [(&[u8], &str, &str); 3] = [
    (b"HTTP/1.1 400 Bad Request\r\n", "BadArgument", "The request is not valid HTTP."),
    (
        b"HTTP/1.1 414 URI Too Long\r\n",
        "UriTooLong",
        "The request's path and query are longer than this gateway reads.",
    ),
    (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
        "RequestHeaderFieldsTooLarge",
        "The request's head is larger than this gateway reads.",
    ),
];

/// What such an answer says of itself; every answer of the gateway's own says more.
const FIELDS: [&[u8]; 3] = [b"connection: close", b"content-length: 0", b"date: "];

/// The answer to send instead, if this is one of the library's own.
pub(super) fn in_azures_shape(written: &[u8]) -> Option<Bytes> {
    // Nearly everything that is written fails the first comparison.
    if !written.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let (start, code, message) =
        REFUSALS.into_iter().find(|(start, _, _)| written.starts_with(start))?;
    let fields = written.get(start.len()..)?.strip_suffix(b"\r\n\r\n")?;
    let mut fields = fields.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    if !fields.all(|field| FIELDS.iter().any(|known| field.starts_with(known))) {
        return None;
    }
    let body = body(code, message);
    let head = format!(
        "connection: close\r\ncontent-type: application/json\r\ncache-control: no-store\r\nx-ms-error-code: {code}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Some([start, head.as_bytes(), &body].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_refusal_gets_a_body() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: Sun, 22 Nov 2026 20:24:08 GMT\r\n\r\n";
        let told = String::from_utf8(in_azures_shape(bare).unwrap().to_vec()).unwrap();
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
        assert!(head.contains("x-ms-error-code: RequestHeaderFieldsTooLarge"));
        assert!(head.ends_with(&format!("content-length: {}", body.len())));
    }

    #[test]
    fn all_else_is_left_alone() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\nx-ms-error-code: BadArgument\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            b"",
        ] {
            assert_eq!(in_azures_shape(answer), None);
        }
    }
}
