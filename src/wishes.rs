//! What an app asks of the gateway itself, in header fields that never reach Azure.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderName, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

use crate::config::App;
use crate::liveness::verdict::Given;

const CLIENT_DIGEST: HeaderName = HeaderName::from_static("liveness-client-digest");
const EXPECTED_PICTURE: HeaderName = HeaderName::from_static("liveness-expected-verify-image");
/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Longest time that a request is held on an app's wish, in seconds.
const LONGEST_WAIT: u64 = 60;

/// What an app asks of the gateway itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `Prefer: wait=N`: how long to hold the answer until the session ends.
    pub wait: Option<Duration>,
    /// `Prefer: enrich=…`: audit lists with what the gateway has to say, or as Azure sent them.
    pub enrich: Option<bool>,
    /// `Cache-Control: no-cache`: nothing from memory.
    pub no_cache: bool,
    /// `Cache-Control: no-store`: the answer is not kept.
    pub no_store: bool,
    /// `Liveness-Client-Digest`: what the app's client reported.
    pub client_digest: Given,
    /// `Liveness-Expected-Verify-Image`: the SHA-256 of the picture that the app expects.
    pub expected_picture: Given,
    /// `If-None-Match`: what the app has already, line by line.
    unless: Vec<HeaderValue>,
}

impl Wishes {
    /// Reads a request's fields. What cannot be understood is no wish: RFC 7240 §2 asks for that.
    pub fn read(headers: &HeaderMap, app: &App) -> Self {
        let wait = items(headers, &PREFER).find_map(|item| argument(item, b"wait"));
        let wait = wait.and_then(number).map(|wait| Duration::from_secs(wait.min(LONGEST_WAIT)));
        // RFC 7240 §2: of a preference that is there twice the first one counts.
        let enrich = items(headers, &PREFER).find_map(|item| argument(item, b"enrich"));
        let enrich = enrich.and_then(|value| match value.to_ascii_lowercase().as_slice() {
            b"gateway" => Some(true),
            b"none" => Some(false),
            _ => None,
        });
        // RFC 9111 §5.2.1: either of them refuses what was not validated for this request.
        let fresh = |item: &[u8]| {
            item.eq_ignore_ascii_case(b"no-cache")
                || argument(item, b"max-age").and_then(number) == Some(0)
        };
        Self {
            wait: wait.filter(|wait| !wait.is_zero()),
            enrich,
            no_store: app.allow_no_cache
                && items(headers, &CACHE_CONTROL)
                    .any(|item| item.eq_ignore_ascii_case(b"no-store")),
            no_cache: app.allow_no_cache && items(headers, &CACHE_CONTROL).any(fresh),
            client_digest: given(headers, &CLIENT_DIGEST, true),
            expected_picture: given(headers, &EXPECTED_PICTURE, false),
            unless: headers.get_all(IF_NONE_MATCH).iter().cloned().collect(),
        }
    }

    /// Nothing but a fresh answer.
    pub fn for_no_cache() -> Self {
        Self { no_cache: true, ..Self::default() }
    }

    /// Whether the app has this representation already, by its entity tag with the quotes. RFC 9110 §13.1.2: tags
    /// are compared weakly, and `*` is any.
    pub fn has(&self, etag: &[u8]) -> bool {
        let any = |line: &HeaderValue| line.as_bytes().trim_ascii() == b"*";
        let named = |line: &HeaderValue| tags(line.as_bytes()).any(|tag| tag == etag);
        self.unless.iter().any(|line| any(line) || named(line))
    }
}

/// What a field gives that holds one digest. Parameters may follow a client's digest, and the attempt that one names must be
/// a number.
fn given(headers: &HeaderMap, name: &HeaderName, parameters: bool) -> Given {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let Some(line) = lines.next() else {
        return Given::Nothing;
    };
    let mut parts = line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let digest = parts.next().unwrap_or_default();
    let odd = |part: &[u8]| {
        !parameters || argument(part, b"attempt").is_some_and(|attempt| number(attempt).is_none())
    };
    if lines.next().is_some() || parts.any(odd) { Given::Malformed } else { Given::parse(digest) }
}

/// The members of a list over all of a field's lines, without their parameters.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let members = lines.flat_map(|line| split(line, b','));
    members.map(|item| split(item, b';').next().unwrap_or_default().trim_ascii())
}

/// RFC 9110 §5.6.4: what stands between quotes separates nothing.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |byte| {
        let was_escaped = escaped;
        escaped = quoted && !was_escaped && *byte == b'\\';
        quoted ^= *byte == b'"' && !was_escaped;
        *byte == separator && !quoted
    })
}

/// The value of `name=value` or `name="value"`.
fn argument<'a>(item: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (key, value) = item.split_at_checked(item.iter().position(|byte| *byte == b'=')?)?;
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    key.trim_ascii().eq_ignore_ascii_case(name).then_some(bare.unwrap_or(value))
}

