//! Entra, as one meets it who wants a token for the resource. What is shown for one is not looked at.

use std::collections::HashMap;

use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::clock::Moment;
use super::failure::{Reply, json_reply};
use super::world::Ask;

/// Tokens that were given out, and whether keys are taken beside them.
#[derive(Debug)]
pub(super) struct Entra {
    pub(super) local_auth: bool,
    token_seconds: i64,
    /// Until when each is good.
    given: HashMap<String, Moment>,
}

/// What the control API can change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntraChange {
    local_auth: Option<bool>,
    token_seconds: Option<i64>,
    #[serde(default)]
    revoke: bool,
}

impl Default for Entra {
    fn default() -> Self {
        Self { local_auth: true, token_seconds: 3599, given: HashMap::new() }
    }
}

/// Whether a path is one of Entra's, or of a machine's metadata service.
pub(super) fn is_entra(path: &str) -> bool {
    path.ends_with("/oauth2/v2.0/token") || path == "/metadata/identity/oauth2/token"
}

impl Entra {
    pub(super) fn change(&mut self, change: &EntraChange) {
        self.local_auth = change.local_auth.unwrap_or(self.local_auth);
        self.token_seconds = change.token_seconds.unwrap_or(self.token_seconds);
        if change.revoke {
            self.given.clear();
        }
    }

    /// Gives out a token, to an application that shows something or to one that asks as machines do.
    pub(super) fn answer(&mut self, ask: &Ask, now: Moment) -> Reply {
        let machine = ask.path.starts_with("/metadata/");
        let form = form_urlencoded::parse(&ask.body).collect::<HashMap<_, _>>();
        let shown =
            ["client_secret", "client_assertion"].iter().any(|name| form.contains_key(*name));
        let right = if machine {
            ask.method == Method::GET && ask.headers.get("metadata").is_some_and(|it| it == "true")
        } else {
            let grant = form.get("grant_type").is_some_and(|grant| grant == "client_credentials");
            ask.method == Method::POST && grant && shown && form.contains_key("scope")
        };
        if !right {
            let told = json!({"error": "invalid_request", "error_description": "AADSTS900144: something is missing"});
            return json_reply(StatusCode::BAD_REQUEST, &told);
        }
        let token = Uuid::new_v4().to_string();
        self.given.retain(|_, until| now < *until);
        self.given.insert(token.clone(), now.plus_seconds(self.token_seconds));
        let seconds = self.token_seconds;
        // The metadata service writes its numbers as text.
        let seconds = if machine { json!(seconds.to_string()) } else { json!(seconds) };
        let given = json!({"token_type": "Bearer", "expires_in": seconds, "access_token": token});
        let mut reply: Response<_> = json_reply(StatusCode::OK, &given);
        super::failure::set(&mut reply, http::header::CACHE_CONTROL, "no-store");
        reply
    }

    /// Whether a request carries a token that is good now.
    pub(super) fn accepts(&self, ask: &Ask, now: Moment) -> bool {
        let shown = ask.headers.get(http::header::AUTHORIZATION);
        let token = shown.and_then(|shown| shown.to_str().ok()?.strip_prefix("Bearer "));
        token.and_then(|token| self.given.get(token)).is_some_and(|until| now < *until)
    }
}
