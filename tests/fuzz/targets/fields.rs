//! Reads whatever comes in the fields that mean something to the gateway: what apps wish, and when Azure wants to be asked again.

#![no_main]

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use livegate::config::App;
use livegate::headers::{Heard, Name, retry_after};
use livegate::wishes::Wishes;

const NAMES: [&str; 9] = [
    "prefer",
    "cache-control",
    "if-none-match",
    "liveness-client-digest",
    "liveness-expected-verify-image",
    "retry-after",
    "date",
    "traceparent",
    "client-request-id",
];

fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some((number, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        headers.append(NAMES[usize::from(*number) % NAMES.len()], value);
    }
    let wishes = Wishes::read(&headers, &App::default());
    assert!(wishes.wait.is_none_or(|wait| (1..=60).contains(&wait.as_secs())));
    assert_eq!(wishes, Wishes::read(&headers, &App::default()));
    let _ = (wishes.has(b"\"a\""), retry_after(&headers, Timestamp::UNIX_EPOCH));
    let heard = Heard::new(headers, http::Version::HTTP_11, Name::random());
    let to_azure = heard.towards_azure();
    for name in ["client-request-id", "x-ms-client-request-id", "traceparent"] {
        assert!(to_azure.contains_key(name), "{name}");
    }
});
