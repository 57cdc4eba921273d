//! `livegate demo`: an emulator and a gateway in one process, on loopback, with a configuration of their own.

mod once;
mod traffic;

use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Failure, log, runtime, say, stop_signals, told_to_stop};
use crate::config;
use crate::emulator::{Emulator, Options, attempt_digest};
use crate::gateway::Gateway;

/// What the demo's app calls with. It opens nothing but this demo.
const TOKEN: &str = "demo-token";

/// The ports that are taken if they are free: gateway, admin, emulator.
const PORTS: [u16; 3] = [8080, 9464, 9000];

/// A running demo.
struct Stage {
    /// Addresses, as `http://…`.
    gateway: String,
    admin: String,
    emulator: String,
    folder: PathBuf,
    stop: Vec<oneshot::Sender<()>>,
    running: Vec<JoinHandle<std::io::Result<()>>>,
}

pub(super) fn demo(once: bool) -> Result<(), Failure> {
    let _log = log::start("warn");
    let runtime = runtime(0)?;
    let done = runtime.block_on(async {
        let signals = stop_signals()?;
        let stage = Stage::set()?;
        let act = async { if once { once::once(&stage).await } else { play(&stage).await } };
        let done = tokio::select! {
            done = act => done,
            () = told_to_stop(signals, 1) => match once {
                true => Err(Failure::Failed("stopped before all was tried".to_owned())),
                false => Ok(()),
            },
        };
        stage.strike().await;
        done
    });
    runtime.shutdown_background();
    done
}

/// Keeps traffic flowing. Ends only where that fails.
async fn play(stage: &Stage) -> Result<(), Failure> {
    traffic::open(stage).await.map_err(Failure::Failed)?;
    stage.invite();
    Err(Failure::Failed(traffic::flow(stage).await))
}

