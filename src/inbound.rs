//! The first room: HTTP with the app. It knows who asks and what the request means, and says what went wrong.

pub mod authenticate;
pub mod measure;
pub mod recognize;
pub mod rescue;

use http::Request;

use crate::body::Body;
use crate::call::Target;
use crate::error::Error;

/// A request whose meaning has been looked at. What is wrong with it is told only to those who may know:
/// the row that authenticates opens it.
#[derive(Debug)]
pub struct Exchange {
    request: Request<Body>,
    target: Result<Target, Error>,
}

impl Exchange {
    /// The value of the metric label `route`.
    fn label(&self) -> &'static str {
        self.target.as_ref().map_or("other", Target::label)
    }
}
