//! The api-versions of the Face service that have liveness sessions, and the two shapes they come in.

/// An api-version: the second segment of every path, `/face/{apiVersion}/…`. It is never a query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApiVersion {
    /// `v1.1-preview.1`, the first public preview (May 2024).
    V1_1Preview1,
    /// `v1.2-preview.1` adds session images and the hash of the verify image (August 2024).
    V1_2Preview1,
    /// `v1.2`, generally available (January 2025).
    V1_2,
    /// `v1.3-preview.1` adds abuse monitoring and client addresses (August 2025).
    V1_3Preview1,
}

/// The two shapes that paths and bodies come in. A session has another body in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// v1.1-preview.1 and v1.2-preview.1: `/detectLiveness/singleModal/sessions`, with lists and audit lists.
    Preview,
    /// v1.2 and later: `/detectLiveness-sessions`, with `results.attempts[]` in the session instead.
    Ga,
}

impl ApiVersion {
    /// All versions, oldest first.
    pub const ALL: [Self; 4] =
        [Self::V1_1Preview1, Self::V1_2Preview1, Self::V1_2, Self::V1_3Preview1];

    /// As it stands in a path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_1Preview1 => "v1.1-preview.1",
            Self::V1_2Preview1 => "v1.2-preview.1",
            Self::V1_2 => "v1.2",
            Self::V1_3Preview1 => "v1.3-preview.1",
        }
    }

    /// Reads a path segment, without regard to case.
    pub fn from_segment(segment: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str().eq_ignore_ascii_case(segment))
    }

    /// Which shape this version's paths and bodies have.
    pub const fn family(self) -> Family {
        match self {
            Self::V1_1Preview1 | Self::V1_2Preview1 => Family::Preview,
            Self::V1_2 | Self::V1_3Preview1 => Family::Ga,
        }
    }

    /// Whether the version has session images at all: the first preview has not.
    pub const fn has_images(self) -> bool {
        !matches!(self, Self::V1_1Preview1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_back_whatever_its_case() {
        for version in ApiVersion::ALL {
            assert_eq!(ApiVersion::from_segment(version.as_str()), Some(version));
            assert_eq!(ApiVersion::from_segment(&version.as_str().to_uppercase()), Some(version));
        }
        assert_eq!(ApiVersion::from_segment("v1.0"), None);
        assert_eq!(ApiVersion::from_segment(""), None);
    }
}
