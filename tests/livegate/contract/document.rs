//! The `OpenAPI` documents of `tests/data/openapi`, and answers held against them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::http::Answer;

/// One api-version's document, with a memory of what was held against it.
pub(super) struct Document {
    pub(super) version: &'static str,
    json: Value,
    used: RefCell<BTreeSet<(String, String)>>,
}

impl Document {
    pub(super) fn all() -> [Self; 4] {
        [
            Self::new("v1.1-preview.1", include_str!("../../data/openapi/v1.1-preview.1.json")),
            Self::new("v1.2-preview.1", include_str!("../../data/openapi/v1.2-preview.1.json")),
            Self::new("v1.2", include_str!("../../data/openapi/v1.2.json")),
            Self::new("v1.3-preview.1", include_str!("../../data/openapi/v1.3-preview.1.json")),
        ]
    }

    pub(super) fn of(version: &str) -> Self {
        Self::all().into_iter().find(|document| document.version == version).unwrap()
    }

    fn new(version: &'static str, text: &str) -> Self {
        let json = serde_json::from_str(text).unwrap();
        Self { version, json, used: RefCell::default() }
    }

    pub(super) const fn json(&self) -> &Value {
        &self.json
    }

    /// What is wrong with an answer to this method on this path of the document; empty where nothing is.
    pub(super) fn faults(&self, method: &str, path: &str, answer: &Answer) -> Vec<String> {
        let method = method.to_ascii_lowercase();
        let operation = &self.json["paths"][path][&method];
        if operation.is_null() {
            return vec![format!("the document has no {method} {path}")];
        }
        self.used.borrow_mut().insert((method, path.to_owned()));
        let status = answer.status.to_string();
        let responses = &operation["responses"];
        let response = match &responses[&status] {
            // "default" is there for failures
            Value::Null if !(200..300).contains(&answer.status) => &responses["default"],
            declared => declared,
        };
        if response.is_null() {
            return vec![format!("status {status} is not declared")];
        }
        let mut faults = header_faults(response, answer);
        faults.extend(self.body_faults(&response["content"], answer));
        faults
    }

    /// The operations of the document that no answer was held against.
    pub(super) fn unused(&self) -> Vec<String> {
        let used = self.used.borrow();
        let paths = self.json["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        });
        operations.filter(|it| !used.contains(it)).map(|(m, p)| format!("{m} {p}")).collect()
    }

    fn body_faults(&self, content: &Value, answer: &Answer) -> Vec<String> {
        let Some(content) = content.as_object() else {
            return (!answer.body.is_empty())
                .then(|| "a body where none is declared".to_owned())
                .into_iter()
                .collect();
        };
        let sent = answer.header("content-type").unwrap_or_default();
        let sent = sent.split(';').next().unwrap_or_default().trim();
        let Some(media) = content.get(sent) else {
            return vec![format!("content type {sent:?} is not declared")];
        };
        if media["schema"]["format"] == "binary" {
            return answer.body.is_empty().then(|| "no bytes".to_owned()).into_iter().collect();
        }
        match serde_json::from_slice(&answer.body) {
            Ok(body) => self.schema_faults(&media["schema"], &body),
            Err(error) => vec![format!("not JSON: {error}")],
        }
    }

    /// What a schema of this document has against a value.
    pub(super) fn schema_faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let errors = self.validator(schema);
        errors
            .iter_errors(value)
            .map(|e| format!("{} at {:?}", e, e.instance_path().as_str()))
            .collect()
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut root = json!({"allOf": [schema], "components": self.json["components"]});
        tighten(&mut root);
        jsonschema::draft202012::options().should_validate_formats(true).build(&root).unwrap()
    }
}

/// Headers that are declared are held to be promised: `apim-request-id` on success, `x-ms-error-code` on a
/// failure that the Face service itself answers, and those have a code in words.
fn header_faults(response: &Value, answer: &Answer) -> Vec<String> {
    let Some(declared) = response["headers"].as_object() else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    for (name, header) in declared {
        let expected = if name == "x-ms-error-code" {
            let code = answer.error_code();
            (!code.is_empty() && !code.bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
        } else {
            Some(answer.header(name).unwrap_or_default().to_owned())
        };
        let Some(expected) = expected else {
            continue;
        };
        let sent = answer.header(name);
        if sent != Some(expected.as_str()) {
            faults.push(format!("header {name} is {sent:?} and should be {expected:?}"));
        }
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&header["schema"])
            .unwrap();
        if !validator.is_valid(&json!(sent)) {
            faults.push(format!("header {name} is {sent:?}"));
        }
    }
    faults
}

/// Turns what `OpenAPI` writes into JSON Schema, and for an emulator what is open into what is known: known values
/// are the only ones, and objects have no other members than those declared.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tighten),
        Value::Object(members) => {
            if let Some(known) = members.remove("x-known-values") {
                members.insert("enum".to_owned(), known);
            }
            let bits = match members.get("format").and_then(Value::as_str) {
                Some("int32") => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
                Some("int64") => Some((i64::MIN, i64::MAX)),
                _ => None,
            };
            if let Some((least, most)) = bits {
                members.entry("minimum").or_insert_with(|| json!(least));
                members.entry("maximum").or_insert_with(|| json!(most));
            }
            if members.get("properties").is_some_and(Value::is_object)
                && members.get("type").is_some_and(|kind| kind == "object")
            {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            members.values_mut().for_each(tighten);
        }
        _ => {}
    }
}
