//! `[[listen]]`: the addresses that apps are heard at, with or without TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use super::super::Tls;
use super::super::files::Files;
use super::super::reader::{Table, Value};
use super::super::tls::{self, ClientAuth};
use super::ADDRESS_RULE;

/// All listeners; an address that is wrong is `None`, so that what follows is still checked.
pub(super) fn listeners(root: &Table<'_>, files: &Files) -> Vec<(Option<SocketAddr>, Option<Tls>)> {
    let tables = root.tables("listen");
    if tables.is_empty() {
        root.source.report(0..0, "no [[listen]]: the gateway needs at least one address");
    }
    let mut taken = Vec::new();
    tables.into_iter().map(|table| listener(table, files, &mut taken)).collect()
}

fn listener(
    table: Table<'_>,
    files: &Files,
    taken: &mut Vec<SocketAddr>,
) -> (Option<SocketAddr>, Option<Tls>) {
    let address = table.require("address").and_then(|value| {
        let address: SocketAddr = value.parsed(ADDRESS_RULE, |text| text.parse().ok())?;
        if address.port() != 0 && taken.contains(&address) {
            return value.wrong("stands twice");
        }
        taken.push(address);
        Some(address)
    });
    let tls =
        table.get("tls").and_then(|value| value.table()).and_then(|table| server(table, files));
    table.close();
    (address, tls)
}

fn server(table: Table<'_>, files: &Files) -> Option<Tls> {
    let read = |value: &Value<'_>| {
        let content = files.read(&value.text()?);
        content.map_err(|error| value.source.report(value.span(), error)).ok()
    };
    let cert = table.require("cert").and_then(|value| Some((read(&value)?, value)));
    let key = table.require("key").and_then(|value| read(&value));
    let client_ca = table.get("client_ca").map(|value| read(&value));
    let required = table.get("client_auth").and_then(|value| {
        value.word(&[("required", ClientAuth::Required), ("optional", ClientAuth::Optional)])
    });
    table.close();
    let (cert, written) = cert?;
    let client = match &client_ca {
        None => None,
        Some(roots) => Some((roots.as_ref()?.as_slice(), required.unwrap_or(ClientAuth::Required))),
    };
    match tls::server(&cert, &key?, client) {
        Ok(config) => Some(Tls {
            config: Arc::new(config),
            ends: tls::ends(&cert),
            client_ca_ends: client.and_then(|(roots, _)| tls::ends(roots)),
        }),
        Err(error) => {
            written.source.report(written.span(), error);
            None
        }
    }
}
