//! The control API under `/emulator`: a test's hand on the clock, the keys, the sessions and the faults.

use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::entra::EntraChange;
use super::failure::{Failure, Reply, json_reply};
use super::fault::FaultSpec;
use super::keys::{Lag, SlotNumber};
use super::limits::LimitSpec;
use super::plan::Plan;
use super::script::is_key;
use super::sessions::{self, SessionChange, SessionSpec};
use super::world::{Ask, ErrorForms, World};
use crate::liveness::Operation;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    advance_seconds: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyChange {
    slot: SlotNumber,
    #[serde(default)]
    regenerate: bool,
    value: Option<String>,
    #[serde(default)]
    lag_seconds: i64,
    old_lag_seconds: Option<i64>,
    new_lag_seconds: Option<i64>,
}

/// Whether a path is the control API's.
pub(super) fn is_control(path: &str) -> bool {
    path == "/emulator" || path.starts_with("/emulator/")
}

/// Answers a request to the control API.
pub(super) fn answer(world: &mut World, ask: &Ask) -> Reply {
    let path = ask.path.strip_prefix("/emulator").unwrap_or_default();
    let path = path.trim_matches('/');
    let (first, second) = match path.split_once('/') {
        Some((first, second)) => (first, Some(second)),
        None => (path, None),
    };
    let answer = match (first, second) {
        ("", None) if ask.method == Method::GET => Ok(ok(&overview(world))),
        ("sessions", id) => on_sessions(world, ask, id),
        ("faults", id) => on_faults(world, ask, id),
        ("requests", None) => on_requests(world, &ask.method),
        ("plan", None) if ask.method == Method::PUT => read::<Plan>(&ask.body).map(|plan| {
            world.default_plan = plan;
            done()
        }),
        ("clock", None) if ask.method == Method::POST => read(&ask.body).map(|change| {
            let ClockChange { advance_seconds } = change;
            world.clock.advance(advance_seconds);
            ok(&clock(world))
        }),
        ("keys", None) => on_keys(world, ask),
        ("entra", None) if ask.method == Method::PUT => {
            read::<EntraChange>(&ask.body).map(|change| {
                world.entra.change(&change);
                done()
            })
        }
        ("limits", None) if ask.method == Method::PUT => read::<LimitSpec>(&ask.body).map(|spec| {
            world.limits.set(spec);
            done()
        }),
        ("errors", None) if ask.method == Method::PUT => {
            read::<ErrorForms>(&ask.body).map(|forms| {
                world.errors = forms;
                done()
            })
        }
        _ => Err(nothing("Nothing here. See GET /emulator.")),
    };
    answer.unwrap_or_else(|failure| failure.reply())
}

fn overview(world: &World) -> Value {
    json!({
        "keys": world.keys.values(),
        "clock": clock(world),
        "sessions": world.store.all().count(),
        "faults": world.faults.all().len(),
        "requests": world.recording.total(),
        "limits": world.limits.spec(),
        "errors": world.errors,
        "routes": [
            "POST|GET /emulator/sessions", "GET|PATCH|DELETE /emulator/sessions/{id}", "PUT /emulator/plan",
            "POST /emulator/clock", "GET|POST /emulator/keys",
            "POST|GET|DELETE /emulator/faults", "DELETE /emulator/faults/{id}",
            "GET|DELETE /emulator/requests", "PUT /emulator/limits", "PUT /emulator/errors", "PUT /emulator/entra",
        ],
    })
}

fn clock(world: &World) -> Value {
    json!({"now": world.clock.now().iso(), "offset_seconds": world.clock.offset_seconds()})
}

