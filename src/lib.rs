//! livegate: a gateway in front of Azure AI Face liveness sessions.
//!
//! The binary is the product; this library is its parts, so that tests, benches and fuzz targets reach
//! them. `docs/ARCHITECTURE.md` is the map.

pub mod admin;
pub mod after;
pub mod answer;
pub mod azure;
pub mod body;
pub mod budget;
pub mod call;
pub mod circuit;
pub mod cli;
pub mod config;
pub mod emulator;
pub mod error;
#[cfg(test)]
mod floors;
pub mod fork;
pub mod gateway;
pub mod headers;
pub mod inbound;
pub mod listen;
pub mod liveness;
pub mod metrics;
pub mod moment;
pub mod pseudonym;
pub mod quota;
pub mod relay;
pub mod reload;
pub mod room;
pub mod secret;
pub mod share;
pub mod stack;
pub mod state;
mod tend;
pub mod trace;
pub mod wishes;