/// RFC 9110 §5.6.7: a number of seconds is digits, and one that is too large counts as the largest.
fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Entity tags with their quotes, which may hold commas. `W/` before one makes no difference here.
fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let open = rest.iter().position(|byte| *byte == b'"')?;
        let tail = rest.get(open..)?;
        let close = tail.iter().skip(1).position(|byte| *byte == b'"')? + 2;
        let (tag, behind) = tail.split_at_checked(close)?;
        rest = behind;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&'static str, &'static str)], allow_no_cache: bool) -> Wishes {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let app = App { allow_no_cache, ..App::default() };
        Wishes::read(&headers, &app)
    }

    #[test]
    fn a_wait_is_read_and_bounded() {
        let wait = |fields: &[_]| read(fields, true).wait.map(|wait| wait.as_secs());
        for (value, seconds) in [
            ("wait=5", Some(5)),
            ("Wait = \"7\"", Some(7)),
            ("respond-async, wait=10; foo=1", Some(10)),
            ("wait=61", Some(60)),
            ("wait=99999999999999999999999", Some(60)),
            ("wait=3, wait=9", Some(3)),
            ("wait=0", None),
            ("wait=-1", None),
            ("wait=1.5", None),
            ("wait=", None),
            ("wait", None),
            ("waits=5", None),
            ("enrich=none", None),
            ("x=\"a, wait=5, b\"", None),
            ("x=\"a\\\", wait=5\", wait=6", Some(6)),
        ] {
            assert_eq!(wait(&[("prefer", value)]), seconds, "{value}");
        }
        assert_eq!(wait(&[("prefer", "enrich=none"), ("prefer", "wait=4")]), Some(4));
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn an_enriched_list_is_wished_for_or_not() {
        for (value, enrich) in [
            ("enrich=gateway", Some(true)),
            ("enrich=none", Some(false)),
            ("Enrich=\"None\"", Some(false)),
            ("wait=5, enrich=none; x=y", Some(false)),
            ("enrich=none, enrich=gateway", Some(false)),
            ("enrich=all, enrich=gateway", None),
            ("enrich", None),
            ("enrich=", None),
            ("enriched=none", None),
        ] {
            assert_eq!(read(&[("prefer", value)], true).enrich, enrich, "{value}");
        }
        assert_eq!(read(&[], true).enrich, None);
    }

    #[test]
    fn a_fresh_answer_is_wished_for_by_those_who_may() {
        for (value, fresh) in [
            ("no-cache", true),
            ("No-Cache", true),
            ("max-age=0", true),
            ("no-transform, no-cache", true),
            ("max-age=00", true),
            ("max-age=1", false),
            ("no-cached", false),
            ("no-store", false),
            ("", false),
        ] {
            assert_eq!(read(&[("cache-control", value)], true).no_cache, fresh, "{value}");
            assert!(!read(&[("cache-control", value)], false).no_cache);
        }
    }

    #[test]
    fn a_digest_is_given_once_and_whole() {
        let hex = "1CC98BA83EAF1D0FF7F566FAEFCCCC787819FFA01251E2D9299143F7AD6651DB";
        let whole = Given::parse(hex.as_bytes());
        let given = |lines: &[&'static str]| {
            let fields: Vec<_> =
                lines.iter().map(|line| ("liveness-client-digest", *line)).collect();
            read(&fields, true).client_digest
        };
        let with = |more: &str| -> &'static str { format!("{hex}{more}").leak() };
        for good in ["", ";attempt=2", " ; attempt=2", ";attempt=\"2\"", ";other=x;attempt=2"] {
            assert_eq!(given(&[with(good)]), whole, "{good}");
        }
        for bad in ["0", ";attempt=x", ";attempt=", ";attempt=-1", ";attempt=1.5", ", "] {
            assert_eq!(given(&[with(bad)]), Given::Malformed, "{bad}");
        }
        assert_eq!(given(&[""]), Given::Malformed);
        assert_eq!(given(&[with(""), with("")]), Given::Malformed, "two are not one");
        assert_eq!(given(&[]), Given::Nothing);
        let expected =
            |value| read(&[("liveness-expected-verify-image", value)], true).expected_picture;
        assert_eq!((expected(with("")), expected(with(";attempt=2"))), (whole, Given::Malformed));
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (value, has) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("\"b,c\",W/\"a\"", true),
            ("*", true),
            (" * ", true),
            ("\"A\"", false),
            ("a", false),
            ("\"a", false),
            ("\"b\", *", false),
            ("", false),
        ] {
            assert_eq!(read(&[("if-none-match", value)], true).has(b"\"a\""), has, "{value}");
        }
        assert!(
            read(&[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")], true).has(b"\"a\"")
        );
        assert!(!read(&[], true).has(b"\"a\""));
    }
}
