//! Reads whatever comes as a session of either family, and with it the audit entry that a preview's session holds.

#![no_main]

use bytes::Bytes;
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use livegate::liveness::Family;
use livegate::liveness::session::{Standing, read};
use livegate::liveness::verdict::{Evidence, Given};

fuzz_target!(|body: &[u8]| {
    let body = Bytes::copy_from_slice(body);
    for family in [Family::Ga, Family::Preview] {
        let (facts, passed) = read(family, body.clone());
        let (decision, evidence) = (facts.decision().to_string(), facts.evidence());
        assert!(HeaderValue::try_from(&decision).is_ok());
        // RFC 9651: what is told is a structured field.
        assert!(sfv::Parser::new(&decision).parse::<sfv::Item>().is_ok(), "{decision}");
        assert_eq!(decision == "pending", evidence == Evidence::Pending);
        assert!(passed == body || facts.standing.is_final());
        let verdict = evidence.judge(Given::Nothing);
        assert!(facts.standing != Standing::Unreadable || verdict.as_str() == "unavailable");
        assert_eq!(read(family, passed).0, facts, "what is told says the same");
    }
});
