//! The command line: what it prints, how it ends, and what it keeps to itself.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::gateway::{AZURE_KEY, Builder, Gateway, TOKEN};
use crate::support::scratch::Scratch;

const COMMANDS: [&str; 6] = ["serve", "check", "demo", "emulate", "token", "health"];

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
    let samples = "5a86b53aa1de6cdf368707cd9c709eaf91b0251a91b4daeeded6b76601928c28";
    let hash = GOOD.split("token_sha256 = [\"").nth(1).unwrap().split('"').next().unwrap();
    let ended = check(&GOOD.replace(hash, samples), &[]);
    let note =
        "note: nobody can call as 'onboarding': its token_sha256 is the sample's\nFILE is good\n";
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
            "unknown key 'timeuot'; known here: name, endpoint, tier, poll_share, ca_file, keys, entra, probe, connect_timeout, timeout, idle_timeout, max_answer, http2",
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
        planted("[[apps]]", "\"$\" = 1\n\"$\" = 2\n[[apps]]"),
        planted("[[apps]]", "[$]\n[$]\n[[apps]]"),
        planted("[[apps]]", "[admin]\nlisten = \"$\"\n[[apps]]"),
        planted("[[apps]]", "[server]\nworkers = \"$\"\n[[apps]]"),
        planted("[[apps]]", "[cache]\nttl = \"$\"\n[[apps]]"),
        planted("[[upstreams]]", "tls = { cert = \"$\", client_auth = \"$\" }\n[[upstreams]]"),
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
