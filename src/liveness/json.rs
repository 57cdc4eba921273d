//! Pieces of what is read of JSON: what may stand where something that matters is expected.
//!
//! A member that is absent or null is `None`. One of another type, or out of its range, makes the whole content unreadable:
//! what contradicts the API's description is not guessed at.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Most attempts that are read. v1.3-preview.1 allows 3 at most, the older versions say «up to 3 retries».
const MOST_ATTEMPTS: usize = 100;

/// Deepest nesting that is read. A session has some 8 levels.
const DEEPEST: usize = 128;

/// An object, and nothing else: serde would take a list of the members' values too.
#[derive(Debug, Default)]
pub struct Object<T>(pub T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

/// A text, borrowed where it can be. (serde borrows a `Cow` only where it stands by itself.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, by itself.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }
}

/// A list that is not longer than believable.
#[derive(Debug)]
pub struct List<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Bounded(PhantomData)).map(Self)
    }
}

struct Bounded<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::with_capacity(4);
        while let Some(item) = items.next_element()? {
            if list.len() == MOST_ATTEMPTS {
                return Err(A::Error::custom("too long a list"));
            }
            list.push(item);
        }
        Ok(list)
    }
}

/// Whether anything lies deeper than is read. What is skipped has no such limit of itself.
pub fn is_too_deep(text: &str) -> bool {
    // Mostly there are too few brackets in all.
    opened(text.as_bytes()) > DEEPEST && depth(text) > DEEPEST
}

/// How many brackets open. Counts of a byte each are what a compiler makes the quickest loop of.
fn opened(text: &[u8]) -> usize {
    let opens = |byte: &u8| u8::from(matches!(byte, b'{' | b'['));
    let pieces = text.chunks(usize::from(u8::MAX));
    pieces.map(|piece| usize::from(piece.iter().map(opens).sum::<u8>())).sum()
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_texts() {
        for (text, expected) in [
            ("", 0),
            ("{}", 1),
            (r#"{"a":[{}],"b":[]}"#, 3),
            (r#"{"[[[[":"\"[[\\"}"#, 1),
            ("]]]][", 1),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(!is_too_deep(&nested(128)));
        assert!(is_too_deep(&nested(129)));
        assert!(!is_too_deep(&"[],".repeat(10_000)));
        assert_eq!(opened("[{".repeat(5_000).as_bytes()), 10_000);
    }

    #[test]
    fn an_object_is_no_list() {
        #[derive(Default, Deserialize)]
        struct One {
            #[serde(default)]
            a: u8,
        }
        let read = |text| serde_json::from_str::<Object<One>>(text).map(|one| one.0.a).ok();
        assert_eq!((read(r#"{"a":7}"#), read("{}")), (Some(7), Some(0)));
        for odd in ["[7]", "[]", "7", "null", r#"{"a":7,"a":8}"#] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_list_has_a_bound() {
        let read = |length: usize| {
            let list = format!("[{}]", vec!["7"; length].join(","));
            serde_json::from_str::<List<u8>>(&list).map(|list| list.0.len()).ok()
        };
        assert_eq!((read(0), read(100), read(101)), (Some(0), Some(100), None));
    }
}
