//! The command line and the admin port: what they print, how they end, and what they keep to themselves.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::emulator::Emulator;
use crate::support::gateway::{AZURE_KEY, Builder, Gateway, TOKEN};
use crate::support::http::Request;
use crate::support::scratch::Scratch;

const COMMANDS: [&str; 6] = ["serve", "check", "demo", "emulate", "token", "health"];
const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";

const GOOD: &str = r#"[[listen]]
address = "127.0.0.1:8080"
[[upstreams]]
name = "weu"
endpoint = "https://face.cognitiveservices.azure.com"
keys = { primary = { file = "key" } }
[[apps]]
name = "onboarding"
token_sha256 = ["f98103e9217f099208569d295c1b276f1821348636c268c854bb2a086e0037cd"]
upstream = "weu"
"#;

/// How a command ended and what it printed.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn livegate(arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_livegate"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `livegate check` on this configuration, beside a file `key`; its path is told as `FILE`.
fn check(config: &str, more: &[&str]) -> Ended {
    let scratch = Scratch::new();
    let file = scratch.write("livegate.toml", config);
    scratch.write("key", format!("{AZURE_KEY}\n"));
    let file = file.to_str().unwrap();
    let ended = livegate(&[&["check", "--config", file], more].concat());
    let told = |text: &str| text.replace(file, "FILE");
    Ended { status: ended.status, stdout: told(&ended.stdout), stderr: told(&ended.stderr) }
}

#[test]
fn a_good_configuration() {
    let ended = check(GOOD, &[]);
    let expected =
        Ended { status: Some(0), stdout: "FILE is good\n".to_owned(), stderr: String::new() };
    assert_eq!(ended, expected);
    let ended = check(GOOD, &["--json"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report, json!({"ok": true, "mistakes": [], "warnings": []}));
}

#[test]
fn a_warning_is_no_mistake() {
    let ended = check(&format!("{GOOD}digest = \"observe\"\n"), &[]);
    let note = "note: 'digest' has no effect yet: no verdicts are given\nFILE is good\n";
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), note));
}

