//! `livegate emulate`.

use std::net::SocketAddr;
use std::path::Path;

use super::{Failure, log, runtime, say, stop_signals, told_to_stop};
use crate::emulator::{Emulator, Options, Script};

pub(super) fn emulate(
    listen: SocketAddr,
    keys: Vec<String>,
    script: Option<&Path>,
) -> Result<(), Failure> {
    let script = script.map(read).transpose()?;
    let _log = log::start("info");
    let made = keys.is_empty();
    runtime(0)?.block_on(async {
        let signals = stop_signals()?;
        let emulator =
            Emulator::bind(Options { listen, keys, script }).map_err(|error| {
                match error.kind() {
                    std::io::ErrorKind::InvalidInput => Failure::Wrong(error.to_string()),
                    _ => Failure::Failed(format!("cannot listen at {listen}: {error}")),
                }
            })?;
        say(format_args!("Azure's liveness API is emulated at http://{}", emulator.address()));
        if made {
            for key in emulator.keys() {
                say(format_args!("key: {key}"));
            }
        }
        emulator.run(told_to_stop(signals, 1)).await.map_err(Failure::failed)
    })
}

fn read(path: &Path) -> Result<Script, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Wrong(format!("{}: {error}", path.display())))?;
    Script::parse(&text).map_err(|error| Failure::Wrong(format!("{}: {error}", path.display())))
}
