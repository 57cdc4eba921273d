//! The middle room: questions and answers about liveness. It speaks no HTTP of its own and knows no connection.

pub mod ask;
pub mod counted;
mod course;
pub mod enrich;
pub mod flight;
mod gate;
pub mod investigate;
pub mod judge;
pub mod kept;
pub mod key;
pub mod lasting;
pub mod life;
pub mod memory;
mod poller;
pub mod prepared;
pub mod read;
pub mod recall;
pub mod register;
pub mod reported;
mod reused;
#[cfg(test)]
mod scene;
pub mod synthesise;
pub mod tell;
pub mod wait;

use self::recall::Recall;

use crate::call::{Call, Reply};
use crate::error::Error;
use crate::room::Room;

/// Answers a [`Call`] about a session.
pub type Sessions = Room<Call, Reply, Error>;

/// Answers a [`Call`] about a session, in the same way for all who ask.
pub type Known = Recall;

/// Answers a [`Call`] about an audit list.
pub type Audits = Room<Call, Reply, Error>;
