//! How many second tries a resource is worth: a tenth of the requests that it gets, so that trouble is not made worse by trying again.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a second try costs; each request brings one.
const PRICE: u32 = 10;

/// The most that can be saved: ten second tries.
const MOST: u32 = 10 * PRICE;

/// The budget of one resource.
#[derive(Debug)]
pub struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(MOST))
    }
}

impl Budget {
    /// A request is made.
    pub fn earn(&self) {
        if self.0.load(Ordering::Relaxed) < MOST {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a second try can be afforded, which is paid for then.
    pub fn spend(&self) -> bool {
        let paid = |saved: u32| saved.checked_sub(PRICE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_all_requests_is_tried_again() {
        let budget = Budget::default();
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 10);
        let tried = (0..1000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(tried.count(), 100);
        (0..1000).for_each(|_| budget.earn());
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 10);
    }
}
