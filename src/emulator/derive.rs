//! Values that look random in Azure and are derived here, so that a test can foretell them.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The digest that an attempt of an emulated session has where its plan names none: 64 upper-case hex
/// digits, the SHA-256 of `{session id}/{attempt}/digest`.
pub fn attempt_digest(session_id: &str, attempt: usize) -> String {
    const_hex::encode_upper(hash(session_id, attempt, "digest"))
}

/// The id of the picture of an attempt: 44 characters, as in the published samples.
pub(super) fn image_id(session_id: &str, attempt: usize) -> String {
    let hex = const_hex::encode(hash(session_id, attempt, "image"));
    std::iter::once('A').chain(hex.chars().take(43)).collect()
}

/// The picture itself: no image, but bytes that differ from one attempt to the next.
pub(super) fn image_bytes(session_id: &str, attempt: usize) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE0];
    for part in 0..32 {
        bytes.extend(hash(session_id, attempt, &format!("picture {part}")));
    }
    bytes.extend([0xFF, 0xD9]);
    bytes
}

/// The id of the device's request that made an attempt.
pub(super) fn request_id(session_id: &str, attempt: usize) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash(session_id, attempt, "request")) {
        *to = from;
    }
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// The token that the device would use.
pub(super) fn auth_token(session_id: &str) -> String {
    let hex = const_hex::encode(hash(session_id, 0, "token"));
    format!("eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.{hex}.{hex}")
}

/// The SHA-256 of bytes as Azure writes it: upper-case hex.
pub(super) fn sha256_upper(bytes: &[u8]) -> String {
    const_hex::encode_upper(Sha256::digest(bytes))
}

fn hash(session_id: &str, attempt: usize, what: &str) -> [u8; 32] {
    Sha256::digest(format!("{session_id}/{attempt}/{what}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_values_have_azures_form_and_differ() {
        let digest = attempt_digest("a", 1);
        assert_eq!(digest.len(), 64);
        assert!(digest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));
        assert_ne!(digest, attempt_digest("a", 2));
        assert_ne!(digest, attempt_digest("b", 1));
        assert_eq!(digest, attempt_digest("a", 1));
        assert_eq!(image_id("a", 1).len(), 44);
        assert_eq!(request_id("a", 1).get_version_num(), 4);
    }
}
