//! What a running gateway is: its configuration, its resources, its way of a request, and what became of the last
//! reload. A reload replaces the live part whole, or leaves it whole.

mod build;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use rustls::ServerConfig;
use serde::Serialize;
use tokio::sync::Mutex;

use self::build::{Build, Shares, fill};
use crate::answer::lasting::Lasting;
use crate::azure::Azure;
use crate::azure::credential::Credential;
use crate::azure::keys::START;
use crate::azure::reread::Reread;
use crate::config::{self, Config, Listener, Mistake, Mistakes, Server, Traces, Watched};
use crate::inbound::limit::Places;
use crate::liveness::SessionId;
use crate::metrics::recent::Recent;
use crate::metrics::{Metrics, start};
use crate::stack::{Front, stack};

/// A running gateway's state.
#[derive(Debug)]
pub struct State {
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// When it started.
    pub started: Timestamp,
    /// What serves requests.
    pub way: Arc<ArcSwap<Way>>,
    /// What is known of sessions.
    pub lasting: Arc<Lasting>,
    /// What was counted in the last minutes.
    pub recent: Recent,
    live: ArcSwap<Live>,
    boot: Boot,
    certificates: Vec<Certificate>,
    draining: AtomicBool,
    watched: ArcSwap<Watched>,
    failure: ArcSwapOption<Failure>,
    reloading: Mutex<()>,
    shares: Arc<Shares>,
    places: Arc<Places>,
    reread: Reread,
}

/// Why the configuration is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A file changed, and this is what the files held when they stood still.
    Watch(Watched),
    /// SIGHUP.
    Signal,
    /// POST /reload.
    Admin,
    /// No key is good any more.
    Need,
}

impl Reason {
    /// The value of the metric label `source`.
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Watch(_) | Self::Need => "watch",
            Self::Signal => "signal",
            Self::Admin => "admin",
        }
    }
}

/// What serves requests: the stack, and what its requests' bodies are bound by.
#[derive(Debug)]
pub struct Way {
    /// The stack.
    pub front: Front,
    /// Longest request body, in bytes.
    pub max_body: u64,
    /// Time for a body that streams.
    pub stream_timeout: Duration,
}

/// Where a TLS listener's certificate can be exchanged.
pub type Certificate = (SocketAddr, Arc<ArcSwap<ServerConfig>>);

/// The configuration in force and what was built of it.
#[derive(Debug)]
pub struct Live {
    /// The configuration.
    pub config: Config,
    /// Its resources, in the order of the configuration.
    pub upstreams: Vec<Arc<Azure>>,
    /// When it came into force.
    pub since: Timestamp,
    /// What of it waits for a restart.
    pub restarts: Vec<&'static str>,
}

/// What is fixed when the gateway starts.
#[derive(Debug, PartialEq)]
struct Boot {
    listeners: Vec<(SocketAddr, bool)>,
    server: Server,
    admin: SocketAddr,
    max_bytes: u64,
    traces: Option<Traces>,
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
    /// Builds everything that a configuration says.
    ///
    /// # Errors
    /// Where a resource cannot be prepared: see [`Azure::new`].
    pub fn new(
        config: Config,
        watched: Watched,
        certificates: Vec<Certificate>,
        metrics: Arc<Metrics>,
        reread: Reread,
    ) -> Result<Self, String> {
        let shares = Arc::new(Shares::default());
        let build = Build { old: None, shares: &shares, metrics: &metrics, reread: &reread };
        let upstreams = build.upstreams(&config)?;
        fill(&upstreams, &config, START);
        let now = Timestamp::now();
        let lasting = Arc::new(Lasting::new(config.cache.max_bytes, &metrics));
        let places = Arc::new(Places::new(config.server.max_requests));
        let way = Way::new(&config, &upstreams, &places, &lasting, &metrics);
        let boot = Boot::new(&config);
        let live = Live { config, upstreams, since: now, restarts: Vec::new() };
        let state = Self {
            metrics,
            started: now,
            way: Arc::new(ArcSwap::from_pointee(way)),
            lasting,
            recent: Recent::default(),
            live: ArcSwap::from_pointee(live),
            boot,
            certificates,
            draining: AtomicBool::new(false),
            watched: ArcSwap::from_pointee(watched),
            failure: ArcSwapOption::empty(),
            reloading: Mutex::new(()),
            shares,
            places,
            reread,
        };
        for result in ["invalid", "unchanged"] {
            start(&state.metrics.config_reloads_total, &[result]);
        }
        state.count("ok");
        state.tell();
        Ok(state)
    }

