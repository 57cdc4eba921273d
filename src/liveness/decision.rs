//! What was decided, as the value of `Liveness-Decision`: a structured field (RFC 9651), such as
//! `realface;attempt=2;attempts=2`.

use std::borrow::Cow;
use std::fmt;

/// Longest word that is told as it is, in bytes.
const LONGEST: usize = 64;

/// Words that the service is known to have.
const KNOWN: [&str; 3] = ["realface", "spoofface", "uncertain"];

/// Words that are the gateway's own: Azure's must not pass for them.
const OWN: [&str; 4] = ["error", "none", "other", "pending"];

/// What came of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Its status is none that decides.
    Pending,
    /// It is decided.
    Decided {
        /// What came of the attempt that decides.
        outcome: Outcome,
        /// That attempt, where the content numbers attempts.
        attempt: Option<u64>,
        /// How many attempts there were, where the content says so.
        attempts: Option<usize>,
        /// With verify: whether it was the person of the picture.
        identical: Option<bool>,
        /// Whether no other attempt can follow. From v1.2 on that is Azure.Core's rule for operations; in the previews
        /// another one may until the session has expired.
        is_final: bool,
    },
    /// The content could not be read.
    Unreadable,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The service decided, in a word of its own: `realface`, `spoofface`, `uncertain`, or one that is not known yet.
    Word(Cow<'static, str>),
    /// The same, with a word that cannot be told in a structured field.
    Other,
    /// There is a result without a decision: nothing was decided, which is not the same as spoof.
    None,
    /// The attempt failed, with this code if there was one.
    Error(Option<String>),
}

impl Outcome {
    /// What a result's decision says.
    pub fn of_result(decision: Option<&str>) -> Self {
        match decision {
            None => Self::None,
            Some(word) => match KNOWN.iter().find(|known| **known == word) {
                Some(known) => Self::Word(Cow::Borrowed(known)),
                None if is_token(word) && !OWN.contains(&word) => {
                    Self::Word(word.to_owned().into())
                }
                None => Self::Other,
            },
        }
    }

    /// What an error's code says.
    pub fn of_error(code: Option<&str>) -> Self {
        // RFC 9651 §3.3.3: a string holds printable ASCII; what needs an escape is no code of Azure's.
        let plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
        let told = |code: &str| code.len() <= LONGEST && code.bytes().all(plain);
        Self::Error(code.map(|code| if told(code) { code } else { "other" }.to_owned()))
    }

    /// The value of the metric label `decision`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Word(Cow::Borrowed(known)) => known,
            Self::Word(Cow::Owned(_)) | Self::Other => "other",
            Self::None => "none",
            Self::Error(_) => "error",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Decided { outcome, attempt, attempts, identical, is_final } = self else {
            return f.write_str(if *self == Self::Pending { "pending" } else { "none" });
        };
        match outcome {
            Outcome::Word(word) => f.write_str(word)?,
            Outcome::Other => f.write_str("other")?,
            Outcome::None => f.write_str("none")?,
            Outcome::Error(_) => f.write_str("error")?,
        }
        if *outcome != Outcome::None {
            attempt.map_or(Ok(()), |attempt| write!(f, ";attempt={attempt}"))?;
            attempts.map_or(Ok(()), |attempts| write!(f, ";attempts={attempts}"))?;
            identical
                .map_or(Ok(()), |identical| write!(f, ";identical=?{}", u8::from(identical)))?;
        }
        if let Outcome::Error(Some(code)) = outcome {
            write!(f, ";code=\"{code}\"")?;
        }
        f.write_str(if *is_final { "" } else { ";final=?0" })
    }
}

/// RFC 9651 §3.3.4.
fn is_token(word: &str) -> bool {
    let more = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    word.len() <= LONGEST
        && word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
        && word.bytes().all(more)
}
