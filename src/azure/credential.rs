//! What a resource is shown for authority: one of its keys, or a token.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};

use super::finding::Finding;
use super::keys::{Keys, SlotName, Tried};
use super::tokens::Tokens;
use crate::error::Error;
use crate::headers::SUBSCRIPTION_KEY;
use crate::moment::Moment;

/// What a resource is shown for authority. A copy is the same one.
#[derive(Debug, Clone)]
pub enum Credential {
    /// One of two keys.
    Keys(Arc<Keys>),
    /// A token of Entra's.
    Token(Arc<Tokens>),
}

impl Credential {
    /// What a request shows next, whose earlier tries were refused.
    ///
    /// # Errors
    /// Where there is nothing to show, or nothing that has not been refused.
    pub(super) async fn next(&self, tried: &mut Tried) -> Result<Pass, Error> {
        let (of, id, header) = match self {
            Self::Keys(keys) => {
                let (id, slot, key) = keys.next(tried).await?;
                (Of::Key(Arc::clone(keys), slot), id, (SUBSCRIPTION_KEY, key))
            }
            Self::Token(tokens) => {
                let (id, token) = Arc::clone(tokens).next(tried).await?;
                (Of::Token(Arc::clone(tokens)), id, (AUTHORIZATION, token))
            }
        };
        Ok(Pass { of, id, header, sent: Moment::now(), finding: Finding::Unknown })
    }

    /// The values of the metric label `slot`.
    pub const fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Keys(_) => &["primary", "secondary"],
            Self::Token(_) => &["token"],
        }
    }

    /// Whether there is anything to show.
    pub fn any(&self) -> bool {
        match self {
            Self::Keys(keys) => keys.any(),
            Self::Token(tokens) => tokens.any(),
        }
    }
}

/// What one try shows. What came of it is noted when it is dropped, also where the try was given up.
#[derive(Debug)]
pub(super) struct Pass {
    of: Of,
    id: u64,
    header: (HeaderName, HeaderValue),
    sent: Moment,
    pub(super) finding: Finding,
}

/// Where a pass comes from.
#[derive(Debug)]
enum Of {
    Key(Arc<Keys>, SlotName),
    Token(Arc<Tokens>),
}

impl Pass {
    /// The header that says it.
    pub(super) fn header(&self) -> (HeaderName, HeaderValue) {
        self.header.clone()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        match &self.of {
            Of::Key(keys, slot) => keys.conclude((self.id, *slot), self.sent, self.finding, true),
            Of::Token(tokens) => tokens.conclude(self.id, self.finding),
        }
    }
}
