//! A value that must not be seen: it cannot be printed, and its memory is wiped when it is dropped.
//!
//! The header value made of it shares that memory, so that it is wiped with the last of them. Not wiped are the HTTP library's
//! own buffers, which a request is written to as it is sent.

use std::fmt::{self, Debug, Formatter};

use bytes::Bytes;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A key of the Azure resource, a client's secret, or a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Bytes);

/// Longest key that is believed, in bytes. Azure's are 32 or 84 characters today; nothing promises that.
const LONGEST_KEY: usize = 512;

/// Longest token that is believed, in bytes. Entra's have some 2 KB.
const LONGEST_TOKEN: usize = 16 << 10;

impl Secret {
    /// Reads a key. White space around it is trimmed, since files mostly end with a line break.
    ///
    /// # Errors
    /// A sentence that tells what is wrong, and never the value.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        let told = [
            "the key is empty",
            "the key is longer than 512 bytes",
            "the key has characters that no key has (only visible ASCII is allowed)",
        ];
        Self::within(value, LONGEST_KEY, told)
    }

    /// Reads a token, which is longer than a key.
    ///
    /// # Errors
    /// A sentence that tells what is wrong, and never the value.
    pub fn token(value: &str) -> Result<Self, &'static str> {
        let told = [
            "the token is empty",
            "the token is longer than 16 KiB",
            "the token has characters that no token has (only visible ASCII is allowed)",
        ];
        Self::within(value, LONGEST_TOKEN, told)
    }

    fn within(
        value: &str,
        longest: usize,
        [empty, long, strange]: [&'static str; 3],
    ) -> Result<Self, &'static str> {
        match value.trim() {
            "" => Err(empty),
            value if value.len() > longest => Err(long),
            value if !value.bytes().all(|byte| byte.is_ascii_graphic()) => Err(strange),
            value => Ok(Self(wiped(value.to_owned()))),
        }
    }

    /// The value itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        // Only visible ASCII was let in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// As a header's value, marked so that neither a log nor HPACK's table keeps it.
    pub fn header_value(&self) -> Option<HeaderValue> {
        sensitive(self.0.clone())
    }

    /// As credentials of the scheme that tokens have (RFC 6750 §2.1), marked likewise.
    pub fn bearer(&self) -> Option<HeaderValue> {
        sensitive(wiped(format!("Bearer {}", self.reveal())))
    }

    /// The first 8 hex digits of its SHA-256: the one way in which it may be shown.
    pub fn fingerprint(&self) -> String {
        let hash = Sha256::digest(&self.0);
        const_hex::encode(hash.iter().take(4).copied().collect::<Vec<_>>())
    }
}

/// Bytes that are overwritten when the last who shares them is gone.
fn wiped(value: String) -> Bytes {
    Bytes::from_owner(Zeroizing::new(value.into_bytes()))
}

fn sensitive(value: Bytes) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trimmed_and_never_printed() {
        let key = Secret::parse(" 0123456789abcdef\n").unwrap();
        assert_eq!(key.header_value().unwrap(), "0123456789abcdef");
        assert_eq!(key.bearer().unwrap(), "Bearer 0123456789abcdef");
        let shown =
            format!("{key:?} {:?} {:?}", key.header_value().unwrap(), key.bearer().unwrap());
        assert_eq!(shown, "Secret(9f9f5111) Sensitive Sensitive");
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_without_telling_it() {
        let long = "k".repeat(513);
        for bad in ["", " \n", "two words", "caf\u{e9}", "line\nline", "nul\0", long.as_str()] {
            let told = Secret::parse(bad).unwrap_err();
            assert!(bad.trim().is_empty() || !told.contains(bad.trim()), "{told}");
        }
        assert!(Secret::token(&long).is_ok());
        assert!(Secret::token(&"k".repeat((16 << 10) + 1)).is_err());
    }

    #[test]
    fn a_header_shares_the_memory_that_is_wiped() {
        let key = Secret::parse("0123456789abcdef").unwrap();
        let value = key.header_value().unwrap();
        assert_eq!(value.as_bytes().as_ptr(), key.reveal().as_ptr());
    }
}
