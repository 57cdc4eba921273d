//! Fetches one token: from Entra with what an application has to show, or from the machine.
//!
//! The exchanges are those of Azure's own SDKs (`azure_identity` 1.0.0): OAuth's client credentials (RFC 6749 §4.4, with an assertion
//! RFC 7523 §2.2), the metadata service of virtual machines, and the endpoint that App Service and Container Apps give their apps.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::client::legacy::Client;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::super::connect::{self, Connector};
use crate::body::Body;
use crate::config::{Entra, Identity, Upstream};
use crate::secret::Secret;

/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest answer that is taken, in bytes.
const LONGEST: usize = 64 << 10;

/// Longest life that is believed. Entra's tokens live up to 28 hours.
const LONGEST_LIFE: Duration = Duration::from_secs(48 * 3600);

/// The metadata service of a virtual machine.
const MACHINE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// What says that an assertion is a token in RFC 7523's sense.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Fetches tokens for one resource.
#[derive(Debug)]
pub(super) struct Fetcher {
    entra: Entra,
    client: Client<Connector, Body>,
}

/// A token, and how long it lives.
pub(super) struct Fetched {
    pub(super) token: Secret,
    pub(super) life: Duration,
}

#[derive(Deserialize)]
struct Answer<'a> {
    /// Borrowed, so that no copy is left behind.
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(default, deserialize_with = "number")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    expires_on: Option<u64>,
}

/// RFC 6749 §5.2.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Fetcher {
    pub(super) fn new(upstream: &Upstream, entra: &Entra) -> Result<Self, String> {
        let secure = match &entra.identity {
            Identity::Client { authority, .. } => authority.scheme_str() == Some("https"),
            Identity::Managed { endpoint, .. } => {
                endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme_str() == Some("https"))
            }
        };
        let client = connect::client(connect::connector(upstream, secure)?, upstream.idle_timeout);
        Ok(Self { entra: entra.clone(), client })
    }

    /// Fetches one.
    ///
    /// # Errors
    /// A sentence that holds no secret.
    pub(super) async fn fetch(&self) -> Result<Fetched, String> {
        let request = self.request().await?;
        let limit = format!("no answer in {} s", PATIENCE.as_secs());
        timeout(PATIENCE, self.exchange(request)).await.map_err(|_| limit)?
    }

    async fn request(&self) -> Result<Request<Body>, String> {
        match &self.entra.identity {
            Identity::Client { authority, tenant, client, proof, federated } => {
                let (place, token) = (proof.clone(), *federated);
                let read = tokio::task::spawn_blocking(move || place.read(token)).await;
                let proof = read.map_err(|error| error.to_string())??;
                let form = self.form(client, &proof, *federated);
                post(authority, tenant, form)
            }
            Identity::Managed { client, endpoint } => {
                let here = environment().filter(|_| endpoint.is_none());
                let (endpoint, version, header) = match (endpoint, here) {
                    (None, Some((endpoint, header))) => (endpoint, "2019-08-01", header),
                    (Some(endpoint), _) => (endpoint.clone(), "2018-02-01", machine()),
                    (None, None) => (Uri::from_static(MACHINE), "2018-02-01", machine()),
                };
                let resource = self.entra.scope.trim_end_matches("/.default");
                get(&endpoint, version, resource, client.as_deref(), header)
            }
        }
    }

    fn form(&self, client: &str, proof: &Secret, federated: bool) -> Bytes {
        // A buffer that grows leaves parts of what it held behind. Three bytes are the most that one byte of a value takes.
        let room = 3 * (client.len() + self.entra.scope.len() + proof.reveal().len()) + 256;
        let mut form = Serializer::new(String::with_capacity(room));
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client)
            .append_pair("scope", &self.entra.scope);
        if federated {
            form.append_pair("client_assertion_type", ASSERTION_TYPE)
                .append_pair("client_assertion", proof.reveal());
        } else {
            form.append_pair("client_secret", proof.reveal());
        }
        Bytes::from_owner(Zeroizing::new(form.finish().into_bytes()))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Fetched, String> {
        let answer = self.client.request(request).await.map_err(|error| bottom(&error))?;
        let status = answer.status();
        let content = Limited::new(answer.into_body(), LONGEST).collect().await;
        let content = content.map_err(|_| "the answer broke off or is too long".to_owned())?;
        let content = content.to_bytes();
        if !status.is_success() {
            return Err(format!("{status}{}", refusal(&content)));
        }
        read(&content, Timestamp::now().as_second())
    }
}

fn read(content: &[u8], now: i64) -> Result<Fetched, String> {
    let answer: Answer<'_> =
        serde_json::from_slice(content).map_err(|_| "the answer holds no token".to_owned())?;
    let token = Secret::token(&answer.access_token)?;
    let until = |at: u64| at.saturating_sub(u64::try_from(now).unwrap_or_default());
    let life = answer.expires_in.or_else(|| answer.expires_on.map(until));
    let life = Duration::from_secs(life.unwrap_or_default()).min(LONGEST_LIFE);
    if life.is_zero() {
        return Err("the answer does not say how long the token lives".to_owned());
    }
    Ok(Fetched { token, life })
}

