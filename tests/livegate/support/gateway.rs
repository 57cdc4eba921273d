//! A gateway: its configuration written, the real binary started, its ports learnt from its log.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitStatus;

use sha2::{Digest as _, Sha256};

use super::certs::Certs;
use super::http::{Answer, Request};
use super::process::Process;
use super::scratch::Scratch;

/// The token of the app that most tests call as.
pub(crate) const TOKEN: &str = "app-token-onboarding-0123456789";

/// Every route that an app can be granted.
pub(crate) const ALL_ROUTES: [&str; 6] = ["session", "audit", "create", "delete", "list", "image"];

/// The key that the gateway shows Azure.
pub(crate) const AZURE_KEY: &str = "azure-key-one-00112233445566778899";

/// A gateway before it is started.
pub(crate) struct Builder {
    scratch: Scratch,
    certs: Certs,
    endpoint: String,
    tier: String,
    upstream: String,
    keyless: bool,
    authority: Option<String>,
    tls: bool,
    apps: String,
    cache: String,
    more: String,
    log: Option<String>,
    through: String,
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) scratch: Scratch,
    pub(crate) certs: Certs,
    /// The public listener without TLS.
    pub(crate) public: SocketAddr,
    /// The public listener with TLS, where one was asked for.
    pub(crate) secure: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

impl Builder {
    /// In front of this endpoint, with no app as yet.
    pub(crate) fn new(endpoint: &str) -> Self {
        let scratch = Scratch::new();
        let certs = Certs::new(&scratch);
        Self {
            scratch,
            certs,
            endpoint: endpoint.to_owned(),
            tier: "\"unlimited\"".to_owned(),
            upstream: String::new(),
            keyless: false,
            authority: None,
            tls: false,
            apps: String::new(),
            cache: "max_bytes = \"0B\"\nrunning_ttl = \"0s\"\n".to_owned(),
            more: String::new(),
            log: None,
            through: "env".to_owned(),
        }
    }

    /// With this authority trusted for the endpoint, beside the system's.
    pub(crate) fn trusting(self, certs: &Certs) -> Self {
        self.upstream(&format!("ca_file = {:?}\n", certs.authority))
    }

    /// With this tier, as TOML has it. Without, nothing is held back, since few tests ask about that.
    pub(crate) fn tier(self, tier: &str) -> Self {
        Self { tier: tier.to_owned(), ..self }
    }

    /// With further lines about the endpoint, such as `timeout = "1s"`.
    pub(crate) fn upstream(mut self, lines: &str) -> Self {
        self.upstream.push_str(lines);
        self
    }

    /// Without the file `azure.key` that holds [`AZURE_KEY`], so that it starts but is not ready.
    pub(crate) fn keyless(mut self) -> Self {
        self.keyless = true;
        self
    }

    /// With these tables instead of `[upstreams.keys]` and the one key of the file `azure.key`, such as `[upstreams.keys]` of one's own
    /// or `[upstreams.entra]`.
    pub(crate) fn authority(mut self, tables: &str) -> Self {
        self.authority = Some(tables.to_owned());
        self
    }

