//! HTTP/2 by hand: frames go out exactly as written.

/// What a client says first: RFC 9113 §3.4.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// RFC 9113 §6.5: nothing to say.
pub(crate) const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS_FRAME: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame on stream 1.
pub(crate) fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// The same frame on another stream.
pub(crate) fn at(stream: u32, mut frame: Vec<u8>) -> Vec<u8> {
    frame[5..9].copy_from_slice(&stream.to_be_bytes());
    frame
}

/// A field as it is, with its name: RFC 7541 §6.2.2.
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        // RFC 7541 §5.1: 7 bits, and what is more behind them.
        match text.len().checked_sub(127) {
            None => field.push(u8::try_from(text.len()).unwrap()),
            Some(mut more) => {
                field.push(127);
                while more >= 128 {
                    field.push(u8::try_from(more % 128).unwrap() | 128);
                    more /= 128;
                }
                field.push(u8::try_from(more).unwrap());
            }
        }
        field.extend_from_slice(text.as_bytes());
    }
    field
}

#[test]
fn lengths_are_written_as_hpack_has_them() {
    // RFC 7541 C.1.2: 1337 behind a prefix of 5 bits; behind one of 7 it is 127 and 1210.
    assert_eq!(literal("a", &"b".repeat(1337))[..6], [0, 1, b'a', 127, 186, 9]);
    assert_eq!(literal("a", &"b".repeat(127))[3..5], [127, 0]);
    assert_eq!(frame(DATA, END_STREAM, b"{}"), [0, 0, 2, 0, 1, 0, 0, 0, 1, b'{', b'}']);
}
