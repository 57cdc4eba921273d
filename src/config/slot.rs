//! Where a secret lies, and what was there when it was looked at.

use std::path::PathBuf;
use std::str::from_utf8;

use zeroize::Zeroizing;

use super::files::Files;
use super::{Config, Credential, Mistake, Watched};
use crate::secret::Secret;

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file that holds nothing else.
    File(PathBuf),
    /// In a variable of the environment, which never changes while the process lives.
    Environment(String),
}

/// One of a resource's two keys. A slot may be empty: the gateway starts, is not ready, and heals when the key appears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The key, or what kept it from being read.
    pub key: Result<Secret, Unusable>,
    place: Place,
    /// Where the configuration names it; the message is empty.
    named: Mistake,
}

/// A resource's two slots, first the primary one.
pub type Slots = [Option<Slot>; 2];

/// Why what lies at a place cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// Whether nothing could be read; if not, what was read is no key.
    pub unreadable: bool,
    /// What is wrong, and where the configuration names the place.
    pub mistake: Mistake,
}

impl Slot {
    /// Of this place, which the configuration names here.
    pub fn new(place: Place, named: Mistake, read: Result<Secret, (bool, String)>) -> Self {
        let told = |(unreadable, message)| Unusable {
            unreadable,
            mistake: Mistake { message, ..named.clone() },
        };
        Self { key: read.map_err(told), place, named }
    }

    fn again(&self, files: &Files) -> Self {
        match &self.place {
            Place::Environment(_) => self.clone(),
            Place::File(path) => {
                let read = key(files.read(path));
                Self::new(self.place.clone(), self.named.clone(), read)
            }
        }
    }
}

impl Place {
    /// What lies there now: a key, or a token where `token` says so. Waits for a disk.
    ///
    /// # Errors
    /// A sentence that never holds the value.
    pub fn read(&self, token: bool) -> Result<Secret, String> {
        let content = match self {
            Self::File(path) => Files::default().read(path)?,
            Self::Environment(name) => std::env::var(name)
                .map(|value| Zeroizing::new(value.into_bytes()))
                .map_err(|_| super::reader::unset(name))?,
        };
        let text = from_utf8(&content).map_err(|_| NOT_TEXT)?;
        let parse = if token { Secret::token } else { Secret::parse };
        parse(text).map_err(str::to_owned)
    }
}

const NOT_TEXT: &str = "the file named here is not UTF-8";

/// The key in what was read of a file. An error tells whether nothing could be read, and why.
pub(super) fn key(read: Result<Zeroizing<Vec<u8>>, String>) -> Result<Secret, (bool, String)> {
    let content = read.map_err(|told| (true, told))?;
    let text = from_utf8(&content).map_err(|_| (false, NOT_TEXT.to_owned()))?;
    Secret::parse(text).map_err(|told| (false, told.to_owned()))
}

/// The keys of a configuration that is in force, read again: those of each upstream, and the files that were looked at. A mistake in
/// a new version of the configuration keeps no key out.
pub fn keys_again(config: &Config) -> (Vec<Option<Slots>>, Watched) {
    let files = Files::default();
    let again =
        |slots: &Slots| slots.each_ref().map(|slot| slot.as_ref().map(|slot| slot.again(&files)));
    let keys = config.upstreams.iter().map(|upstream| match &upstream.credential {
        Credential::Keys(slots) => Some(again(slots)),
        Credential::Entra(_) => None,
    });
    (keys.collect(), files.into_watched())
}
