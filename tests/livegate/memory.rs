//! What is kept, what is shared and what is never told again, seen by apps on one side and by Azure on the other.
//!
//! Every test counts what reaches Azure. Where two things must happen in one order, Azure holds its answers until the
//! test lets them go; nothing here depends on how long anything takes.

pub(crate) mod azure;
mod deletion;
mod flight;
mod fresh;
mod kept;
mod key;
mod leaving;
mod reload;
pub(crate) mod stage;
mod status;
mod storm;
mod trouble;
mod validators;
mod wait;