impl Stage {
    fn set() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("livegate-demo-{}", Uuid::new_v4()));
        // Its own, and nobody else's to read.
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
        let [gateway, admin, emulator] = PORTS.map(free);
        let emulator = Emulator::bind(Options { listen: emulator, keys: Vec::new(), script: None })
            .map_err(Failure::failed)?;
        let mut stage = Self {
            gateway: format!("http://{gateway}"),
            admin: format!("http://{admin}"),
            emulator: format!("http://{}", emulator.address()),
            folder,
            stop: Vec::new(),
            running: Vec::new(),
        };
        let written = emulator
            .keys()
            .iter()
            .zip(["key-1", "key-2"])
            .try_for_each(|(key, file)| stage.write(file, key));
        written
            .and_then(|()| stage.write("livegate.toml", &stage.config(gateway, admin)))
            .map_err(Failure::Failed)?;
        let path = stage.folder.join("livegate.toml");
        let loaded = config::load(&path);
        let config = loaded.config.map_err(Failure::failed)?;
        let gateway = Gateway::bind(config, loaded.watched)
            .map_err(|told| Failure::Failed(told.join("\n")))?;
        let (stop, stopped) = oneshot::channel();
        stage.stop.push(stop);
        stage.running.push(tokio::spawn(gateway.run(async { drop(stopped.await) })));
        let (stop, stopped) = oneshot::channel();
        stage.stop.push(stop);
        stage.running.push(tokio::spawn(emulator.run(async { drop(stopped.await) })));
        Ok(stage)
    }

    fn config(&self, gateway: SocketAddr, admin: SocketAddr) -> String {
        let (emulator, hash) = (&self.emulator, const_hex::encode(Sha256::digest(TOKEN)));
        format!(
            r#"[[listen]]
address = "{gateway}"

[server]
drain_timeout = "1s"

[admin]
listen = "{admin}"

[[upstreams]]
name = "emulator"
endpoint = "{emulator}"
keys = {{ primary = {{ file = "key-1" }}, secondary = {{ file = "key-2" }} }}

[[apps]]
name = "demo"
token_sha256 = ["{hash}"]
upstream = "emulator"
routes = ["session", "audit", "create", "delete", "list", "image"]
"#
        )
    }

    /// Writes one of the demo's files whole: beside its place first, then moved there.
    fn write(&self, name: &str, content: &str) -> Result<(), String> {
        let (beside, place) = (self.folder.join(format!("{name}.new")), self.folder.join(name));
        let written =
            std::fs::write(&beside, content).and_then(|()| std::fs::rename(&beside, &place));
        written.map_err(|error| format!("{}: {error}", place.display()))
    }

    fn invite(&self) {
        let Self { gateway, admin, emulator, .. } = self;
        say(format_args!("livegate listens at {gateway}, its admin port is {admin}."));
        say(format_args!("How it is doing, for a browser: {admin}/"));
        say(format_args!(
            "Behind it, instead of Azure, an emulator at {emulator}. Its configuration is {}.\n",
            self.folder.join("livegate.toml").display()
        ));
        say("Try:\n");
        let key = format!("-H 'Ocp-Apim-Subscription-Key: {TOKEN}'");
        for (title, id) in traffic::SESSIONS {
            say(format_args!(
                "  # {title}\n  curl -si {gateway}/face/v1.2/detectLiveness-sessions/{id} {key}\n"
            ));
        }
        let (_, running) = traffic::SESSIONS[4];
        say(format_args!(
            "  # held until the session ends, or for 5 seconds\n  curl -si {gateway}/face/v1.2/detectLiveness-sessions/{running} {key} -H 'Prefer: wait=5'\n"
        ));
        let (_, id) = traffic::SESSIONS[0];
        let digest = attempt_digest(id, 2);
        say(format_args!(
            "  # with the digest that the app's client reported: does it match?\n  curl -si {gateway}/face/v1.2/detectLiveness-sessions/{id} {key} -H 'Liveness-Client-Digest: {digest}'\n"
        ));
        say(format_args!(
            "  # the same told earlier\n  curl -si -X PUT {gateway}/livegate/v1/sessions/{id}/client-digest {key} -d '{{\"digest\":\"{digest}\"}}'\n"
        ));
        let preview = "face/v1.2-preview.1/detectLiveness/singleModal/sessions";
        say(format_args!(
            "  # the audit list of the first session, enriched\n  curl -si {gateway}/{preview}/{id}/audit {key}\n\n  # the same as Azure sent it\n  curl -si {gateway}/{preview}/{id}/audit {key} -H 'Prefer: enrich=none'\n"
        ));
        say(format_args!(
            "  # without a token\n  curl -si {gateway}/face/v1.2/detectLiveness-sessions/{id}\n"
        ));
        say(format_args!(
            "  # its keys, and whether each is safe to regenerate\n  livegate keys --admin {admin}\n"
        ));
        say(format_args!(
            "  # regenerate key 1 as Azure would: nobody notices, but livegate keys\n  curl -s {emulator}/emulator/keys -d '{{\"slot\":1,\"regenerate\":true}}'\n"
        ));
        say(format_args!(
            "  # what the gateway counts, and how it is\n  curl -s {admin}/metrics\n  curl -s {admin}/\n"
        ));
        say(
            "The demo keeps asking by itself, so that the counters move. An SDK works as it is: this address as\nendpoint, this token as key. Ctrl-C ends it.",
        );
    }

    /// Stops everything and leaves nothing behind.
    async fn strike(self) {
        for stop in self.stop {
            _ = stop.send(());
        }
        for running in self.running {
            drop(running.await);
        }
        forget(&self.folder);
    }
}

fn forget(folder: &Path) {
    drop(std::fs::remove_dir_all(folder));
}

/// This port of loopback, or another one if it is taken.
fn free(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let bound = TcpListener::bind(wanted).or_else(|_| TcpListener::bind(any));
    bound.and_then(|listener| listener.local_addr()).unwrap_or(any)
}
