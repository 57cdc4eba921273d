//! The keys of a resource: how they follow each other, are read, proven and exchanged, and tokens in their place.

mod bodies;
mod chosen;
mod drill;
mod face;
mod failover;
mod files;
mod former;
mod missing;
mod passing;
mod probes;
mod refused;
mod stage;
mod tokens;
mod unseen;
mod verdicts;
