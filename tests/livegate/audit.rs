//! Audit lists: what the gateway adds to Azure's entries, what it makes where Azure has none, what it counts of them,
//! and the trail of who read what.
//!
//! Every expectation is worked out by hand from `docs/API.md`. What is added is taken out byte by byte, so that nothing
//! else can have changed; nothing here depends on how long anything takes.

mod across;
mod bytes;
mod client;
mod counted;
mod cross;
mod digests;
mod fields;
mod made;
mod made_answers;
mod made_shared;
mod members;
mod pages;
mod picture;
mod signals;
mod stage;
mod trail;
mod trail_ends;
mod trail_off;
mod trail_stalled;
mod unreadable;
