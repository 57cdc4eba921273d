//! From what is written to what is true: the sections of the file, one function each.

mod app;
mod credential;
mod listen;
mod traces;
mod upstream;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use toml::de::DeTable;

use super::files::Files;
use super::reader::{Source, Table, Value};
use super::{Access, Cache, Config, Loaded, Mistake, Mistakes, Server};

const DEFAULT_ADMIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);
const ADDRESS_RULE: &str =
    "must be an IP address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\"";
const NAME_RULE: &str = "must be 1 to 32 of a-z, 0-9, '-' and '_', since it is a label of metrics";

/// Reads and checks everything; see [`super::load`].
pub(super) fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let files = Files::new(path);
    // The folder is the file's own, so its name is all that is needed.
    let content = files.read(path.file_name().unwrap_or_default());
    let text = content.and_then(|content| {
        std::str::from_utf8(&content)
            .map(str::to_owned)
            .map_err(|_| "this file is not UTF-8".to_owned())
    });
    let (config, keyless) = match &text {
        Ok(text) => checked(path, text, environment, &files),
        Err(told) => (Err(Mistakes(vec![Mistake::at(path, "", 0..0, told)])), Vec::new()),
    };
    Loaded { config, keyless, watched: files.into_watched() }
}

fn checked(
    path: &Path,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    files: &Files,
) -> (Result<Config, Mistakes>, Vec<Mistake>) {
    let (mistakes, keyless) = (RefCell::default(), RefCell::default());
    let source = Source { file: path, text, environment, mistakes, keyless };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        source.report(error.span().unwrap_or(0..0), error.message());
    }
    // What follows from broken syntax would only hide the mistake itself.
    let readable = source.mistakes.borrow().is_empty();
    let root = Table::new(&source, document.get_ref(), 0..0);
    let config = if readable { document_of(&root, path, files) } else { None };
    let mut mistakes = source.mistakes.into_inner();
    mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    let config = config.filter(|_| mistakes.is_empty()).ok_or(Mistakes(mistakes));
    (config, source.keyless.into_inner())
}

fn document_of(root: &Table<'_>, path: &Path, files: &Files) -> Option<Config> {
    let listeners = listen::listeners(root, files);
    let server = root.get("server").and_then(|value| value.table());
    let server = server.map_or_else(Server::default, server_of);
    let admin = root
        .get("admin")
        .and_then(|value| value.table())
        .and_then(admin_of)
        .unwrap_or(DEFAULT_ADMIN);
    let upstreams = upstream::upstreams(root, files);
    let names: Vec<_> = upstreams
        .iter()
        .map(|upstream| upstream.as_ref().map(|upstream| upstream.name.as_str()))
        .collect();
    let mut warnings = Vec::new();
    let apps = app::apps(root, &names, &mut warnings);
    let cache = root.get("cache").and_then(|value| value.table());
    let cache = cache.map_or_else(Cache::default, cache_of);
    let access = root.get("access").and_then(|value| value.table());
    let access = access.map_or_else(|| Some(Access::default()), access_of);
    let traces = traces::traces(root);
    root.check_known();
    let whole = |(listener, tls)| Some(super::Listener { address: listener?, tls });
    let listeners = listeners.into_iter().map(whole).collect::<Option<Vec<_>>>()?;
    let upstreams = upstreams.into_iter().collect::<Option<Vec<_>>>()?;
    let apps = apps.into_iter().collect::<Option<Vec<_>>>()?;
    let path = path.to_owned();
    let (access, traces) = (access?, traces?);
    Some(Config {
        listeners,
        server,
        admin,
        upstreams,
        apps,
        cache,
        access,
        traces,
        path,
        warnings,
    })
}

impl Default for Server {
    fn default() -> Self {
        Self {
            workers: 0,
            drain_timeout: Duration::from_secs(25),
            header_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(30),
            max_header_bytes: 32 << 10,
            max_headers: 100,
            max_body: 8 << 20,
            max_connections: 10_000,
            max_requests: 10_000,
            max_streams: 100,
            stream_timeout: Duration::from_secs(60),
        }
    }
}

