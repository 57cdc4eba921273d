//! What an answer is kept under: what was asked, never an address that was built from it.

use crate::liveness::resource::Kind;
use crate::liveness::{ApiVersion, Operation, Resource, SessionId};

/// A session of a resource, as it was asked for.
///
/// The version is part of it, and not only its family: v1.2-preview.1 tells hashes that v1.1-preview.1 does not have, and
/// v1.3-preview.1 tells clients' addresses that nobody asked for who asked by v1.2.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The resource's number.
    pub resource: u32,
    /// The api-version.
    pub version: ApiVersion,
    /// With or without verify: their sessions are separate collections.
    pub operation: Operation,
    /// The session, in small letters.
    pub id: SessionId,
}

/// What is asked: the key, and how the id was spelt. Two spellings may name one session or two, so that whatever ends one
/// ends both, and no answer to one is told for the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The key.
    pub key: Key,
    /// The id as it was spelt, where that has capitals.
    pub spelling: Option<SessionId>,
}

/// A session of a resource, by whichever api-version it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The resource's number.
    pub resource: u32,
    /// With or without verify.
    pub operation: Operation,
    /// The session, in small letters.
    pub id: SessionId,
}

impl Question {
    /// What was asked, if that is a session.
    pub fn new(resource: u32, asked: &Resource) -> Option<Self> {
        let Kind::Session(operation, id) = &asked.kind else {
            return None;
        };
        let (id, spelling) = match id.folded() {
            Some(folded) => (folded, Some(id.clone())),
            None => (id.clone(), None),
        };
        let key = Key { resource, version: asked.version, operation: *operation, id };
        Some(Self { key, spelling })
    }
}

impl Key {
    /// The session itself.
    pub fn session(&self) -> SessionKey {
        let Self { resource, operation, .. } = *self;
        SessionKey { resource, operation, id: self.id.clone() }
    }
}

impl SessionKey {
    /// A session's, however its id is spelt.
    pub fn new(resource: u32, operation: Operation, id: &SessionId) -> Self {
        Self { resource, operation, id: id.folded().unwrap_or_else(|| id.clone()) }
    }

    /// Every way to ask for it. Whether a session that was created by one version can be read by another is not documented,
    /// so that what ends it ends it for all.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        let Self { resource, operation, .. } = *self;
        ApiVersion::ALL.into_iter().map(move |version| Key {
            resource,
            version,
            operation,
            id: self.id.clone(),
        })
    }
}
