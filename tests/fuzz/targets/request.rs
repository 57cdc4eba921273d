//! Lets whatever comes as a request go down to where Azure is asked: what is asked there is one of Azure's resources, spelt in the
//! gateway's own way, and carries nothing that must not pass.
//!
//! The first line is the method and the target, each further line a field.

#![no_main]

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Request, Response};
use libfuzzer_sys::fuzz_target;
use livegate::body::Body;
use livegate::call::{Admitted, Reply};
use livegate::config::App;
use livegate::error::Error;
use livegate::inbound::authenticate::{Apps, authenticate};
use livegate::inbound::limit::Places;
use livegate::inbound::recognize::{Limits, recognize};
use livegate::inbound::rescue::rescue;
use livegate::liveness::{Resource, Route};
use livegate::metrics::Metrics;
use livegate::metrics::label::Cache;
use sha2::{Digest as _, Sha256};
use tower::{Layer as _, ServiceExt as _, service_fn};

const TOKEN: &str = "a-token-of-this-gateway";

/// What may be sent to Azure, all in all.
const FIELDS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "client-request-id",
    "content-type",
    "traceparent",
    "tracestate",
    "user-agent",
    "via",
    "x-ms-azsdk-telemetry",
    "x-ms-client-request-id",
    "x-ms-useragent",
];

fn request(input: &[u8]) -> Option<Request<Body>> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(2, |byte| *byte == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut request = Request::builder().method(method).uri(target).header("host", "gateway");
    for line in lines {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(parts.next()?).ok()?;
        request = request.header(name, HeaderValue::from_bytes(parts.next()?.trim_ascii()).ok()?);
    }
    request.header("ocp-apim-subscription-key", TOKEN).body(Body::Empty).ok()
}

fn asked(admitted: Admitted) -> Result<Reply, Error> {
    let Admitted::Call(call) = admitted else {
        return Ok(Reply { answer: Response::new(Body::Empty), cache: Cache::None });
    };
    let resource = call.target.resource.clone();
    let head = call.into_ask().head;
    let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
    assert!(
        path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.-".contains(&byte)),
        "{path}"
    );
    assert_eq!(Resource::parse(path).as_ref(), Ok(&resource), "{path}");
    assert!(path.starts_with("/face/v1.") && !path.contains("/.."), "{path}");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%=&".contains(&byte);
    assert!(query.bytes().all(plain) && query.len() <= 1000, "{query}");
    for name in head.headers.keys() {
        assert!(FIELDS.contains(&name.as_str()), "{name}");
    }
    Ok(Reply { answer: Response::new(Body::Empty), cache: Cache::None })
}

fuzz_target!(|input: &[u8]| {
    let Some(request) = request(input) else {
        return;
    };
    let all =
        [Route::Session, Route::Audit, Route::Create, Route::Delete, Route::List, Route::Image];
    let app = App {
        name: "fuzz".into(),
        tokens: vec![Sha256::digest(TOKEN).into()],
        routes: HashSet::from(all),
        ..App::default()
    };
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let apps = Arc::new(Apps::new(&[app], &Arc::new(Places::new(1)), &metrics));
    let last = service_fn(|admitted| async move { asked(admitted) });
    let rows = authenticate(apps, Arc::clone(&metrics)).layer(last);
    let rows = rescue(metrics).layer(rows);
    let rows = rows.map_response(|reply: Reply| reply.answer);
    let rows = recognize(Limits { max_body: 1 << 20, max_headers: 100 }).layer(rows);
    let answer = rows.oneshot(request).now_or_never().expect("it waits for nothing");
    let status = answer.expect("it cannot fail").status().as_u16();
    assert_ne!(status, 500, "it failed");
});
