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
    /// The session.
    pub id: SessionId,
}

/// A session of a resource, by whichever api-version it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The resource's number.
    pub resource: u32,
    /// With or without verify.
    pub operation: Operation,
    /// The session.
    pub id: SessionId,
}

impl Key {
    /// The key for what was asked, if that is a session.
    pub fn new(resource: u32, asked: &Resource) -> Option<Self> {
        let Kind::Session(operation, id) = &asked.kind else {
            return None;
        };
        Some(Self { resource, version: asked.version, operation: *operation, id: id.clone() })
    }

    /// The session itself.
    pub fn owner(&self) -> Owner {
        let Self { resource, operation, .. } = *self;
        Owner { resource, operation, id: self.id.clone() }
    }
}

impl Owner {
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