#[test]
fn a_bad_configuration_is_told_with_file_line_and_column() {
    let bad = GOOD
        .replace("127.0.0.1:8080", "localhost")
        .replace("https://", "http://")
        .replace("\nkeys", "\n  timeuot = \"5s\"\nkeys")
        .replace("f98103e9", "no-hash-");
    let golden = [
        (
            2,
            11,
            "'address' must be an IP address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\"",
        ),
        (
            5,
            12,
            "'endpoint' must be the resource's address without a path, as in \"https://NAME.cognitiveservices.azure.com\"; http:// is allowed for loopback only",
        ),
        (
            6,
            3,
            "unknown key 'timeuot'; known here: name, endpoint, tier, ca_file, keys, connect_timeout, timeout, idle_timeout, max_answer, http2",
        ),
        (
            10,
            17,
            "'token_sha256' must be the SHA-256 of an app's token, in 64 hex digits; `livegate token NAME` makes one",
        ),
    ];
    let ended = check(&bad, &[]);
    let text: String = golden
        .iter()
        .map(|(line, column, message)| format!("FILE:{line}:{column}: {message}\n"))
        .collect();
    assert_eq!(ended, Ended { status: Some(2), stdout: String::new(), stderr: text.clone() });
    let ended = check(&bad, &["--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let mistakes: Vec<_> = golden
        .iter()
        .map(|(line, column, message)| {
            json!({"file": "FILE", "line": line, "column": column, "message": message})
        })
        .collect();
    assert_eq!(ended.status, Some(2));
    assert_eq!(report, json!({"ok": false, "mistakes": mistakes, "warnings": []}));
    // `serve` tells the same.
    let scratch = Scratch::new();
    let file = scratch.write("livegate.toml", &bad);
    let ended = livegate(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(ended.status, Some(2));
    assert_eq!(ended.stderr.replace(file.to_str().unwrap(), "FILE"), text);
}

#[test]
fn a_file_that_is_missing_is_told_where_it_is_named() {
    let ended = check(&GOOD.replace("\"key\"", "\"no-such\""), &[]);
    assert_eq!(ended.status, Some(2));
    let told = "FILE:6:29: the file named here cannot be read: ";
    assert!(ended.stderr.starts_with(told), "{}", ended.stderr);
    let ended = livegate(&["check", "--config", "/no/such/livegate.toml"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.starts_with("/no/such/livegate.toml:1:1: "), "{}", ended.stderr);
}

/// People paste a key or a token where it does not belong; the check's output goes into a build's log.
#[test]
fn a_check_never_prints_what_could_be_a_secret() {
    const SECRET: &str = "9f3cSecretAzureKey7d21";
    let planted = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        GOOD.replace(from, &to.replace('$', SECRET))
    };
    let keys = "{ primary = { file = \"key\" } }";
    let hash = "[\"f98103e9217f099208569d295c1b276f1821348636c268c854bb2a086e0037cd\"]";
    for config in [
        planted("\"127.0.0.1:8080\"", "\"$\""),
        planted("name = \"weu\"", "name = \"$ $\""),
        planted("https://face", "https://$@face"),
        planted("azure.com\"", "azure.com/?subscription-key=$\""),
        planted(keys, "\"$\""),
        planted(keys, "[\"$\"]"),
        planted(keys, "{ primary = \"$\" }"),
        planted(keys, "{ primary = { value = \"$\" } }"),
        planted(keys, "{ primary = { file = \"$\" } }"),
        planted(keys, "{ primary = { file = \"key\", env = \"$\" } }"),
        planted(keys, "{ primary = { file = \"key\" }, third = \"$\" }"),
        planted(keys, "$"),
        planted(keys, "\"$"),
        planted("[[apps]]", "key = \"$\"\n[[apps]]"),
        planted("[[apps]]", "\"$-\" = 1\n[[apps]]"),
        planted("[[apps]]", "tier = \"$\"\n[[apps]]"),
        planted("[[apps]]", "timeout = \"$\"\n[[apps]]"),
        planted("[[apps]]", "max_answer = \"$\"\n[[apps]]"),
        planted("[[apps]]", "http2 = \"$\"\n[[apps]]"),
        planted("[[apps]]", "ca_file = \"$\"\n[[apps]]"),
        planted("[[apps]]", "$\n[[apps]]"),
        planted("[[apps]]", "[\"$-\"]\n[[apps]]"),
        planted(hash, "[\"$\"]"),
        planted(hash, "\"$\""),
        planted("upstream = \"weu\"", "upstream = \"$\""),
        planted("upstream = \"weu\"", "upstream = \"weu\"\nroutes = [\"$\"]"),
        planted("upstream = \"weu\"", "upstream = \"weu\"\ndigest = \"$\""),
        planted("upstream = \"weu\"", "upstream = \"${$}\""),
    ] {
        for more in [&[][..], &["--json"]] {
            let ended = check(&config, more);
            assert_eq!(ended.status, Some(2), "{config}");
            let told = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!told.contains(SECRET), "{config}\n--- told\n{told}");
        }
    }
    // A key's file that holds no key.
    let scratch = Scratch::new();
    let file = scratch.write("livegate.toml", GOOD);
    for key in [format!("{SECRET}\n{SECRET}"), format!("{SECRET} {SECRET}"), format!("{SECRET}\0")]
    {
        scratch.write("key", key);
        let ended = livegate(&["check", "--config", file.to_str().unwrap()]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(!format!("{ended:?}").contains(SECRET), "{ended:?}");
    }
}

#[test]
fn a_made_token_fits_the_configuration_that_comes_with_it() {
    let ended = livegate(&["token", "onboarding-2"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let token = ended.stdout.lines().next().unwrap();
    assert!(token.starts_with("lg_") && token.len() == 67, "{token}");
    let hash = const_hex::encode(Sha256::digest(token));
    let (_, lines) = ended.stdout.split_once("[[apps]]").unwrap();
    assert!(lines.contains(&format!("token_sha256 = [\"{hash}\"]")), "{lines}");
    assert_eq!(ended.stdout.matches(token).count(), 1, "{}", ended.stdout);
    let (config, _) = GOOD.split_once("[[apps]]").unwrap();
    let ended = check(&format!("{config}[[apps]]{}", lines.replace("NAME", "weu")), &[]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "FILE is good\n"), "{ended:?}");
    let other = livegate(&["token", "onboarding-2"]);
    assert!(!other.stdout.contains(token));
    for name in ["", "Bad", "a b", &"a".repeat(33)] {
        let ended = livegate(&["token", name]);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{name}");
    }
}

#[test]
fn health_is_0_where_a_gateway_is_ready_and_else_1() {
    let mut gateway = Gateway::before("http://127.0.0.1:9");
    let admin = format!("http://{}", gateway.admin);
    let ended = livegate(&["health", "--admin", &admin]);
    assert_eq!((ended.status, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "ok\n", ""));
    assert_eq!(livegate(&["health", "--admin", &format!("{admin}/")]).status, Some(0));
    gateway.terminate();
    let ended = livegate(&["health", "--admin", &admin]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(!ended.stderr.is_empty());
    let keyless =
        Builder::new("http://127.0.0.1:9").app("a", TOKEN, &["session"]).keyless().start();
    let ended = livegate(&["health", "--admin", &format!("http://{}", keyless.admin)]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.starts_with("not ready: "), "{}", ended.stderr);
}

#[test]
fn the_demo_shows_that_all_is_right() {
    let ended = livegate(&["demo", "--once"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.ends_with("Every answer was right.\n"), "{}", ended.stdout);
}

#[test]
fn every_command_helps_with_an_example() {
    for command in COMMANDS {
        let ended = livegate(&[command, "--help"]);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{command}");
        let example = format!("Example: livegate {command}");
        assert!(ended.stdout.contains(&example), "{}", ended.stdout);
    }
    let ended = livegate(&["--help"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    for command in COMMANDS {
        let told = ended.stdout.lines().any(|line| line.trim_start().starts_with(command));
        assert!(told, "no {command} in {}", ended.stdout);
    }
    let version = format!("livegate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(livegate(&["--version"]).stdout, version);
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["serve"],
        &["check"],
        &["check", "--config"],
        &["check", "--config", "a", "--nonsense"],
        &["demo", "--twice"],
        &["token"],
        &["token", "a", "b"],
        &["emulate", "--listen", "nowhere"],
        &["emulate", "--script", "/no/such/script.json"],
        &["emulate", "--listen", "0.0.0.0:0"],
        &["emulate", "--listen", "[::]:0"],
        &["emulate", "--listen", "192.0.2.1:0"],
        &["emulate", "--listen", "127.0.0.1:0", "--key", "a", "--key", "b", "--key", "c"],
        &["health", "--admin", "not an address"],
    ] {
        let ended = livegate(arguments);
        assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

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
