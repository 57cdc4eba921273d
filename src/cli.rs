//! The command line: what can be said to `livegate`, and with which status it ends.
//!
//! 0 is done, 1 failed, 2 wrong usage or configuration.

mod check;
mod demo;
mod emulate;
mod health;
mod keys;
mod log;
mod plain;
mod serve;
mod token;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A gateway in front of Azure AI Face liveness sessions.
#[derive(Debug, Parser)]
#[command(name = "livegate", version, arg_required_else_help = true)]
#[command(after_help = "Example: livegate demo")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    ///
    /// SIGTERM and SIGINT let running requests finish and end it, a second one ends it at once; SIGHUP
    /// loads the configuration again.
    #[command(after_help = "Example: livegate serve --config config/livegate.toml")]
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Read a configuration and every file it names, and tell all mistakes at once.
    #[command(
        after_help = "Example: livegate check --config config/livegate.toml\nEnds with 0 where all is well, else with 2."
    )]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print the mistakes as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run an emulator and a gateway in front of it, with no configuration and no Azure account.
    #[command(
        after_help = "Example: livegate demo\nWith --once it tries each feature, prints what it asked and got, and ends with 0 only if all was right."
    )]
    Demo {
        /// Try each feature once and end.
        #[arg(long)]
        once: bool,
    },
    /// Run an emulator of Azure's liveness API on loopback, for development and tests.
    #[command(
        after_help = "Example: livegate emulate --listen 127.0.0.1:9000 --key my-key\ndocs/EMULATOR.md tells what it can be made to do."
    )]
    Emulate {
        /// The address to listen at; port 0 takes a free one.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
        listen: SocketAddr,
        /// A key that it accepts; up to two. Without any it makes two and prints them.
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        /// A script of sessions, faults and limits to begin with (JSON).
        #[arg(long, value_name = "FILE")]
        script: Option<PathBuf>,
    },
    /// Make a token for an app, print it once, and print the configuration that holds its hash.
    #[command(after_help = "Example: livegate token onboarding")]
    Token {
        /// The app's name.
        name: String,
    },
    /// Tell the keys of a running gateway: which one serves, and for each whether it is safe to regenerate now.
    #[command(
        after_help = "Example: livegate keys --admin http://127.0.0.1:9464\ndocs/KEYS.md tells how keys are rotated."
    )]
    Keys {
        /// The address of its admin port.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
        admin: String,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask a running gateway whether it is ready: 0 if it is, else 1.
    #[command(after_help = "Example: livegate health --admin http://127.0.0.1:9464")]
    Health {
        /// The address of its admin port.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
        admin: String,
    },
}

/// Why a command ended without being done.
#[derive(Debug)]
enum Failure {
    /// It was tried and did not work: status 1.
    Failed(String),
    /// It was asked for wrongly, or the configuration is wrong: status 2.
    Wrong(String),
}

impl Failure {
    fn failed(told: impl Display) -> Self {
        Self::Failed(told.to_string())
    }
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve { config } => serve::serve(&config),
        Command::Check { config, json } => check::check(&config, json),
        Command::Demo { once } => demo::demo(once),
        Command::Emulate { listen, keys, script } => {
            emulate::emulate(listen, keys, script.as_deref())
        }
        Command::Token { name } => token::token(&name),
        Command::Keys { admin, json } => keys::keys(&admin, json),
        Command::Health { admin } => health::health(&admin),
    };
    let (told, status) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(told)) => (told, 1),
        Err(Failure::Wrong(told)) => (told, 2),
    };
    // Where standard error is closed there is nobody to tell.
    drop(writeln!(io::stderr(), "{told}"));
    ExitCode::from(status)
}

/// Prints a line; a reader who left early (`| head`) is no failure.
fn say(line: impl Display) {
    drop(writeln!(io::stdout(), "{line}"));
}

/// A runtime with so many threads; 0 is one for each core.
fn runtime(workers: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build().map_err(Failure::failed)
}

/// How often SIGTERM or SIGINT has come. Listening begins with this call.
fn stop_signals() -> Result<watch::Receiver<u32>, Failure> {
    let listen = |kind| signal(kind).map_err(Failure::failed);
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(counted)
}

/// Resolves when SIGTERM or SIGINT has come so often.
async fn told_to_stop(mut signals: watch::Receiver<u32>, times: u32) {
    drop(signals.wait_for(|count| *count >= times).await);
}
