//! What a running gateway is: its configuration, its resources, its way of a request, and what became of the last
//! reload. A reload replaces the live part whole, or leaves it whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use rustls::ServerConfig;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::azure::Azure;
use crate::config::{self, Config, Mistake, Mistakes, Upstream};
use crate::metrics::Metrics;
use crate::stack::{Front, stack};

/// A running gateway's state.
#[derive(Debug)]
pub struct State {
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// When it started.
    pub started: Timestamp,
    /// What serves requests.
    pub front: Arc<ArcSwap<Front>>,
    path: PathBuf,
    live: ArcSwap<Live>,
    certificates: Vec<Certificate>,
    draining: AtomicBool,
    failure: ArcSwapOption<Failure>,
    reloading: Mutex<()>,
}

/// Where a TLS listener's certificate can be exchanged, by the listener's place in the configuration.
pub type Certificate = Option<Arc<ArcSwap<ServerConfig>>>;

/// The configuration in force and what was built of it.
#[derive(Debug)]
pub struct Live {
    /// The configuration.
    pub config: Config,
    /// Its resources, in the order of the configuration.
    pub upstreams: Vec<Arc<Azure>>,
    /// When it came into force.
    pub since: Timestamp,
}

/// A reload that was refused. What was in force before still is.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// When.
    pub at: String,
    /// Why.
    pub mistakes: Vec<Mistake>,
}

impl State {
    /// Builds everything that a configuration says. `certificates` stand in the order of the listeners.
    ///
    /// # Errors
    /// Where a resource cannot be prepared: see [`Azure::new`].
    pub fn new(
        path: PathBuf,
        config: Config,
        certificates: Vec<Certificate>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| Azure::new(upstream).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let front = stack(&config, &upstreams, &metrics);
        let now = Timestamp::now();
        let live = Live { config, upstreams, since: now };
        let state = Self {
            metrics,
            started: now,
            front: Arc::new(ArcSwap::from_pointee(front)),
            path,
            live: ArcSwap::from_pointee(live),
            certificates,
            draining: AtomicBool::new(false),
            failure: ArcSwapOption::empty(),
            reloading: Mutex::new(()),
        };
        state.count("ok");
        state.tell();
        Ok(state)
    }

    /// The configuration in force.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// The last reload, if it was refused.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.failure.load_full()
    }

    /// No new requests are wanted any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether requests are wanted: a configuration is loaded, every resource has a key, and it is not draining. Azure's
    /// own health is no part of it, for no other replica would see another Azure.
    pub fn not_ready(&self) -> Option<&'static str> {
        let keyless = || self.live().upstreams.iter().any(|azure| !azure.keys.any());
        match () {
            () if self.draining.load(Ordering::Relaxed) => Some("draining"),
            () if keyless() => Some("no key is loaded"),
            () => None,
        }
    }

    /// Reads the configuration and every file that it names again. A bad one is refused and the old one stays.
    ///
    /// # Errors
    /// All mistakes.
    pub async fn reload(&self) -> Result<(), Mistakes> {
        let _one_at_a_time = self.reloading.lock().await;
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || config::load(&path)).await;
        let read = read.unwrap_or_else(|_| Err(self.alone("reading it failed".to_owned())));
        let outcome = read.and_then(|config| self.apply(config).map_err(|told| self.alone(told)));
        match &outcome {
            Ok(()) => {
                self.failure.store(None);
                self.count("ok");
                tracing::info!("the configuration was loaded again");
                self.tell();
            }
            Err(mistakes) => {
                self.count("invalid");
                for mistake in &mistakes.0 {
                    tracing::error!(
                        "the new configuration is refused, the old one stays: {mistake}"
                    );
                }
                let at = Timestamp::now().to_string();
                self.failure.store(Some(Arc::new(Failure { at, mistakes: mistakes.0.clone() })));
            }
        }
        outcome
    }

    fn apply(&self, config: Config) -> Result<(), String> {
        let old = self.live();
        let upstreams = config
            .upstreams
            .iter()
            .map(|upstream| old.azure(upstream))
            .collect::<Result<Vec<_>, _>>()?;
        for told in restarts(&old.config, &config) {
            tracing::warn!("{told} changed: restart the gateway to apply it");
        }
        // From here on nothing can fail, so that the new configuration comes into force whole.
        for (azure, upstream) in upstreams.iter().zip(&config.upstreams) {
            azure.keys.replace(&upstream.keys);
        }
        for (certificate, listener) in self.certificates.iter().zip(&config.listeners) {
            if let (Some(certificate), Some(tls)) = (certificate, &listener.tls) {
                certificate.store(Arc::clone(tls));
            }
        }
        self.front.store(Arc::new(stack(&config, &upstreams, &self.metrics)));
        self.live.store(Arc::new(Live { config, upstreams, since: Timestamp::now() }));
        Ok(())
    }

    fn alone(&self, message: String) -> Mistakes {
        Mistakes(vec![Mistake::at(&self.path, "", 0..0, message)])
    }

    fn count(&self, result: &str) {
        let good = result == "ok";
        self.metrics.config_reloads_total.with_label_values(&[result]).inc();
        self.metrics.config_last_reload_successful.set(i64::from(good));
        if good {
            self.metrics
                .config_last_reload_success_timestamp_seconds
                .set(Timestamp::now().as_second());
        }
    }

    /// Tells what is no mistake but should be known.
    fn tell(&self) {
        let live = self.live();
        for warning in &live.config.warnings {
            tracing::warn!("{warning}");
        }
        for mistake in live.config.key_mistakes() {
            tracing::warn!("a key cannot be used: {mistake}");
        }
    }
}

impl Live {
    /// The resource of an upstream: the one that there is, with its open connections, unless more than its keys changed.
    fn azure(&self, upstream: &Upstream) -> Result<Arc<Azure>, String> {
        let keyless = |upstream: &Upstream| Upstream { keys: [None, None], ..upstream.clone() };
        let same = self.config.upstreams.iter().position(|old| keyless(old) == keyless(upstream));
        match same.and_then(|index| self.upstreams.get(index)) {
            Some(azure) => Ok(Arc::clone(azure)),
            None => Azure::new(upstream).map(Arc::new),
        }
    }
}

/// What a reload cannot change.
fn restarts(old: &Config, new: &Config) -> Vec<&'static str> {
    let addresses = |config: &Config| {
        config
            .listeners
            .iter()
            .map(|listener| (listener.address, listener.tls.is_some()))
            .collect::<Vec<_>>()
    };
    // These two are part of the way of a request, which is built anew.
    let fixed = |config: &Config| config::Server {
        max_body: 0,
        stream_timeout: std::time::Duration::ZERO,
        ..config.server
    };
    let mut told = Vec::new();
    if addresses(old) != addresses(new) {
        told.push("[[listen]]");
    }
    if fixed(old) != fixed(new) {
        told.push("[server]");
    }
    if old.admin != new.admin {
        told.push("[admin]");
    }
    told
}
