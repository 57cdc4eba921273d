//! What was decided, whether it can be trusted, and that it is counted once: what an app reads in the `Liveness-…`
//! headers, and an operator in the metrics.
//!
//! What is expected is written down as the words of `docs/API.md` have it. Nothing here depends on how long anything takes.

mod bounds;
mod checks;
mod counted;
mod digests;
mod hostile;
mod lasting;
mod picture;
mod registration;
mod samples;
mod secrets;
pub(crate) mod stage;
mod trust;
mod words;
