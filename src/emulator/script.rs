//! What a script says. The control API takes its sessions and faults in the same words.

use std::fmt::{self, Display, Formatter};

use serde::Deserialize;

use super::fault::FaultSpec;
use super::limits::LimitSpec;
use super::plan::Plan;
use super::sessions::SessionSpec;
use super::world::{ErrorForms, World};

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

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`ScriptError`] where it is not JSON, has a member that no script has, or a value that cannot be.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        serde_json::from_str(text).map_err(|error| ScriptError::of(&error))
    }

    /// Makes it so.
    pub(super) fn apply(self, world: &mut World) {
        world.default_plan = self.default_plan.unwrap_or_default();
        for session in self.sessions {
            session.put(world);
        }
        for fault in self.faults {
            world.faults.add(fault);
        }
        world.limits.set(self.limits);
        world.errors = self.errors;
    }
}

impl ScriptError {
    fn of(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // the position has its own members
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
        Self { line: error.line(), column: error.column(), message: message.to_owned() }
    }
}

impl Display for ScriptError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { line, column, message } = self;
        write!(f, "line {line}, column {column}: {message}")
    }
}

impl std::error::Error for ScriptError {}

/// Whether a value can be a key: what a header can carry, and not nothing.
pub(super) fn is_key(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

fn keys<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let keys = Vec::<String>::deserialize(deserializer)?;
    if keys.len() > 2 {
        return Err(serde::de::Error::custom("a resource has two keys, not more"));
    }
    if keys.iter().all(|key| is_key(key)) {
        return Ok(keys);
    }
    Err(serde::de::Error::custom("a key is one or more visible ASCII characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Script::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        assert_eq!(
            wrong("{\n  \"session\": []\n}"),
            "line 2, column 11: unknown field `session`, expected one of `keys`, `default_plan`, `sessions`, `faults`, `limits`, `errors`"
        );
        assert!(wrong("{\n").starts_with("line 2, column 0: EOF"));
        assert!(wrong(r#"{"keys":["a","b","c"]}"#).ends_with("a resource has two keys, not more"));
        assert!(wrong(r#"{"keys":["a b"]}"#).contains("visible ASCII"));
        assert!(wrong(r#"{"sessions":[{"id":"a b"}]}"#).contains("1 to 64"));
        assert!(wrong(r#"{"limits":{"tier":"S1"}}"#).contains("unknown variant `S1`"));
        assert!(wrong(r#"{"default_plan":{"attempts":[{"decison":"x"}]}}"#).contains("decison"));
    }

    #[test]
    fn the_script_in_the_documentation_is_one() {
        let doc = include_str!("../../docs/EMULATOR.md");
        let (_, script) = doc.split_once("```json\n").unwrap();
        let (script, _) = script.split_once("```").unwrap();
        let script = Script::parse(script).unwrap();
        assert_eq!(script.keys.len(), 2);
        assert!(script.sessions.len() > 1 && script.faults.len() > 1);
    }
}
