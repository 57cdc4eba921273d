//! `livegate demo`.

use super::Failure;

pub(super) fn demo(_once: bool) -> Result<(), Failure> {
    Err(Failure::failed("soon"))
}