    /// The configuration in force.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// The files that the last reading looked at.
    pub fn watched(&self) -> Arc<Watched> {
        self.watched.load_full()
    }

    /// The last reload, if it was refused.
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.failure.load_full()
    }

    /// No new requests are wanted any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.lasting.memory.drain();
    }

    /// Why requests are not wanted, if they are not. They are if a configuration is loaded, every
    /// resource has a key, and it is not draining. Azure's own health is no part of it, for no other
    /// replica would see another Azure.
    pub fn not_ready(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining");
        }
        let live = self.live();
        let bare = live.upstreams.iter().find(|azure| !azure.credential.any())?;
        Some(match bare.credential {
            Credential::Keys(_) => "no key is loaded",
            Credential::Token(_) => "no token is loaded",
        })
    }

    /// Forgets what is kept of one session, or everything. How many answers that were.
    pub fn purge(&self, session: Option<&SessionId>) -> u64 {
        self.metrics.cache_purges_total.with_label_values(&["admin"]).inc();
        self.lasting.memory.purge(session, self.shares.count())
    }

    /// Reads the configuration and every file that it names again. A bad one is refused and the old one
    /// stays, but for its keys, which are read again in any case.
    ///
    /// # Errors
    /// All mistakes.
    pub async fn reload(&self, reason: Reason) -> Result<(), Mistakes> {
        let _one_at_a_time = self.reloading.lock().await;
        let (live, shares) = (self.live(), Arc::clone(&self.shares));
        let (metrics, reread) = (Arc::clone(&self.metrics), self.reread.clone());
        // Files, certificates and the system's roots: all of it may wait for a disk.
        let read = tokio::task::spawn_blocking(move || {
            let loaded = config::load(&live.config.path);
            let built = loaded.config.and_then(|config| {
                let alone = |told| Mistakes(vec![Mistake::at(&config.path, "", 0..0, told)]);
                let (shares, metrics, reread) = (&*shares, &metrics, &reread);
                let build = Build { old: Some(&live), shares, metrics, reread };
                let upstreams = build.upstreams(&config).map_err(alone)?;
                Ok((config, upstreams))
            });
            // What the refused version does not name is still looked at.
            let (keys, watched) = config::keys_again(&live.config);
            let watched = if built.is_err() { loaded.watched.and(watched) } else { loaded.watched };
            (built, keys, watched)
        });
        let Ok((built, keys, watched)) = read.await else {
            return Err(Mistakes(Vec::new()));
        };
        if matches!(&reason, Reason::Watch(seen) if !watched.agrees(seen)) {
            // It was written to meanwhile, and could be read half.
            return Ok(());
        }
        let changed = watched != *self.watched() || self.failure().is_some();
        self.watched.store(Arc::new(watched));
        let outcome = match built {
            Ok((config, upstreams)) => {
                self.apply(config, upstreams, &reason);
                Ok(())
            }
            Err(mistakes) => {
                self.keep(&keys, &reason);
                Err(mistakes)
            }
        };
        self.conclude(&outcome, changed);
        outcome
    }

    /// Reads the keys of the configuration in force again, for requests that wait for a good one. What else has changed is left to
    /// those who wait until it stands still.
    pub async fn reread_keys(&self) {
        let _one_at_a_time = self.reloading.lock().await;
        let live = self.live();
        let read = tokio::task::spawn_blocking(move || config::keys_again(&live.config).0);
        if let Ok(keys) = read.await {
            self.keep(&keys, &Reason::Need);
        }
    }

    /// A new configuration is refused; the one in force gets the keys that there are now.
    fn keep(&self, keys: &[Option<config::Slots>], reason: &Reason) {
        let live = self.live();
        for ((upstream, azure), slots) in
            live.config.upstreams.iter().zip(&live.upstreams).zip(keys)
        {
            if let (Credential::Keys(held), Some(slots)) = (&azure.credential, slots) {
                held.take(slots, upstream.probe, reason.as_str());
            }
        }
    }

    /// Nothing here can fail, so that a new configuration comes into force whole.
    fn apply(&self, config: Config, upstreams: Vec<Arc<Azure>>, reason: &Reason) {
        fill(&upstreams, &config, reason.as_str());
        self.live().leave(&config, &self.metrics);
        for (address, certificate) in &self.certificates {
            // By address, so that a listener never gets another one's rules about its clients. Where
            // two ask for a free port of the same host they cannot be told apart, and stay.
            let twins = self.certificates.iter().filter(|(other, _)| other == address).count();
            let mut named = config.listeners.iter().filter(|listener| listener.address == *address);
            if let (1, Some(Listener { tls: Some(tls), .. }), None) =
                (twins, named.next(), named.next())
            {
                certificate.store(Arc::clone(&tls.config));
            }
        }
        let way = Way::new(&config, &upstreams, &self.places, &self.lasting, &self.metrics);
        self.way.store(Arc::new(way));
        let restarts = self.boot.restarts(&Boot::new(&config));
        self.live.store(Arc::new(Live { config, upstreams, since: Timestamp::now(), restarts }));
    }

    fn conclude(&self, outcome: &Result<(), Mistakes>, changed: bool) {
        match outcome {
            Ok(()) => {
                self.failure.store(None);
                self.count(if changed { "ok" } else { "unchanged" });
                tracing::info!("the configuration was loaded again");
                self.tell();
            }
            Err(mistakes) => {
                self.count("invalid");
                for mistake in &mistakes.0 {
                    tracing::error!("the new configuration is refused: {mistake}");
                }
                let at = Timestamp::now().to_string();
                let mistakes = mistakes.0.clone();
                self.failure.store(Some(Arc::new(Failure { at, mistakes })));
            }
        }
    }

    fn count(&self, result: &str) {
        let good = result != "invalid";
        self.metrics.config_reloads_total.with_label_values(&[result]).inc();
        self.metrics.config_last_reload_successful.set(i64::from(good));
        if good {
            let now = Timestamp::now().as_second();
            self.metrics.config_last_reload_success_timestamp_seconds.set(now);
        }
    }

    /// Tells what is no mistake but should be known.
    fn tell(&self) {
        let live = self.live();
        for (role, ends) in live.config.certificates() {
            let gauge = &self.metrics.tls_certificate_not_after_timestamp_seconds;
            match ends {
                Some(ends) => gauge.with_label_values(&[role]).set(ends.as_second()),
                // Where there was none there is nothing to remove.
                None => drop(gauge.remove_label_values(&[role])),
            }
        }
        for warning in &live.config.warnings {
            tracing::warn!("{warning}");
        }
        for section in &live.restarts {
            tracing::warn!("{section} changed: restart the gateway to apply it");
        }
    }
}

