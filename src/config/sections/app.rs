//! `[[apps]]`: who may call, with which token, and what.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use super::super::App;
use super::super::reader::{Table, Value};
use super::name;
use crate::liveness::Route;
use crate::liveness::verdict::Mode;

const TOKEN_RULE: &str =
    "must be the SHA-256 of an app's token, in 64 hex digits; `livegate token NAME` makes one";
/// What stands in `config/livegate.toml`.
const NOBODYS: &str = "5a86b53aa1de6cdf368707cd9c709eaf91b0251a91b4daeeded6b76601928c28";
const MODES: [(&str, Mode); 4] = [
    ("off", Mode::Off),
    ("observe", Mode::Observe),
    ("enforce", Mode::Enforce),
    ("require", Mode::Require),
];
const ROUTES: [(&str, Route); 6] = [
    ("session", Route::Session),
    ("audit", Route::Audit),
    ("create", Route::Create),
    ("delete", Route::Delete),
    ("list", Route::List),
    ("image", Route::Image),
];

/// All apps; one that is wrong is `None`. `upstreams` are the names that they may refer to.
pub(super) fn apps(
    root: &Table<'_>,
    upstreams: &[Option<&str>],
    warnings: &mut Vec<String>,
) -> Vec<Option<App>> {
    let tables = root.tables("apps");
    if tables.is_empty() {
        root.source.report(0..0, "no [[apps]]: nobody could call");
    }
    let (mut names, mut tokens) = (Vec::new(), Vec::new());
    tables
        .into_iter()
        .map(|table| app(table, upstreams, &mut names, &mut tokens, warnings))
        .collect()
}

fn app(
    table: Table<'_>,
    upstreams: &[Option<&str>],
    names: &mut Vec<String>,
    taken: &mut Vec<[u8; 32]>,
    warnings: &mut Vec<String>,
) -> Option<App> {
    let name = table.require("name").and_then(|value| name(&value, names));
    let tokens = table.require("token_sha256").and_then(|value| tokens(&value, taken));
    let upstream = table.require("upstream").and_then(|value| {
        let wanted = value.text()?;
        let found = upstreams.iter().position(|name| *name == Some(wanted.as_str()));
        // Where an upstream's own name is wrong, that mistake is told there.
        let all_known = upstreams.iter().all(Option::is_some);
        found.or_else(|| if all_known { value.wrong("names no [[upstreams]]") } else { None })
    });
    let routes = table.get("routes").map_or_else(
        || Some(HashSet::from([Route::Session, Route::Audit])),
        |value| routes(&value),
    );
    let allow_no_cache = table.get("allow_no_cache").and_then(|value| value.boolean());
    let allow_no_cache = allow_no_cache.unwrap_or(true);
    let digest =
        table.get("digest").map_or_else(|| Some(Mode::default()), |value| value.word(&MODES));
    let enrich = table.get("enrich").and_then(|value| value.boolean()).unwrap_or(true);
    let most = |key| table.get(key).and_then(|value| value.integer(1..=1_000_000));
    let max_requests = most("max_requests").and_then(|most| usize::try_from(most).ok());
    let per_second = most("per_second").map(|rate| rate as f64);
    table.close();
    let (name, tokens, upstream, routes) = (name?, tokens?, upstream?, routes?);
    if tokens.iter().any(|token| const_hex::encode(token) == NOBODYS) {
        warnings.push(format!("nobody can call as '{name}': its token_sha256 is the sample's"));
    }
    let digest = digest?;
    Some(App {
        name,
        tokens,
        upstream,
        routes,
        allow_no_cache,
        digest,
        enrich,
        max_requests,
        per_second,
    })
}

fn tokens(value: &Value<'_>, taken: &mut Vec<[u8; 32]>) -> Option<Vec<[u8; 32]>> {
    let items = value.items();
    if !(1..=2).contains(&items.len()) {
        return value.wrong("must hold one hash, or two while a token changes over");
    }
    let token = |item: &Value<'_>| {
        let hash =
            item.parsed(TOKEN_RULE, |text| const_hex::decode_to_array::<_, 32>(text).ok())?;
        if hash == <[u8; 32]>::from(Sha256::digest("")) {
            return item.wrong("is the hash of nothing: everybody has that token");
        }
        if taken.contains(&hash) {
            return item.wrong("stands twice: a token belongs to one app");
        }
        taken.push(hash);
        Some(hash)
    };
    items.iter().map(token).collect::<Vec<_>>().into_iter().collect()
}

fn routes(value: &Value<'_>) -> Option<HashSet<Route>> {
    value.items().iter().map(|item| item.word(&ROUTES)).collect::<Vec<_>>().into_iter().collect()
}
