//! Whether an entry was verified against the picture that went through the gateway.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::stage::{added, entry, lists, made_verify, verify_audit, with};
use crate::decision::stage::{STRANGE, ga, say, verified, verify};
use crate::memory::azure::ok;
use crate::memory::stage::Stage;
use crate::support::gateway::TOKEN;
use crate::support::http::Request;

const CREATE: &str = "/face/v1.2-preview.1/detectLivenessWithVerify/singleModal/sessions";
const BOUNDARY: &str = "----a-boundary-0123456789";
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 a picture \0\xff\xd9\r\n";

/// Creates the session `abc` with a picture, and maybe with the wish to be told of its hash.
fn create(stage: &Stage, wish: bool) {
    let parameters = json!({"livenessOperationMode": "Passive", "returnVerifyImageHash": wish});
    let part = |head: &str, content: &[u8]| {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    let form = [
        part("name=\"Parameters\"", parameters.to_string().as_bytes()),
        part("name=\"VerifyImage\"; filename=\"face.jpg\"", PICTURE),
        format!("--{BOUNDARY}--\r\n").into_bytes(),
    ]
    .concat();
    let made = json!({"sessionId": "abc", "authToken": "token"}).to_string();
    stage.azure.says_in_turn("POST", CREATE, [ok(&made)]);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = Request::new("POST", CREATE).key(TOKEN).body(&kind, form);
    assert_eq!(request.send(stage.gateway.public).status, 200);
}

/// An entry that was verified against a picture of this hash.
fn compared(number: u64, hash: &str) -> Value {
    let result = json!({"matchConfidence": 0.5, "isIdentical": true});
    with(with(entry(number), "response.body.verifyResult", result), "verifyImageHash", hash)
}

/// What is said of the picture of each entry.
#[track_caller]
fn images(stage: &Stage, path: &str) -> Vec<Value> {
    let added = added(&stage.get(path));
    let verify = added.iter().map(|added| {
        assert_eq!(added["verify"]["identical"], true, "{added:#}");
        added["verify"].get("image").cloned().unwrap_or_default()
    });
    verify.collect()
}

#[test]
fn the_picture_is_compared_by_its_hash() {
    let stage = Stage::set();
    let path = verify_audit("abc");
    let hash = const_hex::encode_upper(Sha256::digest(PICTURE));
    let silent = super::stage::without(compared(4, ""), "verifyImageHash");
    let entries =
        [compared(1, &hash), compared(2, STRANGE), compared(3, &hash.to_lowercase()), silent];
    lists(&stage, &path, &entries);
    assert_eq!(images(&stage, &path), vec![Value::Null; 4]);
    create(&stage, true);
    let expected = [json!("match"), json!("mismatch"), json!("match"), Value::Null];
    assert_eq!(images(&stage, &path), expected);
    // Nobody knows the picture of another session, nor after a deletion.
    lists(&stage, &verify_audit("abd"), &entries);
    assert_eq!(images(&stage, &verify_audit("abd")), vec![Value::Null; 4]);
    assert_eq!(stage.delete(path.strip_suffix("/audit").unwrap()).status, 204);
    assert_eq!(images(&stage, &path), vec![Value::Null; 4]);
}

#[test]
fn who_does_not_wish_for_the_hash_is_not_told_of_it() {
    let stage = Stage::set();
    create(&stage, false);
    lists(&stage, &verify_audit("abc"), &[compared(1, STRANGE)]);
    assert_eq!(images(&stage, &verify_audit("abc")), [Value::Null]);
}

#[test]
fn a_list_that_the_gateway_made_says_it_too() {
    let stage = Stage::set();
    create(&stage, true);
    let hash = const_hex::encode_upper(Sha256::digest(PICTURE));
    for (azures, expected) in [(hash.as_str(), "match"), (STRANGE, "mismatch")] {
        say(&stage, &verify("abc"), &ga("Running", &[verified(1, 0.5, true, azures)]));
        assert_eq!(images(&stage, &made_verify("abc")), [json!(expected)]);
    }
}
