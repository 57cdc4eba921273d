//! Answers connections for which there is no place.

use std::convert::Infallible;
use std::future::{Ready, ready};

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::Service;

use crate::body::Body;
use crate::error::Error;
use crate::inbound::rescue::answer;

/// What serves them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy;

impl Service<Request<Incoming>> for Busy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut answer = answer(&Error::Overloaded);
        // HTTP/2 has no such field (RFC 9113 §8.2.2).
        if request.version() != Version::HTTP_2 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        ready(Ok(answer))
    }
}
