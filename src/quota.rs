//! How many calls a resource still allows: a token bucket. It is told, and holds nothing back.

use tokio::time::Instant;

/// A resource's calls. Without a limit nothing is known of them.
#[derive(Debug, Default)]
pub struct Quota(Option<Bucket>);

#[derive(Debug)]
struct Bucket {
    /// Calls a second.
    rate: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// A limit below one a second is one for each minute (Face API, limits page: F0 has 20 a minute).
    fn most(&self) -> f64 {
        if self.rate < 1.0 { self.rate * 60.0 } else { self.rate }
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let more = now.duration_since(self.filled).as_secs_f64() * self.rate;
        (self.tokens, self.filled) = ((self.tokens + more).min(self.most()), now);
    }
}

impl Quota {
    /// The resource allows so many calls a second; `None` is no limit.
    pub fn allow(&mut self, rate: Option<f64>) {
        if self.0.as_ref().map(|bucket| bucket.rate) == rate {
            return;
        }
        self.0 = rate.map(|rate| Bucket { rate, tokens: f64::INFINITY, filled: Instant::now() });
    }

    /// A call is made, whether or not it is allowed.
    pub fn spend(&mut self) {
        if let Some(bucket) = &mut self.0 {
            bucket.fill();
            bucket.tokens = (bucket.tokens - 1.0).max(0.0);
        }
    }

    /// The calls that are allowed at this moment, and the most that there can be.
    pub fn left(&mut self) -> Option<(f64, f64)> {
        let bucket = self.0.as_mut()?;
        bucket.fill();
        Some((bucket.tokens, bucket.most()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_comes_back_with_time() {
        let mut quota = Quota::default();
        assert_eq!(quota.left(), None);
        quota.allow(Some(10.0));
        assert_eq!(quota.left(), Some((10.0, 10.0)));
        (0..25).for_each(|_| quota.spend());
        assert_eq!(quota.left(), Some((0.0, 10.0)), "more than is allowed is owed to nobody");
        advance(Duration::from_millis(500)).await;
        quota.allow(Some(10.0));
        assert_eq!(quota.left(), Some((5.0, 10.0)), "a reload gives nothing back");
        advance(Duration::from_secs(60)).await;
        assert_eq!(quota.left(), Some((10.0, 10.0)));
        quota.allow(Some(20.0 / 60.0));
        assert_eq!(quota.left(), Some((20.0, 20.0)));
    }
}
