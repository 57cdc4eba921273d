//! The middle room: questions and answers about liveness. It speaks no HTTP of its own and knows no connection.

pub mod ask;
pub mod blank;

use bytes::Bytes;
use http::Response;
use tower::util::BoxCloneSyncService;

use crate::call::Call;
use crate::error::Error;

/// Answers a [`Call`] with a whole body.
pub type Answerer = BoxCloneSyncService<Call, Response<Bytes>, Error>;
