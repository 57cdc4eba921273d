//! The Face service itself: which resource a request means, and what it answers.

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clock::Moment;
use super::create::{self, Wish};
use super::failure::{Failure, Reply, json_reply, raw_json};
use super::fault::RouteName;
use super::session::Session;
use super::world::{Ask, World};
use super::{derive, ga, preview, query};
use crate::liveness::resource::Kind;
use crate::liveness::{ApiVersion, Family, NoSuchResource, Operation, Resource};

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Resource(Resource),
    Settings,
    ClientAssetsToken,
    /// The path is right, but no session or picture ever had such an id.
    OddId,
    Unknown,
}

impl Target {
    pub(super) fn of(path: &str) -> Self {
        match Resource::parse(path) {
            Ok(resource) => Self::Resource(resource),
            Err(NoSuchResource::MalformedId(_)) => Self::OddId,
            Err(NoSuchResource::Unknown(_)) => match path.to_ascii_lowercase().as_str() {
                "/face/v1.3-preview.1/settings" => Self::Settings,
                "/face/v1.3-preview.1/settings/getclientassetsaccesstoken" => {
                    Self::ClientAssetsToken
                }
                _ => Self::Unknown,
            },
        }
    }

    pub(super) fn route(&self, method: &Method) -> RouteName {
        let kind = match self {
            Self::Resource(resource) => &resource.kind,
            Self::Settings | Self::ClientAssetsToken => return RouteName::Settings,
            Self::OddId | Self::Unknown => return RouteName::Other,
        };
        match (kind, method) {
            (Kind::Sessions(_), &Method::POST) => RouteName::Create,
            (Kind::Sessions(_), &Method::GET) => RouteName::List,
            (Kind::Session(..), &Method::GET) => RouteName::Session,
            (Kind::Session(..), &Method::DELETE) => RouteName::Delete,
            (Kind::Audit(..), &Method::GET) => RouteName::Audit,
            (Kind::Image(_), &Method::GET) => RouteName::Image,
            _ => RouteName::Other,
        }
    }

    pub(super) const fn version(&self) -> Option<&'static str> {
        match self {
            Self::Resource(resource) => Some(resource.version.as_str()),
            Self::Settings | Self::ClientAssetsToken => Some(ApiVersion::V1_3Preview1.as_str()),
            Self::OddId | Self::Unknown => None,
        }
    }

    pub(super) fn session(&self) -> Option<&str> {
        match self {
            Self::Resource(Resource {
                kind: Kind::Session(_, id) | Kind::Audit(_, id), ..
            }) => Some(id.as_str()),
            _ => None,
        }
    }
}

/// Answers a request that the doorkeeper let in.
pub(super) fn answer(world: &mut World, target: &Target, ask: &Ask) -> Result<Reply, Failure> {
    let now = world.clock.now();
    let Resource { version, kind } = match target {
        Target::Resource(resource) => resource,
        Target::Settings => return settings(world, ask),
        Target::ClientAssetsToken if ask.method == Method::GET => return Ok(assets_token(now)),
        Target::OddId => return Err(Failure::session_not_found()),
        Target::ClientAssetsToken | Target::Unknown => return Err(Failure::no_such_path()),
    };
    let version = *version;
    let preview = version.family() == Family::Preview;
    match (target.route(&ask.method), kind) {
        (RouteName::Create, Kind::Sessions(operation)) => create(world, version, *operation, ask),
        (RouteName::List, Kind::Sessions(operation)) if preview => {
            let page = query::sessions(ask.query.as_deref())?;
            let sessions = world.store.page(*operation, &page, now);
            let items = sessions.into_iter().map(|session| preview::item(session, now));
            Ok(json_reply(StatusCode::OK, &items.collect::<Vec<_>>()))
        }
        (RouteName::Session, Kind::Session(operation, id)) => {
            let session = world.store.get(*operation, id.as_str(), now);
            let session = session.ok_or_else(Failure::session_not_found)?;
            let reply = show(session, version, now);
            session.count_get();
            Ok(reply)
        }
        (RouteName::Delete, Kind::Session(operation, id)) => {
            let removed = world.store.remove(*operation, id.as_str(), now);
            removed.ok_or_else(Failure::session_not_found)?;
            let mut reply = Response::default();
            if !preview {
                *reply.status_mut() = StatusCode::NO_CONTENT;
            }
            Ok(reply)
        }
        (RouteName::Audit, Kind::Audit(operation, id)) if preview => {
            let page = query::audit(ask.query.as_deref())?;
            let session = world.store.get(*operation, id.as_str(), now);
            let session = session.ok_or_else(Failure::session_not_found)?;
            if let Some(body) = &session.audit_body {
                return Ok(raw_json(StatusCode::OK, body.get().to_owned()));
            }
            let mut entries = preview::audit(session, version);
            entries.retain(|entry| page.start.is_none_or(|start| entry.id > start));
            entries.truncate(page.top);
            Ok(json_reply(StatusCode::OK, &entries))
        }
        (RouteName::Image, Kind::Image(id)) => image(world, id.as_str(), now),
        _ => Err(Failure::no_such_path()),
    }
}

