//! The published samples against the documents: a check of the documents rather than of any code.

use serde_json::{Value, json};

use super::document::Document;

macro_rules! sample {
    ($path:literal) => {
        include_str!(concat!("../../data/samples/", $path))
    };
}

const FIRST: &str = "v1.1-preview.1";
const SECOND: &str = "v1.2-preview.1";
const GA: &str = "v1.2";
const THIRD: &str = "v1.3-preview.1";

/// The version that a sample is of, where its schema is in that document, and the sample.
const SAMPLES: [(&str, &str, &str); 15] = [
    (FIRST, "/components/schemas/LivenessSession", sample!("v1.1-preview.1/session-result.json")),
    (
        FIRST,
        "GET /detectLiveness/singleModal/sessions/{sessionId}/audit",
        sample!("v1.1-preview.1/audit.json"),
    ),
    (
        FIRST,
        "/components/schemas/CreateLivenessSessionContent",
        sample!("v1.1-preview.1/create-request.json"),
    ),
    (
        FIRST,
        "/components/schemas/CreateLivenessSessionResult",
        sample!("v1.1-preview.1/create-response.json"),
    ),
    (SECOND, "/components/schemas/LivenessSession", sample!("v1.2-preview.1/session-result.json")),
    (
        SECOND,
        "GET /detectLiveness/singleModal/sessions/{sessionId}/audit",
        sample!("v1.2-preview.1/audit.json"),
    ),
    (GA, "/components/schemas/LivenessSession", sample!("v1.2/session-result.json")),
    (GA, "/components/schemas/LivenessSession", sample!("v1.2/session-result-tutorial.json")),
    (GA, "/components/schemas/LivenessSession", sample!("v1.2/create-response-tutorial.json")),
    (
        GA,
        "/components/schemas/LivenessWithVerifySession",
        sample!("v1.2/create-with-verify-response-tutorial.json"),
    ),
    (
        THIRD,
        "/components/schemas/LivenessWithVerifySession",
        sample!("v1.3-preview.1/session-result-with-verify.json"),
    ),
    (
        THIRD,
        "/components/schemas/CreateLivenessSessionContent",
        sample!("v1.3-preview.1/create-request.json"),
    ),
    (THIRD, "/components/schemas/LivenessSession", sample!("v1.3-preview.1/create-response.json")),
    (THIRD, "GET /settings", sample!("v1.3-preview.1/settings.json")),
    (
        THIRD,
        "GET /settings/getClientAssetsAccessToken",
        sample!("v1.3-preview.1/client-assets-access-token.json"),
    ),
];

#[test]
fn every_published_sample_fits_its_document() {
    for (version, place, sample) in SAMPLES {
        let document = Document::of(version);
        let schema = schema(&document, place);
        let sample = serde_json::from_str(sample).unwrap();
        let faults = document.schema_faults(&schema, &sample);
        assert!(faults.is_empty(), "{version} {place}: {faults:?}");
    }
}

/// A tutorial's request has a mode in lower case and a flag as text: nothing that checks requests may be strict.
#[test]
fn the_tutorials_request_does_not() {
    let document = Document::of(GA);
    let schema = schema(&document, "/components/schemas/CreateLivenessSessionContent");
    let request = serde_json::from_str(sample!("v1.2/create-request-tutorial.json")).unwrap();
    let faults = document.schema_faults(&schema, &request);
    assert_eq!(faults.len(), 2, "{faults:?}");
}

/// A named schema, or that of what a GET answers.
fn schema(document: &Document, place: &str) -> Value {
    let found = match place.strip_prefix("GET ") {
        None => document.json().pointer(place).map(|_| json!({"$ref": format!("#{place}")})),
        Some(path) => {
            let answer = &document.json()["paths"][path]["get"]["responses"]["200"];
            answer.pointer("/content/application~1json/schema").cloned()
        }
    };
    found.unwrap_or_else(|| panic!("{} has no {place}", document.version))
}
