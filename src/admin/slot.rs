//! `POST /keys/{upstream}/use?slot=…`: which slot serves, by hand.

use http::{Response, StatusCode};

use super::{TEXT, text};
use crate::azure::credential::Credential;
use crate::azure::keys::SlotName;
use crate::body::Body;
use crate::state::State;

/// The upstream that the path names, if it is one of these.
pub(super) fn upstream(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/keys/")?.strip_suffix("/use")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Lets a slot serve until it is refused, or another one is chosen.
pub(super) fn choose(state: &State, upstream: &str, query: &str) -> Response<Body> {
    let told = |status, told: String| text(status, TEXT, format!("{told}\n"));
    let live = state.live();
    let keys = live.upstreams.iter().find(|azure| &*azure.name == upstream);
    let Some(Credential::Keys(keys)) = keys.map(|azure| &azure.credential) else {
        return told(StatusCode::NOT_FOUND, "no upstream of this name has keys".to_owned());
    };
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let slot = match (fields.next(), fields.next()) {
        (Some((key, slot)), None) if key == "slot" => SlotName::parse(&slot),
        _ => None,
    };
    let Some(slot) = slot else {
        let rule = "the query is slot=primary or slot=secondary";
        return told(StatusCode::BAD_REQUEST, rule.to_owned());
    };
    let name = slot.as_str();
    match keys.choose(slot) {
        Ok(()) => told(StatusCode::OK, format!("{name} serves {upstream} from now on")),
        Err(_) => told(StatusCode::CONFLICT, format!("{name} has no key")),
    }
}
