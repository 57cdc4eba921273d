//! What was decided, as the value of `Liveness-Decision`: a structured field (RFC 9651), such as
//! `realface;attempt=2;attempts=2`.
//!
//! In v1.2 and later the attempt with the highest `attemptId` decides, of those that have ended: the order in the array
//! means nothing, and no specification says that it does. The previews show one result, the latest.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest value that is told as it is, in bytes.
const LONGEST: usize = 64;

/// The members of an attempt that matter. Each is read by itself, so that an odd one spoils only itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt<'a> {
    #[serde(default, borrow)]
    attempt_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    attempt_status: Option<&'a RawValue>,
    #[serde(default, borrow)]
    result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    #[serde(default, borrow)]
    liveness_decision: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    verify_result: Option<Verify<'a>>,
    #[serde(default, borrow)]
    error: Option<Failure<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verify<'a> {
    #[serde(default, borrow)]
    is_identical: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(default, borrow)]
    code: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    response: Answered<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    #[serde(default, borrow)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    status_code: Option<u16>,
}

impl Attempt<'_> {
    /// Whether it brought a result.
    pub(super) fn has_result(&self) -> bool {
        there(self.result).is_some()
    }

    /// Whether it says that it goes on.
    pub(super) fn goes_on(&self) -> bool {
        let status = self.attempt_status.map(RawValue::get);
        !self.has_ended() && matches!(status, Some("\"NotStarted\"" | "\"Running\""))
    }

    fn has_ended(&self) -> bool {
        let status = self.attempt_status.map(RawValue::get);
        self.has_result()
            || there(self.error).is_some()
            || matches!(status, Some("\"Succeeded\"" | "\"Failed\"" | "\"Canceled\""))
    }

    fn id(&self) -> Option<u64> {
        self.attempt_id.and_then(|id| id.get().parse().ok())
    }
}

/// What the attempts of a decided session decided.
pub(super) fn of_attempts(attempts: &[Attempt<'_>]) -> String {
    let ended = attempts.iter().filter(|attempt| attempt.has_ended());
    let Some(deciding) = ended.max_by_key(|attempt| attempt.id()) else {
        return "none".to_owned();
    };
    let failed = deciding.attempt_status.is_some_and(|status| status.get() == "\"Failed\"");
    let (word, rest) = match (there(deciding.result), there(deciding.error)) {
        (Some(result), error) if error.is_none() || !failed => result_of(result.get()),
        (_, error) => ("error".to_owned(), code(error.and_then(parsed::<Failure<'_>>))),
    };
    if word == "none" {
        return word;
    }
    let attempt = deciding.id().map(|id| format!(";attempt={id}")).unwrap_or_default();
    format!("{word}{attempt};attempts={}{rest}", attempts.len())
}

/// What the one result of a preview's session decided. How many attempts there were it does not say.
pub(super) fn of_entry(entry: Option<&RawValue>) -> String {
    let Some(Entry { response }) = entry.and_then(parsed) else {
        return "none".to_owned();
    };
    let outcome = response.body.and_then(parsed::<Outcome<'_>>).unwrap_or_default();
    let refused = response.status_code.is_some_and(|status| status >= 400);
    if outcome.liveness_decision.is_none() && (refused || outcome.error.is_some()) {
        return format!("error{}", code(outcome.error));
    }
    let (word, rest) = told(&outcome);
    word + &rest
}

fn result_of(result: &str) -> (String, String) {
    told(&serde_json::from_str(result).unwrap_or_default())
}

/// The decision, and what else there is to tell of it.
fn told(outcome: &Outcome<'_>) -> (String, String) {
    let word = match outcome.liveness_decision.as_deref() {
        None => "none",
        Some(word) if is_token(word) => word,
        Some(_) => "other",
    };
    let identical = outcome.verify_result.as_ref().and_then(|verify| verify.is_identical);
    let rest = match identical.map(RawValue::get) {
        Some("true") => ";identical=?1",
        Some("false") => ";identical=?0",
        _ => "",
    };
    (word.to_owned(), rest.to_owned())
}

fn code(failure: Option<Failure<'_>>) -> String {
    let mut told = String::new();
    if let Some(code) = failure.and_then(|failure| failure.code) {
        // RFC 9651 §3.3.3: a string holds printable ASCII; what needs an escape is no code of Azure's.
        let plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
        let known = code.len() <= LONGEST && code.bytes().all(plain);
        _ = write!(told, ";code=\"{}\"", if known { &code } else { "other" });
    }
    told
}

/// RFC 9651 §3.3.4.
fn is_token(word: &str) -> bool {
    let more = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    word.len() <= LONGEST
        && word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
        && word.bytes().all(more)
}

fn there(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| value.get() != "null")
}

fn parsed<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}
