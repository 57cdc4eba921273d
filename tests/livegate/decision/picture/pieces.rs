//! Forms that come at once, or piece by piece.

use serde_json::json;

use super::{CREATE, PICTURE, arrived, bytes, content_type, create, fields, hash, said};
use crate::memory::azure::ok;
use crate::memory::stage::Stage;
use crate::support::gateway::TOKEN;
use crate::support::http::Connection;

/// Whether the gateway is quicker than its app must not matter, so it has many chances.
#[test]
fn a_picture_may_come_at_once() {
    let stage = Stage::set();
    let unseen = (0..200).filter(|index| {
        let id = format!("s-{index}");
        create(&stage, CREATE, &id, &content_type(), &fields("true", PICTURE));
        said(&stage, &id, &hash(PICTURE)).as_deref() != Some("match")
    });
    assert_eq!(unseen.count(), 0);
}

#[test]
fn a_picture_may_come_in_small_pieces() {
    let stage = Stage::set();
    let image = bytes(1 << 20);
    let form = fields("true", &image);
    for (id, chunked) in [("counted", false), ("chunked", true)] {
        let made = json!({"sessionId": id, "authToken": "token", "status": "NotStarted"});
        stage.azure.says_in_turn("POST", CREATE, [ok(&made.to_string())]);
        let length = if chunked {
            "Transfer-Encoding: chunked".to_owned()
        } else {
            format!("Content-Length: {}", form.len())
        };
        let head = format!(
            "POST {CREATE} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\
             Content-Type: {}\r\n{length}\r\n\r\n",
            content_type()
        );
        let mut connection = Connection::open(stage.gateway.public);
        connection.write(head.as_bytes()).unwrap();
        // The first ones byte by byte, so that every boundary is cut somewhere.
        let (first, rest) = form.split_at(600);
        for piece in first.chunks(1).chain(rest.chunks(1_009)) {
            if chunked {
                connection.write(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
            }
            connection.write(piece).unwrap();
            if chunked {
                connection.write(b"\r\n").unwrap();
            }
        }
        if chunked {
            connection.write(b"0\r\n\r\n").unwrap();
        }
        arrived(&stage, &connection.read().unwrap(), &content_type(), &form);
        assert_eq!(said(&stage, id, &hash(&image)).as_deref(), Some("match"), "{id}");
    }
}
