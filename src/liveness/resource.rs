//! Which of Azure's resources a path names, and the path that Azure is sent.
//!
//! Paths are matched without regard to case, since Microsoft's own samples differ in it. What Azure is
//! sent is built from what was recognised and never copied from the client, so that no dot segment,
//! no encoded slash and no second reading of a path can reach it.

use std::fmt::{self, Display, Formatter};

use super::{ApiVersion, Family, Operation};

/// One of Azure's resources under `/face/{apiVersion}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The api-version that was asked.
    pub version: ApiVersion,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of resources that a gateway serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The collection of sessions: POST creates one, GET (previews) lists them.
    Sessions(Operation),
    /// One session.
    Session(Operation, SessionId),
    /// One session's audit list. Azure has it in the previews; from v1.2 on it is the gateway's own.
    Audit(Operation, SessionId),
    /// A picture kept of a session.
    Image(ImageId),
}

/// Why a path names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSuchResource {
    /// No such path. The hint tells a developer what they probably wanted.
    Unknown(Option<&'static str>),
    /// The path is right but its id cannot be one.
    MalformedId(&'static str),
}

/// A session's id: 1 to 64 of `A-Za-z0-9-` (a GUID in every published sample; typed as a plain string).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Box<str>);

/// A session image's id: 1 to 128 of `A-Za-z0-9-_` (44 characters in the published samples).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageId(Box<str>);

/// What a session id is, for who gets it wrong.
pub const SESSION_ID_RULE: &str =
    "A session id has 1 to 64 characters, each a letter, a digit or a hyphen.";
const IMAGE_ID_RULE: &str = "A session image id has 1 to 128 characters, each a letter, a digit, a hyphen or an underscore.";

const HINT_TUTORIAL: &str = "There is no 'livenessSessions' in any version of the API, though a tutorial shows it: use /detectLiveness-sessions/{sessionId}.";
const HINT_GA_NAMES: &str =
    "From v1.2 on the path is /detectLiveness-sessions (or /detectLivenessWithVerify-sessions).";
const HINT_PREVIEW_NAMES: &str = "In the previews the path is /detectLiveness/singleModal/sessions (or /detectLivenessWithVerify/singleModal/sessions).";
const HINT_DEVICE: &str = "The device calls this path itself, with the session's authToken; it never goes through a gateway that holds the key.";
const HINT_VERSIONS: &str = "The versions are v1.1-preview.1, v1.2-preview.1, v1.2 and v1.3-preview.1, as in /face/v1.2/detectLiveness-sessions/{sessionId}.";
const HINT_IMAGES: &str = "Session images are at /session/sessionImages/{id} in v1.2-preview.1 and at /sessionImages/{id} from v1.2 on.";

impl Resource {
    /// Reads a path (without its query).
    ///
    /// # Errors
    /// [`NoSuchResource`] where it names nothing that the gateway serves.
    pub fn parse(path: &str) -> Result<Self, NoSuchResource> {
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let face = segments.next().unwrap_or_default();
        if !face.eq_ignore_ascii_case("face") {
            return Err(NoSuchResource::Unknown(None));
        }
        let version = segments.next().and_then(ApiVersion::from_segment);
        let version = version.ok_or(NoSuchResource::Unknown(Some(HINT_VERSIONS)))?;
        // The longest path has five more segments; a sixth slot tells that there are too many.
        let mut rest = [""; 6];
        let mut count = 0;
        for segment in segments {
            *rest.get_mut(count).ok_or(NoSuchResource::Unknown(None))? = segment;
            count += 1;
        }
        let kind = match version.family() {
            Family::Preview => preview(version, rest.get(..count).unwrap_or_default()),
            Family::Ga => ga(rest.get(..count).unwrap_or_default()),
        }?;
        Ok(Self { version, kind })
    }

    /// The session whose audit list it is, if it is one.
    pub const fn audited(&self) -> Option<(Operation, &SessionId)> {
        match &self.kind {
            Kind::Audit(operation, id) => Some((*operation, id)),
            Kind::Sessions(_) | Kind::Session(..) | Kind::Image(_) => None,
        }
    }

    /// Which of the twins it belongs to; images belong to neither.
    pub fn operation(&self) -> Option<Operation> {
        match &self.kind {
            Kind::Sessions(operation) | Kind::Session(operation, _) | Kind::Audit(operation, _) => {
                Some(*operation)
            }
            Kind::Image(_) => None,
        }
    }
}

fn preview(version: ApiVersion, segments: &[&str]) -> Result<Kind, NoSuchResource> {
    match *segments {
        [a, b, id] if is(a, "session") && is(b, "sessionImages") && version.has_images() => {
            image(id)
        }
        [detect, single, sessions, ref rest @ ..]
            if is(single, "singleModal") && is(sessions, "sessions") =>
        {
            let operation = singular(detect).ok_or(NoSuchResource::Unknown(None))?;
            match *rest {
                [] => Ok(Kind::Sessions(operation)),
                [id] => Ok(Kind::Session(operation, session(id)?)),
                [id, audit] if is(audit, "audit") => Ok(Kind::Audit(operation, session(id)?)),
                _ => Err(NoSuchResource::Unknown(None)),
            }
        }
        _ => Err(NoSuchResource::Unknown(hint(segments, Family::Preview))),
    }
}

fn ga(segments: &[&str]) -> Result<Kind, NoSuchResource> {
    let operation = segments.first().and_then(|first| plural(first));
    match (operation, segments) {
        (Some(operation), [_]) => Ok(Kind::Sessions(operation)),
        (Some(operation), &[_, id]) => Ok(Kind::Session(operation, session(id)?)),
        (Some(operation), &[_, id, audit]) if is(audit, "audit") => {
            Ok(Kind::Audit(operation, session(id)?))
        }
        (None, &[images, id]) if is(images, "sessionImages") => image(id),
        _ => Err(NoSuchResource::Unknown(hint(segments, Family::Ga))),
    }
}

/// What the author of a path that names nothing probably wanted.
fn hint(segments: &[&str], family: Family) -> Option<&'static str> {
    match (segments, family) {
        ([first, ..], _) if is(first, "livenessSessions") => Some(HINT_TUTORIAL),
        ([first, second, ..], _)
            if is(first, "session") && (is(second, "start") || is(second, "attempt")) =>
        {
            Some(HINT_DEVICE)
        }
        ([first, second], _) if singular(first).is_some() && is(second, "singleModal") => {
            Some(HINT_DEVICE)
        }
        ([first, ..], Family::Ga) if singular(first).is_some() => Some(HINT_GA_NAMES),
        ([first, ..], Family::Preview) if plural(first).is_some() => Some(HINT_PREVIEW_NAMES),
        ([first, ..], _) if is(first, "sessionImages") || is(first, "session") => Some(HINT_IMAGES),
        _ => None,
    }
}

