//! The resources of a configuration: which of them there are already, and what they keep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use http::uri::{Authority, Scheme};

use super::Live;
use crate::azure::Azure;
use crate::azure::credential::Credential;
use crate::azure::keys::Keys;
use crate::azure::reread::Reread;
use crate::azure::tokens::Tokens;
use crate::config::{self, Config, Upstream};
use crate::metrics::Metrics;
use crate::share::Share;

/// What is shared at each resource that there has been, by its address: two names for one resource share it, and a resource
/// that comes back has its own again.
#[derive(Debug, Default)]
pub(super) struct Shares(StdMutex<HashMap<(Scheme, Authority), Arc<Share>>>);

impl Shares {
    fn of(&self, upstream: &Upstream) -> Arc<Share> {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(shares.len()).unwrap_or(u32::MAX);
        let address = (upstream.scheme.clone(), upstream.authority.clone());
        Arc::clone(shares.entry(address).or_insert_with(|| Arc::new(Share::new(number))))
    }

    pub(super) fn count(&self) -> u32 {
        let shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(shares.len()).unwrap_or(u32::MAX)
    }
}

/// What resources are built with.
pub(super) struct Build<'a> {
    pub(super) old: Option<&'a Live>,
    pub(super) shares: &'a Shares,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) reread: &'a Reread,
}

impl Build<'_> {
    /// The resources of a configuration: those that there are, with their open connections, unless more
    /// than their keys changed. A resource at the same address keeps its keys in any case, for the last
    /// good one may be all that it has.
    pub(super) fn upstreams(&self, config: &Config) -> Result<Vec<Arc<Azure>>, String> {
        config.upstreams.iter().map(|upstream| self.upstream(upstream)).collect()
    }

    fn upstream(&self, upstream: &Upstream) -> Result<Arc<Azure>, String> {
        let known = self.old.and_then(|old| old.find(upstream));
        if let Some((before, azure)) = known
            && connections(before) == connections(upstream)
        {
            return Ok(Arc::clone(azure));
        }
        let credential = match (known, &upstream.credential) {
            (Some((_, azure)), config::Credential::Keys(_))
                if matches!(azure.credential, Credential::Keys(_)) =>
            {
                azure.credential.clone()
            }
            // They are filled when the configuration comes into force.
            (_, config::Credential::Keys(_)) => {
                let (metrics, reread) = (Arc::clone(self.metrics), self.reread.clone());
                Credential::Keys(Arc::new(Keys::new(&upstream.name, metrics, reread)))
            }
            (known, config::Credential::Entra(entra)) => {
                let before = known.filter(|(before, _)| before.credential == upstream.credential);
                let before = before.and_then(|(_, azure)| match &azure.credential {
                    Credential::Token(tokens) => Some(&**tokens),
                    Credential::Keys(_) => None,
                });
                Credential::Token(Arc::new(Tokens::new(upstream, entra, self.metrics, before)?))
            }
        };
        let share = self.shares.of(upstream);
        Azure::new(upstream, share, credential, self.metrics).map(Arc::new)
    }
}

/// Fills the slots of a configuration's resources with what was read of them.
pub(super) fn fill(upstreams: &[Arc<Azure>], config: &Config, source: &str) {
    for (azure, upstream) in upstreams.iter().zip(&config.upstreams) {
        if let (Credential::Keys(keys), config::Credential::Keys(slots)) =
            (&azure.credential, &upstream.credential)
        {
            keys.take(slots, upstream.probe, source);
        }
    }
}

/// What open connections depend on: not on keys, nor on how much of a resource's calls goes where, which is decided when the
/// configuration comes into force.
fn connections(upstream: &Upstream) -> Upstream {
    let credential = match &upstream.credential {
        config::Credential::Keys(_) => config::Credential::Keys([None, None]),
        entra @ config::Credential::Entra(_) => entra.clone(),
    };
    Upstream { credential, tier: None, poll_share: 0.0, probe: Duration::ZERO, ..upstream.clone() }
}

impl Live {
    /// Takes what is known of resources and slots out of the metrics that the new configuration does not have any more.
    pub(super) fn leave(&self, new: &Config, metrics: &Metrics) {
        for azure in &self.upstreams {
            let same = new.upstreams.iter().find(|upstream| *upstream.name == *azure.name);
            if same.is_none() {
                metrics.forget_upstream(&azure.name);
            }
            match (&azure.credential, same.map(|upstream| &upstream.credential)) {
                (Credential::Keys(_), Some(config::Credential::Keys(_)))
                | (Credential::Token(_), Some(config::Credential::Entra(_))) => {}
                (credential, _) => credential.slots().iter().for_each(|slot| {
                    metrics.forget_slot(&azure.name, slot);
                }),
            }
        }
    }

    /// The resource of this name at this address.
    fn find(&self, wanted: &Upstream) -> Option<(&Upstream, &Arc<Azure>)> {
        let same = |upstream: &Upstream| {
            upstream.name == wanted.name
                && upstream.scheme == wanted.scheme
                && upstream.authority == wanted.authority
        };
        let mut known = self.config.upstreams.iter().zip(&self.upstreams);
        known.find(|(upstream, _)| same(upstream))
    }
}