impl Way {
    fn new(
        config: &Config,
        upstreams: &[Arc<Azure>],
        places: &Arc<Places>,
        lasting: &Arc<Lasting>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let Server { max_body, stream_timeout, max_requests, .. } = config.server;
        places.allow(max_requests);
        for (azure, upstream) in upstreams.iter().zip(&config.upstreams) {
            azure.share.allow(upstream.tier, upstream.poll_share);
        }
        Self { front: stack(config, upstreams, places, lasting, metrics), max_body, stream_timeout }
    }
}

impl Boot {
    fn new(config: &Config) -> Self {
        let address = |listener: &Listener| (listener.address, listener.tls.is_some());
        let listeners = config.listeners.iter().map(address).collect();
        // These are part of the way of a request, which is built anew.
        let usual = Server::default();
        let Server { max_body, stream_timeout, max_requests, .. } = usual;
        let server = Server { max_body, stream_timeout, max_requests, ..config.server };
        let (admin, max_bytes) = (config.admin, config.cache.max_bytes);
        let traces = config.traces.clone();
        Self { listeners, server, admin, max_bytes, traces }
    }

    /// What a reload cannot change.
    fn restarts(&self, new: &Self) -> Vec<&'static str> {
        let sections = [
            ("[[listen]]", self.listeners != new.listeners),
            ("[server]", self.server != new.server),
            ("[admin]", self.admin != new.admin),
            ("[traces]", self.traces != new.traces),
            ("max_bytes of [cache]", self.max_bytes != new.max_bytes),
        ];
        sections.into_iter().filter(|(_, changed)| *changed).map(|(section, _)| section).collect()
    }
}
