//! `[[upstreams]]`: the Face resources, their keys and the limits of talking to them.

use http::Uri;
use http::uri::{Authority, Scheme};

use super::super::files::Files;
use super::super::reader::{Table, Value};
use super::super::{Credential, Upstream, tls};
use super::credential::credential;
use super::{name, size, time};

const ENDPOINT_RULE: &str = "must be the resource's address without a path, as in \"https://NAME.cognitiveservices.azure.com\"; http:// is allowed for loopback only";
const TIER_RULE: &str =
    "must be \"S0\", \"F0\", \"unlimited\" or a table such as { per_second = 50 }";

const REGIONAL: &str = "'entra' needs the resource's own name as endpoint, as in \"https://NAME.cognitiveservices.azure.com\": Azure's regional addresses take no tokens";

/// All upstreams; one that is wrong is `None`, so that what follows is still checked.
pub(super) fn upstreams(root: &Table<'_>, files: &Files) -> Vec<Option<Upstream>> {
    let tables = root.tables("upstreams");
    if tables.is_empty() {
        root.source.report(0..0, "no [[upstreams]]: the gateway needs at least one Face resource");
    }
    let mut taken = Vec::new();
    tables.into_iter().map(|table| upstream(table, files, &mut taken)).collect()
}

fn upstream(table: Table<'_>, files: &Files, taken: &mut Vec<String>) -> Option<Upstream> {
    let (source, span) = (table.source, table.span.clone());
    let seconds = std::time::Duration::from_secs;
    let name = table.require("name").and_then(|value| name(&value, taken));
    let endpoint =
        table.require("endpoint").and_then(|value| value.parsed(ENDPOINT_RULE, endpoint));
    let tier = table.get("tier").map_or(Some(Some(10.0)), |value| tier(&value));
    let poll_share = table.get("poll_share").and_then(|value| value.share()).unwrap_or(0.5);
    let roots = table.get("ca_file").map_or(Some(Vec::new()), |value| roots(&value, files));
    let credential = credential(&table, files);
    let probe = time(&table, "probe", 0..=86_400, seconds(60));
    let connect_timeout = time(&table, "connect_timeout", 1..=60, seconds(5));
    let timeout = time(&table, "timeout", 1..=600, seconds(30));
    let idle_timeout = time(&table, "idle_timeout", 1..=600, seconds(50));
    let max_answer = size(&table, "max_answer", 1 << 10..=1 << 30, 16 << 20);
    let http2 = table.get("http2").and_then(|value| value.boolean()).unwrap_or(true);
    table.close();
    let (scheme, authority) = endpoint?;
    if matches!(credential, Some(Credential::Entra(_))) && is_regional(authority.host()) {
        source.report(span, REGIONAL);
        return None;
    }
    let (name, tier, roots, credential) = (name?, tier?, roots?, credential?);
    Some(Upstream {
        name,
        scheme,
        authority,
        tier,
        poll_share,
        roots,
        credential,
        probe,
        connect_timeout,
        timeout,
        idle_timeout,
        max_answer,
        http2,
    })
}

fn endpoint(text: &str) -> Option<(Scheme, Authority)> {
    let uri: Uri = text.parse().ok()?;
    let (scheme, authority) = (uri.scheme()?.clone(), uri.authority()?.clone());
    let bare = matches!(uri.path(), "" | "/")
        && uri.query().is_none()
        && !authority.as_str().contains('@');
    let port = authority.port_u16().is_some_and(|port| port > 0);
    let reachable =
        !authority.host().is_empty() && (port || authority.as_str() == authority.host());
    let secure =
        scheme == Scheme::HTTPS || (scheme == Scheme::HTTP && is_loopback(authority.host()));
    (bare && reachable && secure).then_some((scheme, authority))
}

/// The addresses that all resources of a region share: they take keys only (Face SDK's README on Entra).
fn is_regional(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    [".api.cognitive.microsoft.com", ".api.cognitive.microsoft.us", ".api.cognitive.azure.cn"]
        .iter()
        .any(|shared| host.ends_with(shared))
}

pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Calls a second. F0 allows 20 a minute, S0 10 a second (limits page of the Face service).
fn tier(value: &Value<'_>) -> Option<Option<f64>> {
    if value.is_table() {
        let table = value.table()?;
        let rate = table.require("per_second").and_then(|value| value.integer(1..=100_000));
        table.close();
        return rate.map(|rate| Some(rate as f64));
    }
    value.parsed(TIER_RULE, |text| match text {
        "S0" => Some(Some(10.0)),
        "F0" => Some(Some(20.0 / 60.0)),
        "unlimited" => Some(None),
        _ => None,
    })
}

fn roots(
    value: &Value<'_>,
    files: &Files,
) -> Option<Vec<rustls_pki_types::CertificateDer<'static>>> {
    let path = value.text()?;
    match files.read(&path).and_then(|pem| tls::certificates(&pem)) {
        Ok(roots) => Some(roots),
        Err(error) => {
            value.source.report(value.span(), error);
            None
        }
    }
}