fn on_sessions(world: &mut World, ask: &Ask, id: Option<&str>) -> Result<Reply, Failure> {
    let now = world.clock.now();
    match (&ask.method, id) {
        (&Method::POST, None) => {
            let spec: SessionSpec = read(&ask.body)?;
            let (operation, id) = (spec.operation.into(), spec.id.clone());
            spec.put(world);
            let put = world.store.get(operation, &id, now);
            let put = put.ok_or_else(|| Failure::bad_argument("It is more than 48 hours old."))?;
            Ok(json_reply(StatusCode::CREATED, &sessions::summary(put, now)))
        }
        (&Method::GET, None) => {
            let all = world.store.all().map(|session| sessions::summary(session, now));
            Ok(ok(&all.collect::<Vec<_>>()))
        }
        (&Method::DELETE, Some(id)) => {
            let twins = [Operation::Liveness, Operation::LivenessWithVerify];
            let removed = twins.map(|operation| world.store.remove(operation, id, now));
            let any = removed.iter().any(Option::is_some);
            any.then(done).ok_or_else(|| nothing("No such session."))
        }
        (method, Some(id)) if method == Method::GET || method == Method::PATCH => {
            let twins = [Operation::Liveness, Operation::LivenessWithVerify];
            let has = |operation: &Operation| world.store.get(*operation, id, now).is_some();
            let operation = twins.into_iter().find(has);
            let session = operation.and_then(|operation| world.store.get(operation, id, now));
            let session = session.ok_or_else(|| nothing("No such session."))?;
            if method == Method::PATCH {
                let change: SessionChange = read(&ask.body)?;
                change.apply(session, now);
            }
            Ok(ok(&sessions::summary(session, now)))
        }
        _ => Err(wrong_method()),
    }
}

fn on_faults(world: &mut World, ask: &Ask, id: Option<&str>) -> Result<Reply, Failure> {
    match (&ask.method, id) {
        (&Method::POST, None) => {
            let several = ask.body.trim_ascii_start().starts_with(b"[");
            let specs: Vec<FaultSpec> =
                if several { read(&ask.body)? } else { vec![read(&ask.body)?] };
            let ids = specs.into_iter().map(|spec| world.faults.add(spec));
            let ids: Vec<_> = ids.collect();
            let body = if several { json!({ "ids": ids }) } else { json!({ "id": ids.first() }) };
            Ok(json_reply(StatusCode::CREATED, &body))
        }
        (&Method::GET, None) => Ok(ok(&world.faults.all())),
        (&Method::DELETE, None) => {
            world.faults.remove(None);
            Ok(done())
        }
        (&Method::DELETE, Some(id)) => {
            let id = id.parse().ok();
            let removed = id.is_some() && world.faults.remove(id);
            removed.then(done).ok_or_else(|| nothing("No such fault."))
        }
        _ => Err(wrong_method()),
    }
}

fn on_requests(world: &mut World, method: &Method) -> Result<Reply, Failure> {
    match *method {
        Method::GET => Ok(ok(world.recording.records())),
        Method::DELETE => {
            world.recording.clear();
            Ok(done())
        }
        _ => Err(wrong_method()),
    }
}

fn on_keys(world: &mut World, ask: &Ask) -> Result<Reply, Failure> {
    if ask.method == Method::GET {
        return Ok(ok(&json!({"keys": world.keys.values()})));
    }
    if ask.method != Method::POST {
        return Err(wrong_method());
    }
    let change: KeyChange = read(&ask.body)?;
    if change.regenerate == change.value.is_some() {
        return Err(Failure::bad_argument("Give either \"regenerate\": true or a \"value\"."));
    }
    if change.value.as_deref().is_some_and(|value| !is_key(value)) {
        return Err(Failure::bad_argument("A key is one or more visible ASCII characters."));
    }
    let lag = Lag {
        old: change.old_lag_seconds.unwrap_or(change.lag_seconds),
        new: change.new_lag_seconds.unwrap_or(change.lag_seconds),
    };
    let now = world.clock.now();
    let value = world.keys.change(change.slot, change.value, lag, now);
    Ok(ok(&json!({"slot": change.slot, "value": value, "keys": world.keys.values()})))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad_argument(&error.to_string()))
}

fn ok(body: &impl serde::Serialize) -> Reply {
    json_reply(StatusCode::OK, body)
}

fn done() -> Reply {
    let mut reply = Response::default();
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

fn nothing(message: &str) -> Failure {
    Failure::face(StatusCode::NOT_FOUND, "NotFound", message)
}

fn wrong_method() -> Failure {
    let message = "The path has no such method. See GET /emulator.";
    Failure::face(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
}
