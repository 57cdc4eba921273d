//! `livegate check`.

use std::path::Path;

use super::{Failure, say};
use crate::config::{self, Mistakes};

pub(super) fn check(path: &Path, json: bool) -> Result<(), Failure> {
    // A gateway starts without its keys, and waits for them; who asks for a check wants to know.
    let (mistakes, warnings) = match config::load(path).config {
        Ok(config) => (config.key_mistakes(), config.warnings),
        Err(mistakes) => (mistakes.0, Vec::new()),
    };
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
        false if json => {
            Err(Failure::Wrong(format!("{}: {} mistakes", path.display(), mistakes.len())))
        }
        false => Err(Failure::Wrong(Mistakes(mistakes).to_string())),
    }
}
