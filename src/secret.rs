//! A value that must not be seen: it cannot be printed, and its memory is wiped when it is dropped.
//!
//! Not wiped are the buffer that its file was read into and the header value made of it, which the HTTP
//! library copies as it sends.

use std::fmt::{self, Debug, Formatter};

use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A key of the Azure resource, as it came from its file or from the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// Longest key that is believed, in bytes. Azure's are 32 or 84 characters today; nothing promises that.
const LONGEST: usize = 512;

impl Secret {
    /// Reads a key. White space around it is trimmed, since files mostly end with a line break.
    ///
    /// # Errors
    /// A sentence that tells what is wrong, and never the value.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        match value.trim() {
            "" => Err("the key is empty"),
            key if key.len() > LONGEST => Err("the key is longer than 512 bytes"),
            key if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err("the key has characters that no key has (only visible ASCII is allowed)")
            }
            key => Ok(Self(Zeroizing::new(key.to_owned()))),
        }
    }

    /// The key as a header's value, marked so that neither a log nor HPACK's table keeps it.
    pub fn header_value(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&self.0).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The first 8 hex digits of its SHA-256: the one way in which a key may be shown.
    pub fn fingerprint(&self) -> String {
        const_hex::encode(
            Sha256::digest(self.0.as_bytes()).iter().take(4).copied().collect::<Vec<_>>(),
        )
    }
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
        assert_eq!(
            format!("{key:?} {:?}", key.header_value().unwrap()),
            "Secret(9f9f5111) Sensitive"
        );
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_without_telling_it() {
        let long = "k".repeat(513);
        for bad in ["", " \n", "two words", "caf\u{e9}", "line\nline", "nul\0", long.as_str()] {
            let told = Secret::parse(bad).unwrap_err();
            assert!(bad.trim().is_empty() || !told.contains(bad.trim()), "{told}");
        }
    }
}
