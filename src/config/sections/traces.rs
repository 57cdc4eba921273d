//! `[traces]`: where spans are sent.

use http::Uri;

use super::super::Traces;
use super::super::reader::Table;

const ENDPOINT_RULE: &str = "must be the collector's whole address for OTLP over HTTP, as in \"http://127.0.0.1:4318/v1/traces\"";

/// Where spans are sent; nowhere if there is no such section.
pub(super) fn traces(root: &Table<'_>) -> Option<Option<Traces>> {
    let Some(table) = root.get("traces") else {
        return Some(None);
    };
    let table = table.table()?;
    let endpoint =
        table.require("endpoint").and_then(|value| value.parsed(ENDPOINT_RULE, endpoint));
    let sample = table.get("sample").map_or(Some(1.0), |value| value.share());
    table.close();
    Some(Some(Traces { endpoint: endpoint?, sample: sample? }))
}

fn endpoint(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let known = matches!(uri.scheme_str()?, "http" | "https");
    let bare = uri.query().is_none() && !uri.authority()?.as_str().contains('@');
    // Without a path everything would be refused, and nobody would know why.
    (known && bare && uri.path().len() > 1).then_some(uri)
}
