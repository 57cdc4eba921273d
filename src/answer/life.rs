//! How long an answer may be told again: the one rule, and it looks at the content alone, never at a header.

use std::time::Duration;

use http::StatusCode;

use crate::config::Cache;
use crate::liveness::session::Standing;
use crate::metrics::label::Store;

/// Azure deletes a session's data 48 hours after its creation (Face API; the data and privacy page of the service).
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// Longest content that is told again, in bytes: a hundred times what a session has.
const LONGEST_CONTENT: usize = 256 << 10;

/// What may become of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is final: kept for so long.
    Kept(Duration),
    /// It may change: told for so long to those who ask meanwhile. The reason is for the metrics.
    Shared(Duration, Store),
    /// Told once. The reason is for the metrics.
    Told(Store),
}

impl Life {
    /// Whether the answer may be told to others than those who waited for it, without being kept.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(time, _) if !time.is_zero())
    }
}

/// What the rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The status.
    pub status: StatusCode,
    /// The length of the content, in bytes.
    pub length: usize,
    /// Where the session stands, if this is one.
    pub standing: Option<Standing>,
    /// The time since the session's creation, where that is known.
    pub age: Option<Duration>,
}

/// The rule.
pub fn life(case: Case, cache: &Cache) -> Life {
    let Case { status, length, standing, age } = case;
    if length > LONGEST_CONTENT {
        return Life::Told(Store::TooLarge);
    }
    let left = LONGEST.saturating_sub(age.unwrap_or_default());
    let kept = |ttl: Duration| match ttl.min(left) {
        _ if cache.max_bytes == 0 => Life::Shared(cache.running_ttl, Store::NoStore),
        Duration::ZERO => Life::Shared(cache.running_ttl, Store::NoStore),
        life => Life::Kept(life),
    };
    let shared = |reason| Life::Shared(cache.running_ttl, reason);
    match (status, standing) {
        (StatusCode::OK, Some(Standing::Succeeded)) => kept(cache.ttl),
        (StatusCode::OK, Some(Standing::Ended)) => kept(cache.failed_ttl),
        (StatusCode::OK, Some(Standing::Pending | Standing::Decided)) => shared(Store::NotTerminal),
        (StatusCode::OK, Some(Standing::Unknown)) => shared(Store::UnknownState),
        (StatusCode::OK, Some(Standing::Unreadable) | None) => Life::Told(Store::Undecodable),
        // That there is no such session is not told again either: a new one may appear at any moment.
        _ => Life::Told(Store::ErrorStatus),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const CACHE: Cache = Cache {
        max_bytes: 1,
        ttl: HOUR,
        failed_ttl: Duration::from_secs(30),
        running_ttl: Duration::from_millis(250),
    };

    fn case(status: u16, standing: Option<Standing>) -> Case {
        let status = StatusCode::from_u16(status).unwrap();
        Case { status, length: 1000, standing, age: None }
    }

    #[test]
    fn only_what_is_final_is_kept() {
        let decide = |status: u16, standing| life(case(status, standing), &CACHE);
        let running = CACHE.running_ttl;
        for (status, standing, expected) in [
            (200, Some(Standing::Succeeded), Life::Kept(HOUR)),
            (200, Some(Standing::Ended), Life::Kept(CACHE.failed_ttl)),
            (200, Some(Standing::Decided), Life::Shared(running, Store::NotTerminal)),
            (200, Some(Standing::Pending), Life::Shared(running, Store::NotTerminal)),
            (200, Some(Standing::Unknown), Life::Shared(running, Store::UnknownState)),
            (200, Some(Standing::Unreadable), Life::Told(Store::Undecodable)),
            (404, None, Life::Told(Store::ErrorStatus)),
            (429, None, Life::Told(Store::ErrorStatus)),
            (500, None, Life::Told(Store::ErrorStatus)),
            (204, None, Life::Told(Store::ErrorStatus)),
        ] {
            assert_eq!(decide(status, standing), expected, "{status} {standing:?}");
        }
    }

    #[test]
    fn nothing_outlives_48_hours_from_its_creation() {
        let decide = |age: Duration| {
            life(Case { age: Some(age), ..case(200, Some(Standing::Succeeded)) }, &CACHE)
        };
        assert_eq!(decide(Duration::ZERO), Life::Kept(HOUR));
        assert_eq!(decide(47 * HOUR + HOUR / 2), Life::Kept(HOUR / 2));
        assert_eq!(decide(48 * HOUR), Life::Shared(CACHE.running_ttl, Store::NoStore));
        assert_eq!(decide(Duration::MAX), Life::Shared(CACHE.running_ttl, Store::NoStore));
    }

    #[test]
    fn a_time_of_nothing_keeps_nothing() {
        let off = Cache { ttl: Duration::ZERO, running_ttl: Duration::ZERO, ..CACHE };
        let told = life(case(200, Some(Standing::Succeeded)), &off);
        assert_eq!(told, Life::Shared(Duration::ZERO, Store::NoStore));
    }

    #[test]
    fn what_is_far_longer_than_a_session_is_told_once() {
        let long = |length| Case { length, ..case(200, Some(Standing::Succeeded)) };
        assert_eq!(life(long(256 << 10), &CACHE), Life::Kept(HOUR));
        assert_eq!(life(long((256 << 10) + 1), &CACHE), Life::Told(Store::TooLarge));
    }
}
