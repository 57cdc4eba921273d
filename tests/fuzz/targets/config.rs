//! Reads whatever comes as a configuration: it is taken, or every mistake has its place in it.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use livegate::config;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    std::env::temp_dir().join(format!("livegate-fuzz-{}.toml", std::process::id()))
});

fuzz_target!(|text: &[u8]| {
    // What is named by it is read: only plain files of one's own.
    if text.windows(5).any(|part| part == b"/dev/" || part == b"/proc") {
        return;
    }
    fs::write(&*FILE, text).expect("written");
    match config::load(&FILE).config {
        Ok(config) => {
            assert!(!config.listeners.is_empty() && !config.apps.is_empty());
            for app in &config.apps {
                assert!(app.upstream < config.upstreams.len() && !app.tokens.is_empty());
                assert!(config::is_name(&app.name));
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty(), "refused without a reason");
            mistakes.0.iter().for_each(|mistake| drop(mistake.to_string()));
        }
    }
});
