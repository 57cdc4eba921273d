//! The API's two operations, and what they are sent.

use serde_json::{Value, json};

use crate::support::http::Request;

/// One of the API's two operations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twin {
    pub(super) preview: &'static str,
    pub(super) ga: &'static str,
    pub(super) name: &'static str,
}

impl Twin {
    pub(super) const PLAIN: Self = Self {
        preview: "/detectLiveness/singleModal/sessions",
        ga: "/detectLiveness-sessions",
        name: "liveness",
    };
    pub(super) const VERIFY: Self = Self {
        preview: "/detectLivenessWithVerify/singleModal/sessions",
        ga: "/detectLivenessWithVerify-sessions",
        name: "liveness_with_verify",
    };

    pub(super) fn verifies(self) -> bool {
        self.name == Self::VERIFY.name
    }
}

pub(super) fn fields() -> Value {
    json!({
        "livenessOperationMode": "Passive",
        "deviceCorrelationId": "device-0123",
        "authTokenTimeToLiveInSeconds": 60,
    })
}

/// A form of parts: name, file name, content.
pub(super) fn form(request: Request, parts: &[(&str, Option<&str>, &[u8])]) -> Request {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\""));
        let head =
            format!("--seam\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--seam--\r\n");
    request.body("multipart/form-data; boundary=seam", body)
}
