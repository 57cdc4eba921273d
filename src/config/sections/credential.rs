//! `[upstreams.keys]` and `[upstreams.entra]`: what a resource is shown for authority.

use http::Uri;

use super::super::files::Files;
use super::super::reader::{Table, Value, unset};
use super::super::slot::key;
use super::super::{Credential, Entra, Identity, Mistake, Place, Slot};
use super::upstream::is_loopback;

const AUTHORITY_HOST: &str = "https://login.microsoftonline.com";
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
const PLACE_RULE: &str = "must be { file = \"…\" } or { env = \"…\" }";
const AUTHORITY_RULE: &str = "must be an https:// address without a path, as in \"https://login.microsoftonline.com\"; http:// is allowed for loopback only";
const ENDPOINT_RULE: &str =
    "must be an address; http:// is allowed for loopback and link-local addresses only";
const ID_RULE: &str = "must be 1 to 255 of A-Za-z0-9, '-' and '.'";
const ONE_WAY: &str = "there must be exactly one of 'federated_token_file', 'client_secret' and 'managed_identity = true'";
const SCOPE_RULE: &str = "must be a scope, as in \"https://cognitiveservices.azure.com/.default\"";

/// Either the keys or Entra.
pub(super) fn credential(upstream: &Table<'_>, files: &Files) -> Option<Credential> {
    let (keys, entra) = (upstream.get("keys"), upstream.get("entra"));
    let told = match (keys, entra) {
        (Some(keys), None) => return slots(keys.table()?, files).map(Credential::Keys),
        (None, Some(entra)) => return self::entra(entra.table()?, files).map(Credential::Entra),
        (None, None) => "'keys' is missing here; or 'entra', where Entra's tokens are used instead",
        (Some(_), Some(_)) => "there are 'keys' and 'entra': a resource has one of them",
    };
    upstream.source.report(upstream.span.clone(), told);
    None
}

fn slots(table: Table<'_>, files: &Files) -> Option<[Option<Slot>; 2]> {
    let primary = table.require("primary").map(|value| slot(&value, files));
    let secondary = table.get("secondary").map(|value| slot(&value, files));
    table.close();
    let secondary = match secondary {
        Some(slot) => Some(slot?),
        None => None,
    };
    Some([Some(primary??), secondary])
}

/// Where a key comes from must be right; the key itself may be missing for now.
fn slot(value: &Value<'_>, files: &Files) -> Option<Slot> {
    let (place, named) = place(value, files)?;
    let read = match &place {
        Place::File(path) => key(files.read(path)),
        Place::Environment(name) => match (value.source.environment)(name) {
            Some(text) => key(Ok(text.into_bytes().into())),
            None => Err((true, unset(name))),
        },
    };
    let slot = Slot::new(place, named, read);
    let unusable = slot.key.as_ref().err().map(|unusable| unusable.mistake.clone());
    value.source.keyless.borrow_mut().extend(unusable);
    Some(slot)
}

/// Where a secret lies, and where that stands.
fn place(value: &Value<'_>, files: &Files) -> Option<(Place, Mistake)> {
    let table = value.table()?;
    let (file, env) = (table.get("file"), table.get("env"));
    table.close();
    let (place, value) = match (file, env) {
        (Some(file), None) => (Place::File(files.path(file.text()?)), file),
        (None, Some(env)) => (Place::Environment(env.text()?), env),
        _ => return value.wrong(PLACE_RULE),
    };
    Some((place, Mistake::at(value.source.file, value.source.text, value.span(), "")))
}

fn entra(table: Table<'_>, files: &Files) -> Option<Entra> {
    let id = |key| table.get(key).map_or(Some(None), |value| value.parsed(ID_RULE, id).map(Some));
    let (tenant, client) = (id("tenant_id"), id("client_id"));
    let authority = address(&table, "authority_host", AUTHORITY_RULE, authority);
    let endpoint = address(&table, "identity_endpoint", ENDPOINT_RULE, identity_endpoint);
    let scope = table
        .get("scope")
        .map_or_else(|| Some(SCOPE.to_owned()), |value| value.parsed(SCOPE_RULE, scope));
    let federated = table.get("federated_token_file").map(|value| {
        let named = Mistake::at(value.source.file, value.source.text, value.span(), "");
        Some((Place::File(files.path(value.text()?)), named))
    });
    let secret = table.get("client_secret").map(|value| place(&value, files));
    let managed = table.get("managed_identity").map(|value| value.boolean());
    let (source, span) = (table.source, table.span.clone());
    table.close();
    let wrong = |told: &str| {
        source.report(span.clone(), told);
        None
    };
    let (proof, federated) = match (federated, secret, managed) {
        (None, None, Some(managed)) if managed? => {
            let identity = Identity::Managed { client: client?, endpoint: endpoint? };
            return Some(Entra { identity, scope: scope? });
        }
        (Some(file), None, None) => (file?, true),
        (None, Some(secret), None) => (secret?, false),
        _ => return wrong(ONE_WAY),
    };
    let (Some(tenant), Some(client)) = (tenant?, client?) else {
        return wrong("'tenant_id' and 'client_id' are needed here");
    };
    let (proof, named) = proof;
    if let Err(message) = proof.read(federated) {
        source.keyless.borrow_mut().push(Mistake { message, ..named });
    }
    let authority = authority?.unwrap_or_else(|| Uri::from_static(AUTHORITY_HOST));
    Some(Entra {
        identity: Identity::Client { authority, tenant, client, proof, federated },
        scope: scope?,
    })
}

/// An address that may be left out.
fn address(
    table: &Table<'_>,
    key: &'static str,
    rule: &str,
    parse: impl Fn(&str) -> Option<Uri>,
) -> Option<Option<Uri>> {
    table.get(key).map_or(Some(None), |value| value.parsed(rule, parse).map(Some))
}

/// A secret is shown there, so that it must be the right place.
fn authority(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let secure = match uri.scheme_str()? {
        "https" => true,
        "http" => is_loopback(uri.host()?),
        _ => false,
    };
    let bare =
        uri.path() == "/" && uri.query().is_none() && !uri.authority()?.as_str().contains('@');
    (secure && bare).then_some(uri)
}

/// The metadata service of a machine is at a link-local address and speaks plain HTTP.
fn identity_endpoint(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let near = |host: &str| {
        let address = host.parse::<std::net::Ipv4Addr>();
        is_loopback(host) || address.is_ok_and(|address| address.is_link_local())
    };
    let secure = match uri.scheme_str()? {
        "https" => true,
        "http" => near(uri.host()?),
        _ => false,
    };
    (secure && uri.query().is_none()).then_some(uri)
}

/// Part of a path, or of a form.
fn id(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let word = text.len() <= 255 && text.bytes().all(fits) && text.bytes().any(|b| b != b'.');
    word.then(|| text.to_owned())
}

/// Entra's scopes for an application all end so.
fn scope(text: &str) -> Option<String> {
    let resource = text.strip_suffix("/.default")?;
    let fits = text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
    (fits && !resource.is_empty()).then(|| text.to_owned())
}
