//! What a session's body says of itself: is it final, and where does its token lie.
//!
//! Azure's JSON is passed on byte for byte; this file reads a borrowed view of the few members that
//! matter and makes no typed copy of the schema. A body that cannot be read is simply not final.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Family;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(default)]
    session_expired: Option<bool>,
    #[serde(default, borrow)]
    auth_token: Option<&'a RawValue>,
    #[serde(default, borrow)]
    results: Option<Results<'a>>,
}

#[derive(Deserialize)]
struct Results<'a> {
    #[serde(default, borrow)]
    attempts: Option<Vec<Attempt<'a>>>,
}

#[derive(Deserialize)]
struct Attempt<'a> {
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
}

impl View<'_> {
    /// Whether nothing can change any more. A status alone proves nothing: the published samples contradict
    /// themselves, and in the previews another attempt may follow until the session has expired.
    fn is_final(&self, family: Family) -> bool {
        match (family, self.status.as_ref()) {
            (Family::Preview, "ResultAvailable") => self.session_expired == Some(true),
            (Family::Ga, "Succeeded") => self.has_result(),
            (Family::Ga, "Failed" | "Canceled") => true,
            _ => false,
        }
    }

    fn has_result(&self) -> bool {
        let attempts =
            self.results.iter().filter_map(|results| results.attempts.as_ref()).flatten();
        attempts.filter_map(|attempt| attempt.result).any(|result| result.get() != "null")
    }
}

/// The body as an app may have it: in a final session the value of `authToken` is blanked to `""`.
///
/// A dead token helps nobody. It is blanked rather than left out since the SDKs type it as required.
pub fn without_dead_token(family: Family, body: Bytes) -> Bytes {
    match dead_token(family, &body) {
        Some(token) => [body.get(..token.start), Some(b"\"\""), body.get(token.end..)]
            .map(Option::unwrap_or_default)
            .concat()
            .into(),
        None => body,
    }
}

/// Where in a final session's body its token's value lies, if it has one that is not blank already.
fn dead_token(family: Family, body: &[u8]) -> Option<Range<usize>> {
    let text = std::str::from_utf8(body).ok()?;
    let view: View<'_> = serde_json::from_str(text).ok()?;
    let token = view
        .auth_token
        .filter(|token| view.is_final(family) && token.get() != "\"\"" && token.get() != "null")?;
    // A borrowed raw value is a slice of the text it was read from.
    let start = token.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    Some(start..start + token.get().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(family: Family, body: &str) -> String {
        let body = without_dead_token(family, Bytes::copy_from_slice(body.as_bytes()));
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn a_final_session_loses_its_token_and_nothing_else() {
        let body = r#"{ "sessionId":"a",  "authToken" : "ey\u004a.secret", "status":"Succ\u0065eded","n":12345678901234567890,
            "results":{"attempts":[{"attemptId":1,"result":{"digest":"AB"}}]}}"#;
        assert_eq!(blanked(Family::Ga, body), body.replace(r#""ey\u004a.secret""#, r#""""#));
        for status in ["Failed", "Canceled"] {
            let body =
                format!(r#"{{"authToken":"ey","status":"{status}","results":{{"attempts":[]}}}}"#);
            assert_eq!(blanked(Family::Ga, &body), body.replace("\"ey\"", "\"\""));
        }
        let body = r#"{"authToken":"ey","status":"Failed","sessionExpired":null,"results":{"attempts":null}}"#;
        assert_eq!(blanked(Family::Ga, body), body.replace("\"ey\"", "\"\""));
        let body = r#"{"authToken":"ey","status":"ResultAvailable","sessionExpired":true}"#;
        assert_eq!(blanked(Family::Preview, body), body.replace("\"ey\"", "\"\""));
    }

    #[test]
    fn a_session_that_may_still_change_keeps_it() {
        for (family, body) in [
            (
                Family::Ga,
                r#"{"authToken":"ey","status":"Running","results":{"attempts":[{"result":{}}]}}"#,
            ),
            (
                Family::Ga,
                r#"{"authToken":"ey","status":"NotStarted","results":{"attempts":[{"result":{}}]}}"#,
            ),
            (
                Family::Ga,
                r#"{"authToken":"ey","status":"Succeeded","results":{"attempts":[{"error":{}}]}}"#,
            ),
            (
                Family::Ga,
                r#"{"authToken":"ey","status":"Succeeded","results":{"attempts":[{"result":null}]}}"#,
            ),
            (Family::Ga, r#"{"authToken":"ey","status":"Succeeded"}"#),
            (Family::Ga, r#"{"authToken":"ey","status":"ResultAvailable","sessionExpired":true}"#),
            (
                Family::Preview,
                r#"{"authToken":"ey","status":"ResultAvailable","sessionExpired":false}"#,
            ),
            (Family::Preview, r#"{"authToken":"ey","status":"Started","sessionExpired":true}"#),
        ] {
            assert_eq!(blanked(family, body), body);
        }
    }

    #[test]
    fn what_cannot_be_read_passes_as_it_is() {
        let deep = "[".repeat(100_000);
        for body in [
            "",
            "null",
            "[]",
            "{",
            r#"{"status":"Failed","status":"Failed","authToken":"e"}"#,
            r#"{"status":7}"#,
            deep.as_str(),
        ] {
            assert_eq!(blanked(Family::Ga, body), body);
        }
        let invalid = Bytes::from_static(b"{\"status\":\"Failed\",\"authToken\":\"\xff\"}");
        assert_eq!(without_dead_token(Family::Ga, invalid.clone()), invalid);
    }
}
