//! `livegate check`.

use std::path::Path;

use super::{Failure, say};
use crate::config::{self, Mistakes};

pub(super) fn check(path: &Path, json: bool) -> Result<(), Failure> {
    let loaded = config::load(path);
    let (mut mistakes, warnings) = match loaded.config {
        Ok(config) => (Vec::new(), config.warnings),
        Err(mistakes) => (mistakes.0, Vec::new()),
    };
    // A gateway starts without its keys, and waits for them; who asks for a check wants to know.
    mistakes.extend(loaded.keyless);
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    if json {
        let report = serde_json::json!({ "ok": mistakes.is_empty(), "mistakes": mistakes, "warnings": warnings });
        say(format_args!("{report:#}"));
    } else {
        for warning in &warnings {
            say(format_args!("note: {warning}"));
        }
    }
    match mistakes.is_empty() {
        true if json => Ok(()),
        true => {
            say(format_args!("{} is good", path.display()));
            Ok(())
        }
        false if json => Err(Failure::Wrong(format!("{} has mistakes", path.display()))),
        false => Err(Failure::Wrong(Mistakes(mistakes).to_string())),
    }
}
