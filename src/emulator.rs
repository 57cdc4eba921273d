//! Azure's liveness API on loopback, for development and tests.
//!
//! [`Emulator::bind`] listens, [`Emulator::run`] answers. Behind one listener is one emulated resource:
//! two keys, a limit, and sessions that come under all four api-versions. No device takes part; each
//! session has a *plan* that says what the device would have done and when. `docs/EMULATOR.md` is the
//! user's guide and lists what is assumed about Azure rather than known.
//!
//! # A script
//!
//! A [`Script`] is a JSON object that sets the scene. All members are optional, unknown ones are errors.
//!
//! | member | value |
//! |---|---|
//! | `keys` | up to two texts; those in [`Options`] go first |
//! | `default_plan` | the plan of sessions that have none of their own, those created over the API included |
//! | `sessions` | sessions that are there from the start |
//! | `faults` | faults that are in force from the start |
//! | `limits` | `tier` (`S0`, `F0`, `unlimited`), `retry_after` (whether a 429 has the header) |
//! | `errors` | `unauthorized`, `throttled`: the form of the body, `face`, `apim` or `apim_no_code` |
//!
//! A plan is a row of steps, the device's start and then the end of each attempt: `start_after_ms`,
//! `start_after_gets`, `attempts`, `manual`, `final_status`, `waiting_status`, `blank_final_token`,
//! `expire_when_done`, `oldest_first`, `show_running_attempt`, `model_version`. An attempt has `after_ms`,
//! `after_gets`, `decision`, `error`, `error_message`, `status`, `digest`, `verify`, `verify_image_hash`,
//! `session_image`, `audit_id`, `status_code`, `latency_ms`, `user_agent`, `client_ip`, `abuse_detected`.
//! What is derived instead of said can be foretold: [`attempt_digest`].
//!
//! A session has `id` and may have `operation`, `plan`, `advance`, `final`, `expired`,
//! `created_seconds_ago`, `token_seconds`, `device_correlation_id`, `session_image`, `verify_image_hash`,
//! `model_version`, `expected_client_ip`, `session_body`, `audit_body`. The last two are served byte for
//! byte.
//!
//! A fault has `match` (`route`, `method`, `version`, `key`, `slot`, `session`), `skip`, `times` and
//! `effect`: `{"delay":{"ms":1}}`, `{"slow_body":{"ms_per_chunk":1,"chunk_bytes":1}}`,
//! `{"headers":{"add":[["name","value"]]}}`, `"gzip"`, `{"status":{"status":503}}`, `"garbage_json"`,
//! `"garbage_http"`, `{"truncated":{"keep_bytes":1,"reset":false}}`, `"endless_body"`, `"close"`,
//! `"reset"`, `"hang"`.
//!
//! # The control API
//!
//! On the same port, without a key; bodies are JSON in the script's words.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /emulator` | tells keys, clock, counts, limits |
//! | `POST /emulator/sessions` | puts a session in place and tells its digests |
//! | `GET /emulator/sessions`, `GET`, `PATCH`, `DELETE /emulator/sessions/{id}` | looks at sessions, moves one (`advance`, `final`, `expired`, `plan`, `session_body`, `audit_body`), removes one |
//! | `PUT /emulator/plan` | sets the default plan |
//! | `POST /emulator/clock` | `{"advance_seconds": N}` |
//! | `GET`, `POST /emulator/keys` | `{"slot": 1, "regenerate": true}` or `{"slot": 1, "value": "…"}`, with `lag_seconds`, `old_lag_seconds`, `new_lag_seconds` |
//! | `POST`, `GET`, `DELETE /emulator/faults`, `DELETE /emulator/faults/{id}` | puts up, shows and takes down faults |
//! | `GET`, `DELETE /emulator/requests` | shows or forgets the requests that came to the API |
//! | `PUT /emulator/limits`, `PUT /emulator/errors` | as in the script |
//!
//! # Inside
//!
//! A connection (`serve`, `wire`) hands each request to the `world`, which picks faults, checks key and
//! limit, lets the Face service (`face`) answer, and records. `session` and `plan` know where a session
//! stands; `ga` and `preview` write it down in the two shapes.

mod clock;
mod control;
mod create;
mod derive;
mod entra;
mod face;
mod failure;
mod fault;
mod ga;
mod gzip;
mod keys;
mod limits;
mod multipart;
mod plan;
mod preview;
mod query;
mod recording;
mod script;
mod serve;
mod session;
mod sessions;
mod shared;
mod store;
#[cfg(test)]
mod tests;
mod wire;
mod world;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

pub use self::derive::attempt_digest;
pub use self::script::{Script, ScriptError};

use self::keys::Keys;
use self::serve::Shared;
use self::world::World;

/// How an emulator is started.
#[derive(Debug)]
pub struct Options {
    /// Where it listens: a loopback address. Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// The resource's keys, two at most. What is missing comes from the script or is made up.
    pub keys: Vec<String>,
    /// What it is to be at the start.
    pub script: Option<Script>,
}

/// An emulated resource that listens and, once [`run`](Emulator::run), answers.
#[derive(Debug)]
pub struct Emulator {
    listener: TcpListener,
    address: SocketAddr,
    world: Shared,
}

impl Emulator {
    /// Listens.
    ///
    /// # Errors
    /// Where the address is taken or not loopback (the emulator guards nothing), and where the keys are
    /// more than two or cannot stand in a header.
    pub fn bind(options: Options) -> io::Result<Self> {
        let Options { listen, mut keys, script } = options;
        if !listen.ip().is_loopback() {
            return refuse(format!("the emulator listens on loopback only, not on {listen}"));
        }
        let script = script.unwrap_or_default();
        keys.extend(script.keys.iter().skip(keys.len()).cloned());
        if keys.len() > 2 || !keys.iter().all(|key| script::is_key(key)) {
            let rule = "the emulator takes up to two keys, each of visible ASCII characters";
            return refuse(rule.to_owned());
        }
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut world = World::new(Keys::new(keys));
        script.apply(&mut world);
        let world = Arc::new(Mutex::new(world));
        Ok(Self { listener, address, world })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The keys that the two slots have at present.
    pub fn keys(&self) -> [String; 2] {
        let world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.keys.values()
    }

    /// Answers until `stop` resolves, then drops all connections at once.
    ///
    /// # Errors
    /// Where the runtime cannot take the listener.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve::connection(stream, Arc::clone(&self.world)));
                    }
                    // out of file descriptors, most likely: some will be closed
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

fn refuse<T>(why: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}
