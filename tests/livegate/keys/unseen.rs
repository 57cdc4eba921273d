//! Of keys, secrets and tokens nothing is ever seen but a slot and 8 hex digits.

use serde_json::json;

use super::face::{Face, error};
use super::stage::{AUDIT, LIST, SESSION, SESSIONS, Stage, builder, fingerprint};
use crate::support::emulator::SECOND_KEY;
use crate::support::gateway::{AZURE_KEY, TOKEN};
use crate::support::http::Request;
use crate::support::upstream;

const NEW_KEY: &str = "azure-key-three-5566778899aabbccdd";
/// Two of them in one file, which is refused.
const BAD_KEY: &str = "azure-key-that-is-none-00000000000";

/// All that the gateway says to anybody but Azure, at the most talkative it can be.
fn all(stage: &Stage, answers: &[String]) -> String {
    let mut all = answers.join("\n");
    for page in ["/", "/status", "/metrics", "/readyz", "/livez"] {
        all += &stage.page(page);
    }
    for more in [&[][..], &["--json"][..]] {
        let ended = stage.keys(more);
        all += &(ended.stdout + &ended.stderr);
    }
    all + &stage.gateway.process.stdout() + &stage.gateway.process.stderr()
}

/// As text, as its bytes are printed in Rust's way, and in the encodings that a value is met in.
#[track_caller]
fn assert_unseen(secret: &str, all: &str) {
    let bytes = format!("{:?}", secret.as_bytes());
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let full = crate::reload::hash(secret);
    for form in [secret.to_owned(), bytes, hex, encoded, full] {
        let seen = all.lines().find(|line| line.contains(&form));
        assert_eq!(seen, None, "{form}");
    }
}

#[test]
fn nothing_shows_a_key_whatever_happens() {
    let face = Face::start();
    let stage = Stage::of(builder(&face.url()).upstream("probe = \"1s\"\n").log("trace"));
    let mut answers = Vec::new();
    let ask = |answers: &mut Vec<String>| {
        for request in [
            Request::get(SESSION),
            Request::get(LIST),
            Request::get(AUDIT),
            Request::new("POST", SESSIONS).json(&json!({"a": 1})),
            Request::new("DELETE", SESSION),
        ] {
            answers.push(format!("{:?}", stage.send(request)));
        }
    };
    ask(&mut answers);
    // A refusal that repeats what was shown.
    face.refuses_with(upstream::answer(401, &[("X-Shown", AZURE_KEY)], AZURE_KEY.as_bytes()));
    face.accepts(&[SECOND_KEY]);
    ask(&mut answers);
    stage.load("key-1", NEW_KEY);
    ask(&mut answers);
    stage.put("key-2", format!("{BAD_KEY}\n{BAD_KEY}"));
    answers.push(format!("{:?}", stage.reload()));
    face.accepts(&[NEW_KEY]);
    ask(&mut answers);
    face.accepts(&[]);
    for _ in 0..10 {
        ask(&mut answers);
    }
    face.accepts_all();
    face.always_says(Some(error(403, "Forbidden")));
    answers.push(format!("{:?}", stage.choose("primary")));
    answers.push(format!("{:?}", stage.choose(SECOND_KEY)));
    ask(&mut answers);
    let all = all(&stage, &answers);
    assert!(all.contains("\"TRACE\"") && all.contains(&fingerprint(AZURE_KEY)));
    for secret in [AZURE_KEY, SECOND_KEY, NEW_KEY, BAD_KEY, TOKEN] {
        assert_unseen(secret, &all);
    }
    assert!(!all.contains(&fingerprint(BAD_KEY)));
}

#[test]
fn nothing_shows_a_token_or_what_it_is_fetched_with() {
    let emulator = crate::support::emulator::Emulator::start();
    let secret = "client-secret~with.all-that/is=in+them";
    let entra = format!(
        "[upstreams.entra]\ntenant_id = \"tenant\"\nclient_id = \"client\"\nclient_secret = {{ file = \"secret\" }}\n\
         authority_host = \"{}\"\n",
        emulator.url()
    );
    let stage =
        Stage::of(builder(&emulator.url()).authority(&entra).file("secret", secret).log("trace"));
    let mut answers = vec![format!("{:?}", stage.get(LIST))];
    emulator.control("PUT", "/emulator/entra", &json!({"revoke": true}));
    answers.push(format!("{:?}", stage.get(LIST)));
    emulator.control("PUT", "/emulator/entra", &json!({"revoke": true, "token_seconds": 1}));
    answers.push(format!("{:?}", stage.get(LIST)));
    let all = all(&stage, &answers);
    assert_unseen(secret, &all);
    let shown = emulator.requests().into_iter().filter_map(|request| {
        let headers = request["headers"].to_string();
        let (_, token) = headers.split_once("Bearer ")?;
        token.split('"').next().map(str::to_owned)
    });
    let tokens: std::collections::BTreeSet<_> = shown.collect();
    assert_eq!(tokens.len(), 3, "{tokens:?}");
    tokens.iter().for_each(|token| assert_unseen(token, &all));
}
