//! Compares what an app's client reported with what Azure tells, and refuses what the app's mode says.
//!
//! Below it an answer is the same for all who ask. Above it there is a verdict for the one who does, and where that is a
//! refusal, no decision.

use std::sync::Arc;
use std::task::{Context, Poll};

use tower::layer::layer_fn;
use tower::{Layer, Service};

use super::key::Key;
use super::lasting::Lasting;
use super::prepared::Session;
use super::recall::Told;
use crate::after::{After, Finish};
use crate::call::Call;
use crate::config::App;
use crate::error::{Defect, Error};
use crate::liveness::Operation;
use crate::liveness::verdict::{Given, Likeness, Mode, Verdict};

const NO_SESSION: Error = Error::UpstreamInvalidResponse(Defect::NoSession);

/// An answer with what is said of it to the one who asked.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The answer.
    pub told: Told,
    /// Whether the client's digest is the deciding attempt's.
    pub digest: Option<Verdict>,
    /// Whether it was verified against the expected picture.
    pub picture: Option<Likeness>,
}

/// The row.
#[derive(Debug, Clone)]
pub struct Judge<S> {
    inner: S,
    lasting: Arc<Lasting>,
}

/// Judges answers for those who ask.
pub fn judge<S>(lasting: Arc<Lasting>) -> impl Layer<S, Service = Judge<S>> + Clone {
    layer_fn(move |inner| Judge { inner, lasting: Arc::clone(&lasting) })
}

impl<S> Service<Call> for Judge<S>
where
    S: Service<Call, Response = Told, Error = Error>,
{
    type Response = Judged;
    type Error = Error;
    type Future = After<S::Future, Asked>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let asked = Asked {
            lasting: Arc::clone(&self.lasting),
            app: Arc::clone(&call.app),
            digest: call.wishes.client_digest,
            picture: call.wishes.expected_picture,
        };
        After::new(self.inner.call(call), asked)
    }
}

/// What a request gives.
#[derive(Debug)]
pub struct Asked {
    lasting: Arc<Lasting>,
    app: Arc<App>,
    digest: Given,
    picture: Given,
}

impl Finish<Result<Told, Error>> for Asked {
    type Output = Result<Judged, Error>;

    fn finish(self, told: Result<Told, Error>) -> Result<Judged, Error> {
        self.judge(told?)
    }
}

impl Asked {
    fn judge(&self, told: Told) -> Result<Judged, Error> {
        let answer = Arc::clone(&told.answer);
        let mode = self.app.digest;
        let Some(session) = &answer.session else {
            // Azure answers about sessions with 200. What somebody made of that on its way is not judged, so that it cannot be told to
            // who wants it judged.
            return match mode {
                Mode::Enforce | Mode::Require if answer.status.is_success() => Err(NO_SESSION),
                _ => Ok(Judged { told, digest: None, picture: None }),
            };
        };
        let key = &told.question.key;
        let digest = (mode != Mode::Off).then(|| self.digest(session, key));
        let picture = self.picture(session, key);
        match digest {
            Some(Verdict::Unreported) if mode.refuses(Verdict::Unreported) => {
                Err(Error::DigestRequired)
            }
            Some(verdict) if mode.refuses(verdict) => Err(Error::DigestMismatch(verdict)),
            _ => Ok(Judged { told, digest, picture }),
        }
    }

    /// What comes with the request counts before what was reported earlier.
    fn digest(&self, session: &Session, key: &Key) -> Verdict {
        let (evidence, mut given) = (&session.evidence, self.digest);
        if given == Given::Nothing {
            let deciding = evidence.deciding().and_then(|proof| proof.attempt);
            given = self.lasting.reported.pick(&self.app.name, key.resource, &key.id, deciding);
        }
        let verdict = evidence.judge(given);
        if session.judged.is_new(given) {
            self.lasting.counted.verdict(&key.session(), evidence, given, verdict, self.app.digest);
        }
        verdict
    }

    /// What comes with the request counts before what went through with the session's creation.
    fn picture(&self, session: &Session, key: &Key) -> Option<Likeness> {
        let mut given = self.picture;
        if given == Given::Nothing && key.operation == Operation::LivenessWithVerify {
            given = self.lasting.memory.picture(&key.session());
        }
        let likeness = session.evidence.compare(given)?;
        if session.compared.is_new(given) {
            self.lasting.counted.likeness(&key.session(), &session.evidence, given, likeness);
        }
        Some(likeness)
    }
}