fn is(segment: &str, name: &str) -> bool {
    segment.eq_ignore_ascii_case(name)
}

fn singular(segment: &str) -> Option<Operation> {
    match segment {
        s if is(s, "detectLiveness") => Some(Operation::Liveness),
        s if is(s, "detectLivenessWithVerify") => Some(Operation::LivenessWithVerify),
        _ => None,
    }
}

fn plural(segment: &str) -> Option<Operation> {
    match segment {
        s if is(s, "detectLiveness-sessions") => Some(Operation::Liveness),
        s if is(s, "detectLivenessWithVerify-sessions") => Some(Operation::LivenessWithVerify),
        _ => None,
    }
}

fn session(id: &str) -> Result<SessionId, NoSuchResource> {
    SessionId::parse(id).ok_or(NoSuchResource::MalformedId(SESSION_ID_RULE))
}

fn image(id: &str) -> Result<Kind, NoSuchResource> {
    ImageId::parse(id).map(Kind::Image).ok_or(NoSuchResource::MalformedId(IMAGE_ID_RULE))
}

impl SessionId {
    /// Reads an id; `None` where it cannot be one.
    pub fn parse(id: &str) -> Option<Self> {
        let fits = (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        fits.then(|| Self(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in small letters, where it has capitals. Whether Azure tells them apart is not documented; GUIDs are the same
    /// either way.
    pub fn folded(&self) -> Option<Self> {
        let capitals = self.0.bytes().any(|byte| byte.is_ascii_uppercase());
        capitals.then(|| Self(self.0.to_ascii_lowercase().into()))
    }
}

impl ImageId {
    /// Reads an id; `None` where it cannot be one.
    pub fn parse(id: &str) -> Option<Self> {
        let fits = (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        fits.then(|| Self(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path that Azure is sent, in Azure's own spelling.
impl Display for Resource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let version = self.version.as_str();
        let family = self.version.family();
        let collection = |operation: &Operation| match (family, operation) {
            (Family::Preview, Operation::Liveness) => "detectLiveness/singleModal/sessions",
            (Family::Preview, Operation::LivenessWithVerify) => {
                "detectLivenessWithVerify/singleModal/sessions"
            }
            (Family::Ga, Operation::Liveness) => "detectLiveness-sessions",
            (Family::Ga, Operation::LivenessWithVerify) => "detectLivenessWithVerify-sessions",
        };
        match (&self.kind, family) {
            (Kind::Sessions(operation), _) => {
                write!(f, "/face/{version}/{}", collection(operation))
            }
            (Kind::Session(operation, id), _) => {
                write!(f, "/face/{version}/{}/{}", collection(operation), id.as_str())
            }
            (Kind::Audit(operation, id), _) => {
                write!(f, "/face/{version}/{}/{}/audit", collection(operation), id.as_str())
            }
            (Kind::Image(id), Family::Preview) => {
                write!(f, "/face/{version}/session/sessionImages/{}", id.as_str())
            }
            (Kind::Image(id), Family::Ga) => {
                write!(f, "/face/{version}/sessionImages/{}", id.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::mutation::config;
    use super::*;

    fn any_resource() -> impl Strategy<Value = Resource> {
        let versions = [
            ApiVersion::V1_1Preview1,
            ApiVersion::V1_2Preview1,
            ApiVersion::V1_2,
            ApiVersion::V1_3Preview1,
        ];
        let version = prop::sample::select(versions.to_vec());
        let operation =
            prop::sample::select(vec![Operation::Liveness, Operation::LivenessWithVerify]);
        let id = "[A-Za-z0-9-]{1,64}";
        (version, operation, id, 0..3).prop_map(|(version, operation, id, kind)| {
            let id = SessionId::parse(&id).unwrap();
            let kind = match kind {
                0 => Kind::Sessions(operation),
                1 => Kind::Session(operation, id),
                _ => Kind::Audit(operation, id),
            };
            Resource { version, kind }
        })
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn what_is_written_is_read_as_the_same(resource in any_resource()) {
            let path = resource.to_string();
            prop_assert_eq!(Resource::parse(&path), Ok(resource));
        }

        #[test]
        fn whatever_is_read_is_written_in_one_way(path in "/?[fF]ace/v1[.][23](-preview[.]1)?/(detectLiveness(WithVerify)?)?(-sessions|/singleModal/sessions|sessionImages)(/[ -~]{0,20}){0,3}") {
            if let Ok(resource) = Resource::parse(&path) {
                let written = resource.to_string();
                let whole = format!("/{}", path.trim_start_matches('/'));
                prop_assert!(written.eq_ignore_ascii_case(&whole));
                prop_assert_eq!(Resource::parse(&written), Ok(resource));
            }
        }
    }

    const ID: &str = "b12e033e-bda7-4b83-a211-e721c661f30e";

    #[test]
    fn every_path_that_azure_has_is_read_and_written_alike() {
        for path in [
            "/face/v1.1-preview.1/detectLiveness/singleModal/sessions",
            "/face/v1.2-preview.1/detectLivenessWithVerify/singleModal/sessions",
            "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/b12e033e",
            "/face/v1.1-preview.1/detectLivenessWithVerify/singleModal/sessions/b12e033e/audit",
            "/face/v1.2-preview.1/session/sessionImages/Ae3P_-4I",
            "/face/v1.2/detectLiveness-sessions",
            "/face/v1.3-preview.1/detectLivenessWithVerify-sessions/b12e033e",
            "/face/v1.2/sessionImages/Ae3P_-4I",
        ] {
            let resource = Resource::parse(path).unwrap();
            assert_eq!(resource.to_string(), path);
            assert_eq!(Resource::parse(&path.to_lowercase()).unwrap().version, resource.version);
        }
    }

    #[test]
    fn case_is_mended_but_the_id_is_kept() {
        let read = Resource::parse("/FACE/V1.2/detectlivenesswithverify-SESSIONS/AbC").unwrap();
        assert_eq!(read.to_string(), "/face/v1.2/detectLivenessWithVerify-sessions/AbC");
    }

    #[test]
    fn an_id_that_cannot_be_one_is_told_apart_from_an_unknown_path() {
        let long = "a".repeat(65);
        for id in ["", ".", "..", "a%20b%2Fc", "a b", "é", "a;b", "a\0", long.as_str()] {
            let path = format!("/face/v1.2/detectLiveness-sessions/{id}");
            assert_eq!(
                Resource::parse(&path),
                Err(NoSuchResource::MalformedId(SESSION_ID_RULE)),
                "{id}"
            );
        }
    }

    #[test]
    fn what_azure_does_not_have_is_unknown() {
        for path in [
            "",
            "/",
            "*",
            "//face/v1.2/detectLiveness-sessions",
            "/face",
            "/face/",
            "/face/v9/detectLiveness-sessions",
            "/face/v1.2/detectLiveness-sessions/a/b",
            "/face/v1.2/../v1.2/detectLiveness-sessions",
            "/face/v1.2/detect",
            "/face/v1.1-preview.1/session/sessionImages/abc",
            "/face/v1.2//detectLiveness-sessions/a",
            "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/a/audit/",
            "/face/v1.2-preview.1/detectLiveness/singleModal/sessions/a/audit/b/c/d/e",
        ] {
            assert!(matches!(Resource::parse(path), Err(NoSuchResource::Unknown(_))), "{path}");
        }
    }

    #[test]
    fn the_paths_that_people_get_wrong_have_a_hint() {
        for (path, hint) in [
            (format!("/face/v1.2/livenessSessions/{ID}/result"), HINT_TUTORIAL),
            (format!("/face/v1.2/detectLiveness/singleModal/sessions/{ID}"), HINT_GA_NAMES),
            (format!("/face/v1.2-preview.1/detectLiveness-sessions/{ID}"), HINT_PREVIEW_NAMES),
            ("/face/v1.2/session/start".to_owned(), HINT_DEVICE),
            ("/face/v1.2/detectLiveness/singleModal".to_owned(), HINT_DEVICE),
            (format!("/face/v1.0/detectLiveness-sessions/{ID}"), HINT_VERSIONS),
            ("/face/v1.2/session/sessionImages/a".to_owned(), HINT_IMAGES),
        ] {
            assert_eq!(Resource::parse(&path), Err(NoSuchResource::Unknown(Some(hint))), "{path}");
        }
    }
}
