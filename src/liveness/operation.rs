//! What can be asked of a liveness resource: the two operations, and the routes an app may be granted.

/// Which of Azure's two twins a session belongs to. Their sessions are separate collections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `detectLiveness`: is this a live person?
    Liveness,
    /// `detectLivenessWithVerify`: and is it the person of that picture?
    LivenessWithVerify,
}

impl Operation {
    /// The value of the metric label `operation`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::LivenessWithVerify => "liveness_with_verify",
        }
    }
}

/// What an app can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// GET of one session.
    Session,
    /// GET of one session's audit list.
    Audit,
    /// POST that creates a session.
    Create,
    /// DELETE of one session.
    Delete,
    /// GET of the list of sessions.
    List,
    /// GET of a session image.
    Image,
}

impl Route {
    /// The word for it in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Audit => "audit",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Image => "image",
        }
    }

    /// Whether it reads what is known of one session.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Session | Self::Audit)
    }
}
