//! A SHA-256 as Azure writes one: 64 hex digits. Of an attempt, as the server saw it, or of a picture.
//!
//! How a digest is made, and of what, is not published. That it has this form is known from every published sample.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// 64 hex digits, compared in constant time.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads 64 hex digits, of whichever case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        // The decoder would take a prefix `0x` too.
        let long = text.len() == 64;
        long.then(|| const_hex::decode_to_array(text).ok().map(Self)).flatten()
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

/// Never in full: who knows a digest before its session is decided could pretend to have seen it.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: &[u8; 2] = self.0.first_chunk().unwrap_or(&[0; 2]);
        write!(f, "Digest({}…)", const_hex::encode(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "1CC98BA83EAF1D0FF7F566FAEFCCCC787819FFA01251E2D9299143F7AD6651DB";

    #[test]
    fn case_makes_no_difference_and_length_does() {
        let digest = Digest::parse(HEX.as_bytes()).unwrap();
        assert_eq!(digest, Digest::parse(HEX.to_ascii_lowercase().as_bytes()).unwrap());
        assert_ne!(digest, Digest::parse(HEX.replace('1', "2").as_bytes()).unwrap());
        let prefixed = format!("0x{}", HEX.split_at(2).1);
        for wrong in ["", HEX.split_at(1).1, &format!("{HEX}0"), &HEX.replace('C', "G"), &prefixed]
        {
            assert_eq!(Digest::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_not_printed_in_full() {
        let digest = Digest::parse(HEX.as_bytes()).unwrap();
        assert_eq!(format!("{digest:?}"), "Digest(1cc9…)");
    }
}