fn server_of(table: Table<'_>) -> Server {
    let usual = Server::default();
    let number = |key, bounds: RangeInclusive<u64>, usual: usize| {
        let number = table.get(key).and_then(|value| value.integer(bounds));
        number.and_then(|number| usize::try_from(number).ok()).unwrap_or(usual)
    };
    let server = Server {
        workers: number("workers", 0..=1024, usual.workers),
        drain_timeout: time(&table, "drain_timeout", 0..=3600, usual.drain_timeout),
        header_timeout: time(&table, "header_timeout", 1..=600, usual.header_timeout),
        send_timeout: time(&table, "send_timeout", 1..=600, usual.send_timeout),
        max_header_bytes: size(
            &table,
            "max_header_bytes",
            8 << 10..=1 << 20,
            usual.max_header_bytes as u64,
        ) as usize,
        max_headers: number("max_headers", 10..=1000, usual.max_headers),
        max_body: size(&table, "max_body", 1 << 10..=1 << 30, usual.max_body),
        max_connections: number("max_connections", 1..=1_000_000, usual.max_connections),
        max_requests: number("max_requests", 1..=1_000_000, usual.max_requests),
        max_streams: number("max_streams", 1..=10_000, usual.max_streams as usize) as u32,
        stream_timeout: time(&table, "stream_timeout", 1..=3600, usual.stream_timeout),
    };
    table.close();
    server
}

fn admin_of(table: Table<'_>) -> Option<SocketAddr> {
    let address =
        table.get("listen").and_then(|value| value.parsed(ADDRESS_RULE, |text| text.parse().ok()));
    table.close();
    address
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            ttl: Duration::from_secs(3600),
            failed_ttl: Duration::from_secs(30),
            running_ttl: Duration::from_millis(250),
        }
    }
}

fn cache_of(table: Table<'_>) -> Cache {
    let usual = Cache::default();
    let cache = Cache {
        max_bytes: size(&table, "max_bytes", 0..=1 << 40, usual.max_bytes),
        // Azure deletes a session's data 48 hours after its creation.
        ttl: time(&table, "ttl", 0..=48 * 3600, usual.ttl),
        failed_ttl: time(&table, "failed_ttl", 0..=48 * 3600, usual.failed_ttl),
        running_ttl: time(&table, "running_ttl", 0..=60, usual.running_ttl),
    };
    table.close();
    cache
}

impl Default for Access {
    fn default() -> Self {
        Self { rotate: Some(Duration::from_secs(24 * 3600)) }
    }
}

fn access_of(table: Table<'_>) -> Option<Access> {
    let usual = Access::default().rotate.unwrap_or_default();
    let rotate = time(&table, "rotate", 60..=31 * 24 * 3600, usual);
    let hashed = [("hashed", true), ("raw", false)];
    let hashed = table.get("session").map_or(Some(true), |value| value.word(&hashed));
    table.close();
    hashed.map(|hashed| Access { rotate: hashed.then_some(rotate) })
}

fn time(
    table: &Table<'_>,
    key: &'static str,
    seconds: RangeInclusive<u64>,
    usual: Duration,
) -> Duration {
    // A lower bound of zero seconds allows zero; any other allows milliseconds too.
    let least = if *seconds.start() == 0 { Duration::ZERO } else { Duration::from_millis(1) };
    let bounds = least..=Duration::from_secs(*seconds.end());
    table.get(key).and_then(|value| value.duration(bounds)).unwrap_or(usual)
}

fn size(table: &Table<'_>, key: &'static str, bounds: RangeInclusive<u64>, usual: u64) -> u64 {
    table.get(key).and_then(|value| value.size(bounds)).unwrap_or(usual)
}

/// Whether this is good for a metric's label: see [`NAME_RULE`].
pub(super) fn is_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=32).contains(&name.len()) && name.bytes().all(fits)
}

/// A name that is good for a metric's label and stands only once.
fn name(value: &Value<'_>, taken: &mut Vec<String>) -> Option<String> {
    let name = value.parsed(NAME_RULE, |text| is_name(text).then(|| text.to_owned()))?;
    if taken.contains(&name) {
        return value.wrong("stands twice");
    }
    taken.push(name.clone());
    Some(name)
}

#[cfg(test)]
mod tests;
