//! Everything the emulator knows, and what it answers out of it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Clock;
use super::entra::Entra;
use super::face::{self, Target};
use super::failure::{Failure, Form, Reply, raw_json, set};
use super::fault::{Call, Effect, Faults};
use super::keys::Keys;
use super::limits::Limits;
use super::plan::Plan;
use super::recording::{Record, Recording};
use super::store::Store;
use super::{derive, gzip};

/// The state behind one listener.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    pub(super) entra: Entra,
    pub(super) limits: Limits,
    pub(super) errors: ErrorForms,
    pub(super) faults: Faults,
    pub(super) recording: Recording,
    pub(super) store: Store,
    pub(super) default_plan: Plan,
    pub(super) abuse_monitoring: bool,
}

/// The forms that errors come in where Azure is known to have more than one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ErrorForms {
    pub(super) unauthorized: Form,
    pub(super) throttled: Form,
}

/// A request whose body has been read.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) http_version: &'static str,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer and what is to be done to it on its way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) reply: Reply,
    pub(super) delay: Duration,
    pub(super) slow: Option<Slow>,
    pub(super) harm: Option<Harm>,
}

/// A body that drips.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slow {
    pub(super) pause: Duration,
    pub(super) chunk: usize,
}

/// What keeps an answer from being one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Harm {
    Reset,
    Close,
    Hang,
    Truncated { keep: Option<usize>, reset: bool },
    GarbageHttp,
    EndlessBody,
}

impl Default for ErrorForms {
    fn default() -> Self {
        Self { unauthorized: Form::Apim, throttled: Form::ApimNoCode }
    }
}

impl World {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            clock: Clock::default(),
            keys,
            entra: Entra::default(),
            limits: Limits::default(),
            errors: ErrorForms::default(),
            faults: Faults::default(),
            recording: Recording::default(),
            store: Store::default(),
            default_plan: Plan::default(),
            abuse_monitoring: true,
        }
    }

    /// Answers a request to the API.
    pub(super) fn exchange(&mut self, ask: &Ask) -> Exchange {
        let now = self.clock.now();
        let target = Target::of(&ask.path);
        let key = ask.headers.get("ocp-apim-subscription-key");
        let key = key.and_then(|value| value.to_str().ok());
        let slot = key.and_then(|key| self.keys.accepts(key, now));
        let route = target.route(&ask.method);
        let call = Call {
            route,
            method: ask.method.as_str(),
            version: target.version(),
            key,
            slot,
            session: target.session(),
        };
        let struck = self.faults.strike(&call);
        let replaced = struck.iter().find_map(|(_, effect)| replacement(effect));
        let reply = replaced.unwrap_or_else(|| {
            let token = self.entra.accepts(ask, now);
            let admitted = self.admit(slot.is_some(), token);
            let answer = admitted.and_then(|()| face::answer(self, &target, ask));
            answer.unwrap_or_else(|failure| failure.reply())
        });
        let mut exchange = Exchange::new(reply);
        for (_, effect) in &struck {
            exchange.suffer(effect);
        }
        self.recording.add(Record {
            method: ask.method.to_string(),
            target: ask.target(),
            http_version: ask.http_version,
            headers: pairs(&ask.headers),
            body_length: ask.body.len(),
            body_sha256: derive::sha256_upper(&ask.body).to_lowercase(),
            route,
            received: now.iso(),
            key_slot: slot,
            status: exchange.harm.is_none().then(|| exchange.reply.status().as_u16()),
            faults: struck.iter().map(|(id, _)| *id).collect(),
        });
        exchange
    }

    /// The doorkeeper in front of the Face service: first the key or token, then the limit.
    fn admit(&mut self, key: bool, token: bool) -> Result<(), Failure> {
        if key && !token && !self.entra.local_auth {
            return Err(Failure::with_status(StatusCode::FORBIDDEN));
        }
        if !key && !token {
            return Err(Failure::unauthorized(self.errors.unauthorized));
        }
        let retry_after = self.limits.spec().retry_after;
        let admitted = self.limits.admit(self.clock.now());
        admitted.map_err(|seconds| Failure::throttled(self.errors.throttled, seconds, retry_after))
    }
}

impl Ask {
    /// Path and query as they came.
    fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

impl Exchange {
    fn new(mut reply: Reply) -> Self {
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
            ("x-content-type-options", "nosniff"),
        ] {
            let name = HeaderName::from_static(name);
            reply.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let id = Uuid::new_v4().to_string();
        set(&mut reply, HeaderName::from_static("apim-request-id"), &id);
        Self { reply, delay: Duration::ZERO, slow: None, harm: None }
    }

    fn suffer(&mut self, effect: &Effect) {
        match effect {
            Effect::Delay { ms } => self.delay += Duration::from_millis(*ms),
            Effect::Headers { add } => {
                for header in add {
                    let (name, value) = (header.name.clone(), header.value.clone());
                    self.reply.headers_mut().append(name, value);
                }
            }
            Effect::SlowBody { ms_per_chunk, chunk_bytes } => {
                let (pause, chunk) = (Duration::from_millis(*ms_per_chunk), (*chunk_bytes).max(1));
                self.slow = Some(Slow { pause, chunk });
            }
            Effect::Gzip => {
                let packed = gzip::stored(self.reply.body());
                *self.reply.body_mut() = packed.into();
                set(&mut self.reply, CONTENT_ENCODING, "gzip");
            }
            Effect::Reset => self.harm = Some(Harm::Reset),
            Effect::Close => self.harm = Some(Harm::Close),
            Effect::Hang => self.harm = Some(Harm::Hang),
            Effect::Truncated { keep_bytes, reset } => {
                let (keep, reset) = (*keep_bytes, *reset);
                self.harm = Some(Harm::Truncated { keep, reset });
            }
            Effect::GarbageHttp => self.harm = Some(Harm::GarbageHttp),
            Effect::EndlessBody => self.harm = Some(Harm::EndlessBody),
            // these took the answer's place
            Effect::GarbageJson | Effect::Status { .. } => {}
        }
    }
}

/// The answer that a fault puts in the place of the true one, which is then never worked out.
fn replacement(effect: &Effect) -> Option<Reply> {
    match effect {
        Effect::GarbageJson => {
            let broken = r#"{"status":"Succeeded","results":{"attempts":[{"attemptId":1,"#;
            Some(raw_json(StatusCode::OK, broken))
        }
        Effect::Status { status, retry_after, code, message, form, body, content_type } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut failure = Failure::with_status(status);
            if let Some(code) = code {
                failure.form = Form::Face;
                failure.code.clone_from(code);
            }
            failure.form = form.unwrap_or(failure.form);
            failure.message = message.clone().unwrap_or(failure.message);
            let mut reply = failure.reply();
            if let Some(body) = body {
                *reply.body_mut() = body.clone().into();
            }
            if let Some(content_type) = content_type {
                set(&mut reply, CONTENT_TYPE, content_type);
            }
            if let Some(retry_after) = retry_after {
                set(&mut reply, RETRY_AFTER, retry_after);
            }
            Some(reply)
        }
        _ => None,
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let pairs = headers.iter();
    pairs.map(|(name, value)| (name.to_string(), text(value))).collect()
}
