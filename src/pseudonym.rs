//! Names that the log has for sessions: two lines about the same session can be told, and nobody can tell which one it is.
//!
//! The key of the hash is random, is replaced from time to time, and never leaves the process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use crate::liveness::SessionId;
use crate::moment::Moment;

/// Bytes of a hash that are told.
const TOLD: usize = 16;

/// Gives sessions their names.
#[derive(Debug)]
pub struct Pseudonyms(ArcSwap<Key>);

/// What hashes are made with for a while.
struct Key {
    hash: Hmac<Sha256>,
    name: Arc<str>,
    since: Moment,
}

/// A session's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pseudonym {
    /// The hash of its id, in hex.
    pub session: String,
    /// The name of the key: hashes can be compared where it is the same.
    pub key: Arc<str>,
}

impl Pseudonyms {
    /// The name of a session, by a key that is no older than this.
    pub fn of(&self, id: &SessionId, oldest: Duration) -> Pseudonym {
        let mut key = self.0.load_full();
        if Moment::now().since(key.since) >= oldest {
            let new = Arc::new(Key::new());
            // If others were as quick the first of them has made the key for all.
            let previous = self.0.compare_and_swap(&key, Arc::clone(&new));
            key = if Arc::ptr_eq(&previous, &key) { new } else { Arc::clone(&previous) };
        }
        let mut hash = key.hash.clone();
        let folded = id.folded();
        hash.update(folded.as_ref().unwrap_or(id).as_str().as_bytes());
        let hash: [u8; 32] = hash.finalize().into_bytes().into();
        let session = const_hex::encode(hash.get(..TOLD).unwrap_or_default());
        Pseudonym { session, key: Arc::clone(&key.name) }
    }
}

impl Default for Pseudonyms {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Key::new()))
    }
}

impl Key {
    fn new() -> Self {
        let mut secret = [0; 64];
        for part in secret.chunks_exact_mut(16) {
            part.copy_from_slice(Uuid::new_v4().as_bytes());
        }
        let (start, _, _, _) = Uuid::new_v4().as_fields();
        let (hash, name) = (Hmac::new(&secret.into()), format!("{start:08x}").into());
        Self { hash, name, since: Moment::now() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn id(id: &str) -> SessionId {
        SessionId::parse(id).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_has_one_name_for_as_long_as_the_key_lives() {
        let names = Pseudonyms::default();
        let first = names.of(&id("abc"), DAY);
        assert_eq!((first.session.len(), first.key.len()), (32, 8));
        assert_eq!(names.of(&id("ABC"), DAY), first, "whatever its spelling");
        assert_ne!(names.of(&id("abd"), DAY).session, first.session);
        advance(DAY - Duration::from_secs(1)).await;
        assert_eq!(names.of(&id("abc"), DAY), first);
        advance(Duration::from_secs(1)).await;
        let second = names.of(&id("abc"), DAY);
        assert!(second.session != first.session && second.key != first.key);
        assert_eq!(names.of(&id("abc"), DAY), second);
    }

    #[test]
    fn no_two_gateways_have_the_same_names() {
        let names = || Pseudonyms::default().of(&id("abc"), DAY).session;
        assert_ne!(names(), names());
        let shown = format!("{:?}", Pseudonyms::default());
        assert!(shown.len() < 80 && shown.contains("name"), "{shown}");
    }
}
