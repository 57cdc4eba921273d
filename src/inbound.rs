//! The first room: HTTP with the app. It knows who asks and what the request means, and says what went wrong.

pub mod authenticate;
pub mod limit;
pub mod measure;
pub mod recognize;
pub mod rescue;
pub mod span;
pub mod trail;

use http::{Method, Request};

use crate::body::Body;
use crate::call::Meaning;
use crate::error::Error;
use crate::headers::Name;
use crate::liveness::Route;
use crate::metrics::label;

/// A request whose meaning has been looked at. What is wrong with it is told only to those who may know:
/// the row that authenticates opens it.
#[derive(Debug)]
pub struct Exchange {
    request: Request<Body>,
    name: Name,
    meaning: Result<Meaning, Error>,
}

impl Exchange {
    /// How a GET is told about that had to be answered by Azure and was not (RFC 9211).
    fn forward(&self) -> Option<&'static str> {
        if !matches!(*self.request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let session = matches!(&self.meaning, Ok(meaning) if meaning.route() == Route::Session);
        Some(if session { "livegate; fwd=miss" } else { "livegate; fwd=bypass" })
    }

    /// The value of the metric label `route`.
    fn label(&self) -> label::Route {
        self.meaning.as_ref().map_or(label::Route::Other, Meaning::label)
    }
}
