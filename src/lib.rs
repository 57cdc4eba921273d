//! livegate: a gateway in front of Azure AI Face liveness sessions.
//!
//! The binary is the product; this library is its parts, so that tests, benches and fuzz targets reach
//! them. `docs/ARCHITECTURE.md` is the map.

pub mod body;
pub mod call;
pub mod config;
pub mod emulator;
pub mod error;
pub mod headers;
pub mod liveness;
pub mod metrics;
pub mod secret;
