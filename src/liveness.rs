//! The words of Azure AI Face liveness: versions, operations, resources, sessions, audit lists.
//!
//! This is floor 0 of the house (see `docs/ARCHITECTURE.md`): everything above may speak these words,
//! and nothing here knows of sockets, tasks or configuration.

pub mod agent;
pub mod audit;
pub mod decision;
pub mod digest;
pub mod json;
#[cfg(test)]
mod mutation;
pub mod operation;
mod parts;
pub mod resource;
pub mod session;
pub mod verdict;
pub mod version;

pub use operation::{Operation, Route};
pub use resource::{ImageId, NoSuchResource, Resource, SessionId};
pub use version::{ApiVersion, Family};
