//! What a script says, and what the control API takes: the same words for both.

use std::fmt::{self, Display, Formatter};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::clock::Moment;
use super::fault::FaultSpec;
use super::limits::LimitSpec;
use super::plan::Plan;
use super::session::{DEFAULT_TOKEN_SECONDS, Session};
use super::world::{ErrorForms, World};
use crate::liveness::{Operation, SessionId};

/// What an emulator is to be when it starts. See [the module](super) for what a script may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    #[serde(deserialize_with = "keys")]
    pub(super) keys: Vec<String>,
    default_plan: Option<Plan>,
    sessions: Vec<SessionSpec>,
    faults: Vec<FaultSpec>,
    limits: LimitSpec,
    errors: ErrorForms,
}

/// Why a script is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The line it was found on, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// A session put straight in place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionSpec {
    #[serde(deserialize_with = "session_id")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) operation: OperationName,
    #[serde(default)]
    created_seconds_ago: i64,
    #[serde(default = "default_token_seconds")]
    token_seconds: i64,
    device_correlation_id: Option<String>,
    #[serde(default)]
    session_image: bool,
    verify_image_hash: Option<String>,
    model_version: Option<String>,
    expected_client_ip: Option<String>,
    plan: Option<Plan>,
    #[serde(flatten_is_not_used)]
    change: SessionChange,
}

/// Which of the twins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OperationName {
    #[default]
    Liveness,
    LivenessWithVerify,
}
