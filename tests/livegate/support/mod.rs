//! What the tests stand on: processes, certificates, an HTTP client and an upstream without opinions.

pub(crate) mod certs;
pub(crate) mod emulator;
pub(crate) mod frames;
pub(crate) mod free;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod kit;
pub(crate) mod process;
pub(crate) mod scratch;
pub(crate) mod upstream;
pub(crate) mod wait;
