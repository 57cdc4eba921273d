//! Audit lists of the previews: what their entries say, and the gateway's word in each of them.
//!
//! Azure's bytes are evidence and stay as they are. An entry is read where it lies, and one member is put in front of its
//! closing brace.

mod entry;
pub mod finding;
pub mod signal;
pub mod synthesis;
pub mod timeline;

use bytes::Bytes;
use serde::de::IgnoredAny;

pub use self::entry::Entry;
use self::entry::first;
use super::json;

/// Most entries of a list: `top` is 1,000 at most.
const MOST_ENTRIES: usize = 1_000;

/// Longest entry that is read, in bytes. Azure's have some 750.
const LONGEST_ENTRY: usize = 256 << 10;

/// The name of the gateway's member, as it is put in.
const MEMBER: &[u8] = b"\"gateway\":";

/// A list, entry by entry as it stands.
#[derive(Debug, Default)]
pub struct List<'a> {
    /// What the entries say.
    pub entries: Vec<Entry<'a>>,
    seams: Vec<Seam>,
}

/// Where a member can be put into an entry: behind its last one.
#[derive(Debug, Clone, Copy)]
struct Seam {
    at: usize,
    /// Whether there is another one in front.
    follows: bool,
}

/// Why a list cannot be read. It can be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not JSON.
    NotJson,
    /// It is no list.
    NoList,
    /// It has more entries than can be asked for.
    TooMany,
    /// One of its entries is no object, or contradicts the API's description.
    BadEntry,
    /// One of its entries is longer than believable.
    TooLong,
    /// One of its entries is nested deeper than believable.
    TooDeep,
    /// One of its entries has a member of the gateway's name.
    Taken,
}

impl Unreadable {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NotJson,
        Self::NoList,
        Self::TooMany,
        Self::BadEntry,
        Self::TooLong,
        Self::TooDeep,
        Self::Taken,
    ];

    /// The value of the metric label `result`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NoList => "no_list",
            Self::TooMany => "too_many",
            Self::BadEntry => "bad_entry",
            Self::TooLong => "too_long",
            Self::TooDeep => "too_deep",
            Self::Taken => "taken",
        }
    }
}

/// Reads a list, in one pass over its bytes.
///
/// # Errors
/// Where it cannot be read whole: half of a list is not made sense of.
pub fn read(body: &[u8]) -> Result<List<'_>, Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotJson)?;
    let inside = text.trim_start_matches(is_space).strip_prefix('[');
    let mut rest = inside.ok_or_else(|| blame(text, Unreadable::NoList))?;
    let mut list = List::default();
    if let Some(after) = rest.trim_start_matches(is_space).strip_prefix(']') {
        return ended(after).map(|()| list);
    }
    loop {
        rest = rest.trim_start_matches(is_space);
        if list.entries.len() == MOST_ENTRIES {
            return Err(blame(text, Unreadable::TooMany));
        }
        let (read, length) = first(rest).map_err(|reason| blame(text, reason))?;
        let (entry, after) = rest.split_at_checked(length).ok_or(Unreadable::NotJson)?;
        believable(entry).map_err(|reason| blame(text, reason))?;
        list.entries.push(read);
        list.seams.push(seam(entry, text.len() - after.len()));
        rest = after.trim_start_matches(is_space);
        rest = match rest.split_at_checked(1) {
            Some((",", more)) => more,
            Some(("]", after)) => return ended(after).map(|()| list),
            _ => return Err(Unreadable::NotJson),
        };
    }
}

fn believable(entry: &str) -> Result<(), Unreadable> {
    if entry.len() > LONGEST_ENTRY {
        return Err(Unreadable::TooLong);
    }
    if json::is_too_deep(entry) { Err(Unreadable::TooDeep) } else { Ok(()) }
}

/// Behind the last member of an entry that ends here.
fn seam(entry: &str, end: usize) -> Seam {
    let inside = entry.strip_suffix('}').unwrap_or(entry).trim_end_matches(is_space);
    Seam { at: end - (entry.len() - inside.len()), follows: inside.len() > 1 }
}

fn ended(rest: &str) -> Result<(), Unreadable> {
    let ended = rest.trim_start_matches(is_space).is_empty();
    ended.then_some(()).ok_or(Unreadable::NotJson)
}

/// What is not even JSON is told as that, whatever was found first.
fn blame(text: &str, reason: Unreadable) -> Unreadable {
    let json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    if json { reason } else { Unreadable::NotJson }
}

/// RFC 8259 §2.
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

impl List<'_> {
    /// The bytes that the list was read from, with a member in each entry. `write` writes the value of the next one.
    ///
    /// # Errors
    /// What `write` says.
    pub fn splice<E>(
        &self,
        body: &[u8],
        mut write: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        const EXPECTED: usize = 480;
        let mut spliced = Vec::with_capacity(body.len() + self.seams.len() * EXPECTED);
        let mut from = 0;
        for seam in &self.seams {
            spliced.extend_from_slice(body.get(from..seam.at).unwrap_or_default());
            spliced.extend_from_slice(if seam.follows { b"," } else { b"" });
            spliced.extend_from_slice(MEMBER);
            write(&mut spliced)?;
            from = seam.at;
        }
        spliced.extend_from_slice(body.get(from..).unwrap_or_default());
        Ok(spliced.into())
    }
}

#[cfg(test)]
mod tests;
