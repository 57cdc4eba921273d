//! Looks over a request's head for what the HTTP library takes and nobody should: a length beside chunks, or two lengths.
//!
//! RFC 9112 §6.3: a request with both ought to be handled as an error, for it may be somebody's try to have it read in two ways. The
//! library drops the length without a word, and one of two that are the same (RFC 9110 §8.6 allows to refuse those), so that no row of the stack can
//! see it. Here one byte of such a head is spoilt, and the library refuses it.

/// The longest name that matters.
const LONGEST: usize = "transfer-encoding".len();

/// Where in a head the eye is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// Between heads.
    #[default]
    Rest,
    /// Before the first line that is not empty.
    Start,
    /// In what stands before a line's colon.
    Name,
    /// Behind it.
    Value,
}

/// Whether one of the names that matter begins with this letter.
const fn begins_one(letter: u8) -> bool {
    matches!(letter, b'c' | b'C' | b't' | b'T')
}

/// What was seen of a head.
#[derive(Debug, Default)]
pub(super) struct Head {
    at: At,
    name: [u8; LONGEST],
    /// How long the name is, or one more than matters.
    length: usize,
    has_length: bool,
    has_coding: bool,
}

impl Head {
    /// What is read next is the beginning of a request, if no head has begun already.
    pub(super) fn begins(&mut self) {
        if self.at == At::Rest {
            *self = Self { at: At::Start, ..Self::default() };
        }
    }

    /// Looks over what was read, and spoils what nobody should take.
    pub(super) fn look(&mut self, mut read: &mut [u8]) {
        while self.at != At::Rest && !read.is_empty() {
            if self.at == At::Value {
                // Of a value only the end matters.
                let Some(end) = read.iter().position(|byte| *byte == b'\n') else { return };
                read = read.get_mut(end..).unwrap_or_default();
            }
            let Some((byte, rest)) = read.split_first_mut() else { return };
            match (*byte, self.at) {
                (b'\r', _) => {}
                (b'\n', At::Start) => {}
                (b'\n', At::Name) if self.length == 0 => self.at = At::Rest,
                (b'\n', _) => (self.at, self.length) = (At::Name, 0),
                (b':', At::Name) => {
                    self.at = At::Value;
                    if self.is_twofold() {
                        *byte = 0;
                        self.at = At::Rest;
                    }
                }
                // Most lines are known by their first letter to be none that matters.
                (letter, At::Start | At::Name) if self.length == 0 && !begins_one(letter) => {
                    self.at = At::Value;
                }
                (letter, _) => self.take(letter),
            }
            read = rest;
        }
    }

    fn take(&mut self, letter: u8) {
        self.at = At::Name;
        if let Some(place) = self.name.get_mut(self.length) {
            *place = letter;
        }
        self.length = (self.length + 1).min(LONGEST + 1);
    }

    fn is_twofold(&mut self) -> bool {
        let name = self.name.get(..self.length).unwrap_or_default();
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        let twice = self.has_length && is_length;
        self.has_length |= is_length;
        self.has_coding |= name.eq_ignore_ascii_case(b"transfer-encoding");
        twice || (self.has_length && self.has_coding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of bytes that are read in pieces of this length.
    fn looked(text: &str, piece: usize) -> Vec<u8> {
        let (mut bytes, mut head) = (text.as_bytes().to_vec(), Head::default());
        head.begins();
        bytes.chunks_mut(piece).for_each(|piece| head.look(piece));
        bytes
    }

    const LENGTH: &str = "Content-Length: 4\r\n";
    const CHUNKS: &str = "tRANSFER-eNCODING:chunked\r\n";

    #[test]
    fn a_length_beside_chunks_is_spoilt_however_it_comes() {
        for first in ["", "\r\n", "\n\n"] {
            for (one, other) in [(LENGTH, CHUNKS), (CHUNKS, LENGTH), (LENGTH, LENGTH)] {
                let whole = format!(
                    "{first}POST http://a:1/b HTTP/1.1\r\nHost: a\r\n{one}X: y\r\n{other}\r\n"
                );
                for text in [whole.clone(), whole.replace('\r', "")] {
                    for piece in 1..text.len() {
                        let seen = looked(&text, piece);
                        assert_eq!(seen.iter().filter(|byte| **byte == 0).count(), 1, "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn all_else_is_left_as_it_came() {
        let line = "POST / HTTP/1.1\r\n";
        for text in [
            format!("{line}{CHUNKS}{CHUNKS}\r\n"),
            format!("{line}{LENGTH}X-Transfer-Encoding: a\r\n\r\n"),
            format!("{line}{LENGTH}Transfer-Encodings: a\r\n\r\n"),
            format!("{line}{LENGTH}X: transfer-encoding: a\r\n\r\n"),
            // What follows the head is content.
            format!("{line}{CHUNKS}\r\n{LENGTH}"),
            format!("{line}{LENGTH}\n{CHUNKS}"),
        ] {
            for piece in [1, 7, text.len()] {
                assert_eq!(looked(&text, piece), text.as_bytes(), "{text}");
            }
        }
    }

    #[test]
    fn each_head_is_looked_at_for_itself() {
        let mut head = Head::default();
        let mut content = CHUNKS.as_bytes().to_vec();
        head.look(&mut content);
        for line in [LENGTH, CHUNKS] {
            head.begins();
            let mut text = format!("GET / HTTP/1.1\r\n{line}\r\n").into_bytes();
            head.look(&mut text);
            assert!(!text.contains(&0));
        }
    }
}
