//! The admin port: what it has, in a form that others can read, and no secret in it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::emulator::Emulator;
use crate::support::gateway::{AZURE_KEY, Gateway, TOKEN};
use crate::support::http::Request;

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";

/// A gateway that has seen traffic of every kind, and every secret and id that was in it.
fn after_traffic() -> (Emulator, Gateway, Vec<String>) {
    let emulator = Emulator::start();
    let gateway = Gateway::before(&emulator.url());
    let id = "5e551017-0000-4000-8000-00000000c0de";
    emulator.put_session(&json!({"id": id, "final": true, "session_image": true}));
    let direct = emulator.send(Request::get(&format!("{SESSIONS}/{id}"))).json();
    let image = &direct["results"]["attempts"][0]["result"]["sessionImageId"];
    let image = image.as_str().unwrap();
    let send = |request: Request| request.key(TOKEN).send(gateway.public);
    let wish = json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone-of-anna"});
    let created = send(Request::new("POST", SESSIONS).json(&wish)).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let session = format!("{SESSIONS}/{id}");
    let audit = format!("/face/v1.2-preview.1/detectLiveness/singleModal/sessions/{id}/audit");
    let image_path = format!("/face/v1.2/sessionImages/{image}");
    let strange = "a-token-that-nobody-has";
    let faults: [Value; 7] = [
        json!("close"),
        json!("reset"),
        json!("garbage_http"),
        json!("garbage_json"),
        json!({"truncated": {}}),
        json!({"status": {"status": 401}}),
        json!({"status": {"status": 500}}),
    ];
    for effect in faults {
        for target in [&session, &audit] {
            emulator.strike_once(&effect);
            send(Request::get(target));
        }
    }
    for target in [&session, &audit, &image_path] {
        send(Request::get(target));
        Request::get(target).send(gateway.public);
        Request::get(target).key(strange).send(gateway.public);
        send(Request::new("PUT", target));
        send(Request::get(&format!("{target}%20?key={AZURE_KEY}&top=0")));
        send(Request::get(&format!("{target}/x/{TOKEN}")));
    }
    emulator.strike_once(&json!({"truncated": {}}));
    let mut connection = crate::support::http::Connection::open(gateway.public);
    let get = format!(
        "GET {image_path} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n"
    );
    connection.write(get.as_bytes()).unwrap();
    assert!(connection.read().is_err());
    send(Request::new("DELETE", &format!("{SESSIONS}/{}", text(&created["sessionId"]))));
    assert_eq!(Request::new("POST", "/reload").send(gateway.admin).status, 200);
    let secrets = vec![
        AZURE_KEY.to_owned(),
        TOKEN.to_owned(),
        const_hex::encode(Sha256::digest(TOKEN)),
        strange.to_owned(),
        id.to_owned(),
        image.to_owned(),
        text(&created["sessionId"]),
        text(&created["authToken"]),
        text(&direct["authToken"]),
        "phone-of-anna".to_owned(),
    ];
    (emulator, gateway, secrets)
}

#[test]
fn neither_pages_nor_logs_tell_a_secret_or_a_session() {
    let (_emulator, gateway, secrets) = after_traffic();
    let page = |path: &str| {
        let answer = Request::get(path).send(gateway.admin);
        assert_eq!(answer.status, 200, "{path}");
        answer.text()
    };
    let logs = gateway.process.stderr() + &gateway.process.stdout();
    assert!(logs.contains("UpstreamInvalidResponse"), "{logs}");
    for (name, text) in [
        ("/metrics", page("/metrics")),
        ("/status", page("/status")),
        ("/", page("/")),
        ("the logs", logs),
    ] {
        assert!(text.len() > 100, "{name}: {text}");
        for secret in &secrets {
            assert!(!text.contains(secret), "{secret} in {name}:\n{text}");
        }
    }
}

#[test]
fn every_line_of_a_log_is_json() {
    let (_emulator, gateway, _) = after_traffic();
    for line in gateway.process.stderr().lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        for member in ["timestamp", "level", "message"] {
            assert!(entry[member].is_string(), "no {member} in {line}");
        }
    }
    assert_eq!(gateway.process.stdout(), "");
}

/// A name of Prometheus' data model.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Name and labels of a line such as `name{label="value"} 1`; `None` where it is none.
fn series(line: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let (series, value) = line.rsplit_once(' ')?;
    value.parse::<f64>().ok()?;
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix("\"}")?),
    };
    let labels = labels.split("\",").filter(|label| !label.is_empty());
    let labels: Option<Vec<_>> = labels.map(|label| label.split_once("=\"")).collect();
    let labels = labels?;
    let good = |(name, value): &(&str, &str)| is_name(name) && !value.contains(['"', '\\']);
    (is_name(name) && labels.iter().all(good)).then_some((name, labels))
}

#[test]
fn every_line_of_the_metrics_parses() {
    let (_emulator, gateway, _) = after_traffic();
    let answer = Request::get("/metrics").send(gateway.admin);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(kind));
    let text = answer.text();
    assert!(text.ends_with('\n'));
    let (mut helped, mut typed, mut seen) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name) && !help.is_empty() && helped.insert(name), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(helped.contains(name) && typed.insert(name), "{line}");
        } else {
            let (name, labels) = series(line).unwrap_or_else(|| panic!("{line:?} is no series"));
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|name| typed.contains(name)))
                .unwrap_or(name);
            assert!(typed.contains(family), "{line}: no TYPE");
            assert!(name.starts_with("livegate_") || name.starts_with("process_"), "{line}");
            assert!(seen.insert((name, labels)), "{line} stands twice");
        }
    }
    assert!(seen.len() > 50, "{text}");
    assert_eq!(helped, typed);
}

#[test]
fn metrics_are_read_line_by_line() {
    assert!(series("a 1").is_some() && series("a{b=\"c d\",e=\"\"} 1.5e-3").is_some());
    for bad in ["a", "a one", "1a 1", "a{b=c} 1", "a{b=\"c\" 1", "a-b 1", "a{b-c=\"d\"} 1"] {
        assert!(series(bad).is_none(), "{bad}");
    }
}

#[test]
fn the_admin_port_says_what_it_has() {
    let gateway = Gateway::before("http://127.0.0.1:9");
    let ask = |method: &str, path: &str| Request::new(method, path).send(gateway.admin);
    for path in ["/", "/metrics", "/livez", "/readyz", "/status"] {
        assert_eq!(ask("GET", path).status, 200, "{path}");
        for method in ["POST", "PUT", "DELETE"] {
            let answer = ask(method, path);
            assert_eq!(answer.status, 405, "{method} {path}");
            let allow: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
            assert!(allow.contains(&"GET") && !allow.contains(&method), "{path}: {allow:?}");
        }
    }
    let answer = ask("GET", "/reload");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(ask("POST", "/reload").status, 200);
    for path in ["/nonsense", "/metrics/", "/reload/x", SESSIONS] {
        assert_eq!(ask("GET", path).status, 404, "{path}");
        assert_eq!(ask("POST", path).status, 404, "{path}");
    }
    // What the admin port has, the public port has not.
    for path in ["/", "/metrics", "/livez", "/readyz", "/status", "/reload"] {
        let answer = gateway.get(path);
        assert_eq!((answer.status, answer.error_code().as_str()), (404, "ResourceNotFound"));
    }
}
