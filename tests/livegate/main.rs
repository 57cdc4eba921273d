//! livegate from outside: the real binary, Azure's own clients, and scripted upstreams.
//!
//! `support` starts processes and speaks HTTP byte by byte; every other module is a set of tests that
//! says at its top what it covers.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where the unexpected happens, in the support code too"
)]

mod admin;
mod audit;
mod authority;
mod azure_h2;
mod commands;
mod contract;
mod decision;
mod docs;
mod faults;
mod flood;
mod forwarding;
mod keys;
mod lifecycle;
mod malformed;
mod memory;
mod metrics;
mod overload;
mod patience;
mod quota;
mod relay;
mod reload;
mod sdk;
mod soak;
mod status_page;
mod support;
mod tls;
mod traces;