/// Microsoft writes numbers as text in some of these answers.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Number>::deserialize(from)? {
        None => None,
        Some(Number::Number(number)) => Some(number),
        Some(Number::Text(text)) if text.is_empty() => None,
        Some(Number::Text(text)) => Some(text.parse().map_err(de::Error::custom)?),
    })
}

fn post(authority: &Uri, tenant: &str, form: Bytes) -> Result<Request<Body>, String> {
    let uri = with_path(authority, &format!("/{tenant}/oauth2/v2.0/token"))?;
    let mut request = Request::post(uri).body(Body::Whole(form)).map_err(|e| e.to_string())?;
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, kind);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

fn get(
    endpoint: &Uri,
    version: &str,
    resource: &str,
    client: Option<&str>,
    (name, value): (HeaderName, HeaderValue),
) -> Result<Request<Body>, String> {
    let mut query = Serializer::new(String::new());
    query.append_pair("api-version", version).append_pair("resource", resource);
    query.extend_pairs(client.map(|client| ("client_id", client)));
    let uri = with_path(endpoint, &format!("{}?{}", endpoint.path(), query.finish()))?;
    let mut request = Request::get(uri).body(Body::Empty).map_err(|e| e.to_string())?;
    request.headers_mut().insert(name, value);
    Ok(request)
}

fn with_path(uri: &Uri, path: &str) -> Result<Uri, String> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|e| e.to_string())?);
    Uri::from_parts(parts).map_err(|e| e.to_string())
}

/// What the metadata service wants to see, so that nobody is led there by a redirect.
const fn machine() -> (HeaderName, HeaderValue) {
    (HeaderName::from_static("metadata"), HeaderValue::from_static("true"))
}

/// Where App Service and Container Apps say that their apps find theirs, and what they have to show.
fn environment() -> Option<(Uri, (HeaderName, HeaderValue))> {
    let endpoint = std::env::var("IDENTITY_ENDPOINT").ok()?.parse().ok()?;
    let shown = Secret::parse(&std::env::var("IDENTITY_HEADER").ok()?).ok()?;
    Some((endpoint, (HeaderName::from_static("x-identity-header"), shown.header_value()?)))
}

/// The words of a refusal that can be told: they are codes, and hold nothing of what was shown.
fn refusal(content: &[u8]) -> String {
    let Ok(Refusal { error, error_description }) = serde_json::from_slice(content) else {
        return String::new();
    };
    let word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let error = if error.len() <= 40 && error.bytes().all(word) { error.as_str() } else { "" };
    let code = error_description.split(|c: char| !c.is_ascii_alphanumeric()).next();
    let is_code = |code: &&str| code.len() <= 16 && code.starts_with("AADSTS");
    let words = [Some(error).filter(|error| !error.is_empty()), code.filter(is_code)];
    words.into_iter().flatten().fold(String::new(), |told, word| told + ", " + word)
}

/// What lies at the bottom of an error of the HTTP client.
fn bottom(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(below) = at.source() {
        at = below;
    }
    at.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_life_is_told_in_several_ways() {
        let life = |rest: &str| {
            let read = read(format!("{{\"access_token\":\"t\"{rest}}}").as_bytes(), 1000);
            read.map(|fetched| fetched.life.as_secs()).ok()
        };
        assert_eq!(life(",\"expires_in\":3599"), Some(3599));
        assert_eq!(life(",\"expires_in\":\"3599\",\"expires_on\":\"1\""), Some(3599));
        assert_eq!(life(",\"expires_in\":\"\",\"expires_on\":\"1060\""), Some(60));
        assert_eq!(life(",\"expires_on\":1060"), Some(60));
        assert_eq!(life(",\"expires_in\":99999999999"), Some(172_800));
        for bad in ["", ",\"expires_in\":0", ",\"expires_on\":999", ",\"expires_in\":\"soon\""] {
            assert_eq!(life(bad), None, "{bad}");
        }
        assert!(read(b"{\"access_token\":\"two words\",\"expires_in\":9}", 0).is_err());
        assert!(read(b"<html>", 0).is_err());
    }

    #[test]
    fn of_a_refusal_only_codes_are_told() {
        let told = |error: &str, text: &str| {
            refusal(format!("{{\"error\":{error:?},\"error_description\":{text:?}}}").as_bytes())
        };
        let text = "AADSTS7000215: Invalid client secret provided. SECRET";
        assert_eq!(told("invalid_client", text), ", invalid_client, AADSTS7000215");
        assert_eq!(told("SECRET IS s3cr3t", "s3cr3t AADSTS1"), "");
        assert_eq!(refusal(b"no"), "");
    }
}