    /// With a file in the gateway's folder before it starts; paths in the configuration are relative to that folder.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.scratch.write(name, content);
        self
    }

    /// Where a file in that folder is.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path(name)
    }

    /// With a second listener that speaks TLS as `localhost`.
    pub(crate) fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// With an app of this name and token that may use these routes.
    pub(crate) fn app(self, name: &str, token: &str, routes: &[&str]) -> Self {
        self.app_with(name, token, routes, "")
    }

    /// The same with further lines of configuration, such as `digest = "enforce"`.
    pub(crate) fn app_with(mut self, name: &str, token: &str, routes: &[&str], more: &str) -> Self {
        let hash = const_hex::encode(Sha256::digest(token));
        writeln!(
            self.apps,
            "[[apps]]\nname = \"{name}\"\ntoken_sha256 = [\"{hash}\"]\nupstream = \"emulated\"\n\
             routes = {routes:?}\n{more}",
        )
        .unwrap();
        self
    }

    /// With a memory, and these lines about it. Without, every question reaches the upstream, since most tests ask about that.
    pub(crate) fn cache(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.cache);
        self
    }

    /// With further tables, such as `[server]`.
    pub(crate) fn more(mut self, tables: &str) -> Self {
        self.more.push_str(tables);
        self
    }

    /// With this value of `RUST_LOG`.
    pub(crate) fn log(self, log: &str) -> Self {
        Self { log: Some(log.to_owned()), ..self }
    }

    /// Started through a command that becomes it in the end, such as `prlimit --nofile=64`.
    pub(crate) fn through(self, command: &str) -> Self {
        Self { through: command.to_owned(), ..self }
    }

    /// Writes the configuration, starts the gateway and waits until it is ready, or cannot be.
    pub(crate) fn start(self) -> Gateway {
        let config = self.scratch.write("livegate.toml", self.config());
        if !self.keyless {
            self.scratch.write("azure.key", AZURE_KEY);
        }
        let args = ["serve".as_ref(), "--config".as_ref(), config.as_os_str()];
        let (scratch, log) = (&self.scratch, self.log.as_deref());
        let mut process = Process::through(&self.through, scratch, "gateway", args, log);
        let public = listening(&mut process, "public", false);
        let secure = self.tls.then(|| listening(&mut process, "public", true));
        let admin = listening(&mut process, "admin", false);
        let expected = if self.keyless { 503 } else { 200 };
        process.until(&format!("{expected} from /readyz"), |_| {
            (Request::get("/readyz").send(admin).status == expected).then_some(())
        });
        Gateway { process, scratch: self.scratch, certs: self.certs, public, secure, admin }
    }

    fn config(&self) -> String {
        let tls = if self.tls {
            let server = &self.certs.server;
            format!(
                "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = {{ cert = {:?}, key = {:?} }}\n",
                server.cert, server.key
            )
        } else {
            String::new()
        };
        let usual = || {
            format!(
                "[upstreams.keys]\nprimary = {{ file = {:?} }}\n",
                self.scratch.path("azure.key")
            )
        };
        let authority = self.authority.clone().unwrap_or_else(usual);
        format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\n{tls}[admin]\nlisten = \"127.0.0.1:0\"\n\
             [[upstreams]]\nname = \"emulated\"\nendpoint = {:?}\ntier = {}\n{}{}{}[cache]\n{}{}",
            self.endpoint, self.tier, self.upstream, authority, self.apps, self.cache, self.more
        )
    }
}

impl Gateway {
    /// In front of this endpoint, with one app, [`TOKEN`], that may do everything.
    pub(crate) fn before(endpoint: &str) -> Self {
        Builder::new(endpoint).app("onboarding", TOKEN, &ALL_ROUTES).start()
    }

    /// GETs a path of the public listener with [`TOKEN`].
    pub(crate) fn get(&self, target: &str) -> Answer {
        Request::get(target).key(TOKEN).send(self.public)
    }

    /// Stops it with SIGTERM.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.process.terminate()
    }
}

/// The address that the log names for a listener.
fn listening(process: &mut Process, listener: &str, tls: bool) -> SocketAddr {
    process.until(&format!("line for the {listener} listener (tls: {tls})"), |process| {
        process.stderr().lines().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let meant = line["message"] == "listening"
                && line["listener"] == listener
                && line["tls"].as_bool().unwrap_or(false) == tls;
            meant.then(|| line["address"].as_str()?.parse().ok()).flatten()
        })
    })
}

#[test]
fn a_gateway_starts_becomes_ready_and_stops() {
    let mut gateway = Builder::new("http://127.0.0.1:9")
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .more("[server]\nworkers = 1\n")
        .start();
    assert!(gateway.secure.is_none());
    assert_eq!(Request::get("/livez").send(gateway.admin).status, 200);
    assert_eq!(gateway.terminate().code(), Some(0), "{}", gateway.process.stderr());
    assert!(std::net::TcpStream::connect(gateway.public).is_err());
}