/// A session in the shape of the version that was asked.
fn show(session: &Session, version: ApiVersion, now: Moment) -> Reply {
    if let Some(body) = &session.session_body {
        return raw_json(StatusCode::OK, body.get().to_owned());
    }
    match version.family() {
        Family::Preview => json_reply(StatusCode::OK, &preview::body(session, version, now)),
        Family::Ga => json_reply(StatusCode::OK, &ga::body(session, version)),
    }
}

fn create(
    world: &mut World,
    version: ApiVersion,
    operation: Operation,
    ask: &Ask,
) -> Result<Reply, Failure> {
    let wish = create::read(version, operation, &ask.headers, &ask.body)?;
    let Wish {
        token_seconds,
        device_correlation_id,
        session_image,
        has_image,
        verify_image_hash,
        verify_threshold,
        model_version,
        expected_client_ip,
        attempts_allowed,
    } = wish;
    let mut plan = world.default_plan.clone();
    plan.attempts.truncate(attempts_allowed.unwrap_or(usize::MAX));
    let id = Uuid::new_v4().to_string();
    let mut session = Session::new(id, operation, world.clock.now(), plan);
    session.token_seconds = token_seconds;
    session.device_correlation_id = device_correlation_id;
    session.session_image = session_image;
    session.verify_image_hash = verify_image_hash;
    session.verify_threshold = verify_threshold.unwrap_or(session.verify_threshold);
    session.model_version = model_version;
    session.expected_client_ip = expected_client_ip;
    session.abuse_monitoring = world.abuse_monitoring;
    let reply = match version.family() {
        Family::Ga => json_reply(StatusCode::OK, &ga::body(&session, version)),
        Family::Preview => json_reply(StatusCode::OK, &preview::created(&session, has_image)),
    };
    world.store.put(session);
    Ok(reply)
}

fn image(world: &mut World, id: &str, now: Moment) -> Result<Reply, Failure> {
    let found = world.store.image(id, now);
    let (session, attempt) = found.ok_or_else(Failure::session_not_found)?;
    let mut reply = Response::new(derive::image_bytes(&session.id, attempt).into());
    let bytes = http::HeaderValue::from_static("application/octet-stream");
    reply.headers_mut().insert(http::header::CONTENT_TYPE, bytes);
    Ok(reply)
}

fn settings(world: &mut World, ask: &Ask) -> Result<Reply, Failure> {
    if ask.method == Method::PATCH {
        let change: Option<Value> = serde_json::from_slice(&ask.body).ok();
        let enabled =
            change.as_ref().and_then(|change| change.pointer("/livenessAbuseMonitoring/enabled"));
        let enabled = enabled.and_then(Value::as_bool);
        world.abuse_monitoring = enabled.ok_or_else(create::bad_body)?;
    } else if ask.method != Method::GET {
        return Err(Failure::no_such_path());
    }
    let body = json!({"livenessAbuseMonitoring": {"enabled": world.abuse_monitoring}});
    Ok(json_reply(StatusCode::OK, &body))
}

fn assets_token(now: Moment) -> Reply {
    let body = json!({
        "expiry": now.plus_seconds(3600).iso(),
        "accessToken": "emulated",
        "base64AccessToken": "ZW11bGF0ZWQ=",
    });
    json_reply(StatusCode::OK, &body)
}
