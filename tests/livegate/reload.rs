//! Reloads: by a file's change, by signal, by hand; good ones whole, bad ones not at all.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::emulator::{Emulator, SECOND_KEY};
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Connection, Request};
use crate::support::wait;

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";
const CREATE: &str = "/face/v1.2/detectLiveness-sessions";

/// A token that no configuration has from the beginning.
const NEW_TOKEN: &str = "app-token-changed-over-9876543210";

struct Stage {
    emulator: Emulator,
    gateway: Gateway,
}

impl Stage {
    fn set() -> Self {
        let emulator = Emulator::start();
        let gateway = Gateway::before(&emulator.url());
        Self { emulator, gateway }
    }

    /// Exchanges parts of the configuration for others, all in one step.
    fn exchange(&self, parts: &[(&str, &str)]) {
        let path = self.gateway.scratch.path("livegate.toml");
        let mut config = fs::read_to_string(&path).unwrap();
        for (old, new) in parts {
            assert!(config.contains(old), "{old} is not in {config}");
            config = config.replace(old, new);
        }
        put(&path, config);
    }

    /// Gives the app another token in the configuration.
    fn change_token(&self, from: &str, to: &str) {
        self.exchange(&[(&hash(from), &hash(to))]);
    }

    fn reload(&self) -> Answer {
        Request::new("POST", "/reload").send(self.gateway.admin)
    }

    /// Whether the gateway takes this token; if so the request reaches Azure.
    fn takes(&self, token: &str) -> bool {
        let answer = Request::get(SESSION).key(token).send(self.gateway.public);
        assert!([401, 404].contains(&answer.status), "{answer:?}");
        answer.status == 404
    }

    /// Waits for the token to come into force, and for no other to be left.
    fn changes_over(&self, from: &str, to: &str) {
        wait::until(|| self.takes(to).then_some(())).unwrap();
        assert!(!self.takes(from));
    }

    fn status(&self) -> Value {
        Request::get("/status").send(self.gateway.admin).json()
    }

    /// The value of a metric, with its labels as they are written.
    fn metric(&self, name: &str) -> Option<u64> {
        let metrics = Request::get("/metrics").send(self.gateway.admin).text();
        metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    fn last_reload_successful(&self) -> Option<u64> {
        self.metric("livegate_config_last_reload_successful")
    }

    /// The key that the latest request showed to Azure.
    fn last_key(&self) -> String {
        let requests = self.emulator.requests();
        let headers = requests.last().unwrap()["headers"].as_array().unwrap().clone();
        let mut keys = headers.iter().filter(|header| {
            header[0].as_str().unwrap().eq_ignore_ascii_case("ocp-apim-subscription-key")
        });
        let key = keys.next().unwrap()[1].as_str().unwrap().to_owned();
        assert!(keys.next().is_none(), "{headers:?}");
        key
    }
}

pub(crate) fn hash(token: &str) -> String {
    const_hex::encode(Sha256::digest(token))
}

/// Exchanges a file's content in one step, so that nobody reads half of it.
fn put(path: &Path, content: impl AsRef<[u8]>) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn a_changed_file_is_loaded_though_nobody_says_so() {
    let stage = Stage::set();
    assert!(stage.takes(TOKEN) && !stage.takes(NEW_TOKEN));
    stage.change_token(TOKEN, NEW_TOKEN);
    stage.changes_over(TOKEN, NEW_TOKEN);
    assert_eq!(stage.last_reload_successful(), Some(1));
}

#[test]
fn sighup_loads_the_configuration_again() {
    let stage = Stage::set();
    let unchanged = || stage.metric("livegate_config_reloads_total{result=\"unchanged\"}");
    // Nothing has changed, so that it cannot have been the clock.
    stage.gateway.process.signal("HUP");
    wait::until(|| unchanged().filter(|count| *count == 1)).unwrap();
    stage.change_token(TOKEN, NEW_TOKEN);
    stage.gateway.process.signal("HUP");
    stage.changes_over(TOKEN, NEW_TOKEN);
}

#[test]
fn a_reload_by_hand_is_in_force_when_it_is_answered() {
    let stage = Stage::set();
    for (from, to) in [(TOKEN, NEW_TOKEN), (NEW_TOKEN, TOKEN), (TOKEN, NEW_TOKEN)] {
        stage.change_token(from, to);
        let answer = stage.reload();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(stage.takes(to) && !stage.takes(from));
    }
    let answer = Request::get("/reload").send(stage.gateway.admin);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
}

#[test]
fn a_bad_new_configuration_is_refused_whole() {
    let stage = Stage::set();
    let since = stage.status()["config"]["inForceSince"].clone();
    // Two mistakes, and a token that must not come into force with them.
    stage.exchange(&[
        (&hash(TOKEN), &hash(NEW_TOKEN)),
        ("tier = \"unlimited\"", "tier = \"gold\"\nnonsense = 1"),
    ]);
    wait::until(|| (stage.last_reload_successful() == Some(0)).then_some(())).unwrap();
    assert!(stage.takes(TOKEN) && !stage.takes(NEW_TOKEN));
    assert_eq!(Request::get("/readyz").send(stage.gateway.admin).status, 200);
    let status = stage.status();
    assert_eq!(status["config"]["inForceSince"], since, "{status}");
    let mistakes = status["config"]["lastReloadRefused"]["mistakes"].as_array().unwrap();
    let config = fs::read_to_string(stage.gateway.scratch.path("livegate.toml")).unwrap();
    let told: Vec<_> = mistakes
        .iter()
        .map(|mistake| {
            let line = mistake["line"].as_u64().unwrap();
            let line = config.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
            (line, mistake["message"].as_str().unwrap())
        })
        .collect();
    assert_eq!(told.len(), 2, "{status}");
    assert!(told[0].0.contains("gold") && told[0].1.contains("\"S0\""), "{told:?}");
    assert!(told[1].0.contains("nonsense") && told[1].1.contains("nonsense"), "{told:?}");
    let page = Request::get("/").send(stage.gateway.admin).text();
    assert!(page.contains("was refused") && page.contains("\"S0\""), "{page}");
    let answer = stage.reload();
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("nonsense"), "{}", answer.text());

    stage.exchange(&[("tier = \"gold\"\nnonsense = 1", "tier = \"S0\"")]);
    stage.changes_over(TOKEN, NEW_TOKEN);
    assert_eq!(stage.last_reload_successful(), Some(1));
    assert_eq!(stage.status()["config"]["lastReloadRefused"], Value::Null);
}

#[test]
fn a_refused_reload_tells_no_secret() {
    const SECRET: &str = "9f3cSecretAzureKey7d21";
    let stage = Stage::set();
    let config = fs::read_to_string(stage.gateway.scratch.path("livegate.toml")).unwrap();
    for (good, bad) in [
        ("tier = \"unlimited\"", format!("tier = \"{SECRET}\"")),
        ("tier = \"unlimited\"", format!("\"{SECRET}\" = 1")),
        ("primary = {", format!("secondary = \"{SECRET}\"\nprimary = {{")),
        ("endpoint = \"http://", format!("endpoint = \"http://{SECRET}@")),
        (&hash(TOKEN), SECRET.to_owned()),
    ] {
        assert!(config.contains(good), "{good} is not in {config}");
        put(&stage.gateway.scratch.path("livegate.toml"), config.replace(good, &bad));
        let answer = stage.reload();
        assert_eq!(answer.status, 422, "{bad}");
        let page = |path| Request::get(path).send(stage.gateway.admin).text();
        let pages = page("/status") + &page("/") + &page("/metrics") + &answer.text();
        assert!(pages.contains("livegate.toml"), "{bad}: {pages}");
        let told = pages + &stage.gateway.process.stderr();
        assert!(told.contains("refused") && !told.contains(SECRET), "{bad}: {told}");
        assert!(stage.takes(TOKEN), "{bad}");
    }
}

#[test]
fn what_a_refused_reload_lacked_is_waited_for() {
    let stage = Stage::set();
    stage.exchange(&[
        (&hash(TOKEN), &hash(NEW_TOKEN)),
        ("tier = \"unlimited\"", "tier = \"unlimited\"\nca_file = \"later.pem\""),
    ]);
    let answer = stage.reload();
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(stage.last_reload_successful(), Some(0));
    assert!(stage.takes(TOKEN) && !stage.takes(NEW_TOKEN));
    let authority = fs::read(&stage.gateway.certs.authority).unwrap();
    put(&stage.gateway.scratch.path("later.pem"), authority);
    stage.changes_over(TOKEN, NEW_TOKEN);
    assert_eq!(stage.last_reload_successful(), Some(1));
}

#[test]
fn a_gateway_without_its_key_starts_and_heals() {
    let emulator = Emulator::start();
    let gateway =
        Builder::new(&emulator.url()).app("onboarding", TOKEN, &ALL_ROUTES).keyless().start();
    let stage = Stage { emulator, gateway };
    let ready = Request::get("/readyz").send(stage.gateway.admin);
    assert_eq!((ready.status, ready.text()), (503, "no key is loaded\n".to_owned()));
    assert_eq!(Request::get("/livez").send(stage.gateway.admin).status, 200);
    let answer = stage.gateway.get(SESSION);
    assert_eq!((answer.status, answer.error_code()), (503, "UpstreamUnavailable".to_owned()));
    let after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(answer.header("proxy-status"), Some("livegate; error=proxy_configuration_error"));
    assert_eq!(stage.emulator.requests(), Vec::<Value>::new());

    // White space around it is what editors and `echo` leave.
    put(&stage.gateway.scratch.path("azure.key"), format!(" {AZURE_KEY}\r\n"));
    wait::until(|| (Request::get("/readyz").send(stage.gateway.admin).status == 200).then_some(()))
        .unwrap();
    assert!(stage.takes(TOKEN));
    assert_eq!(stage.last_key(), AZURE_KEY);
}

/// A mounted Kubernetes secret: the file is a link into `..data`, and that is a link which is exchanged.
#[test]
fn a_key_that_is_swapped_behind_a_link_is_used() {
    let stage = Stage::set();
    let scratch = &stage.gateway.scratch;
    for (folder, key) in [("..v1", AZURE_KEY), ("..v2", SECOND_KEY)] {
        fs::create_dir(scratch.path(folder)).unwrap();
        scratch.write(format!("{folder}/azure.key"), key);
    }
    let link = |target: &str, name: &str| {
        symlink(target, scratch.path("link")).unwrap();
        fs::rename(scratch.path("link"), scratch.path(name)).unwrap();
    };
    link("..v1", "..data");
    link("..data/azure.key", "azure.key");
    assert!(stage.takes(TOKEN));
    assert_eq!(stage.last_key(), AZURE_KEY);

    link("..v2", "..data");
    wait::until(|| {
        assert!(stage.takes(TOKEN));
        (stage.last_key() == SECOND_KEY).then_some(())
    })
    .unwrap();
    // Azure retires the old key, and the folder that held it is gone.
    let retired = json!({"slot": 1, "value": "azure-key-three"});
    stage.emulator.control("POST", "/emulator/keys", &retired);
    fs::remove_dir_all(scratch.path("..v1")).unwrap();
    assert!(stage.takes(TOKEN));
    let shown = stage.status()["upstreams"][0]["keys"][0]["fingerprint"].clone();
    assert_eq!(shown.as_str(), hash(SECOND_KEY).get(..8));
}

#[test]
fn a_key_that_goes_bad_leaves_the_last_good_one_whatever_else_changes() {
    let stage = Stage::set();
    let big = json!({"sessionId": "big", "padding": "a".repeat(4 << 10)});
    stage.emulator.put_session(&json!({"id": "big", "final": true, "session_body": big}));
    let get_big = || stage.gateway.get("/face/v1.2/detectLiveness-sessions/big");
    assert_eq!(get_big().json(), big);
    let key = stage.gateway.scratch.path("azure.key");
    let (mut limit, mut least) = ("tier = \"unlimited\"\n".to_owned(), false);
    let (empty, gone): (&dyn Fn(), &dyn Fn()) =
        (&|| put(&key, " \n"), &|| fs::remove_file(&key).unwrap());
    let (folder, binary): (&dyn Fn(), &dyn Fn()) = (&|| fs::create_dir(&key).unwrap(), &|| {
        fs::remove_dir(&key).unwrap();
        put(&key, b"\0\xFF");
    });
    for (what, spoil) in
        [("empty", empty), ("gone", gone), ("a folder", folder), ("no text", binary)]
    {
        least = !least;
        let size = if least { "1KiB" } else { "1MiB" };
        let new = format!("tier = \"unlimited\"\nmax_answer = \"{size}\"\n");
        spoil();
        stage.exchange(&[(&limit, &new)]);
        limit = new;
        let answer = stage.reload();
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert!(stage.takes(TOKEN), "{what}");
        assert_eq!(stage.last_key(), AZURE_KEY, "{what}");
        // The new limit shows that the resource was built anew.
        let status = get_big().status;
        assert_eq!(status, if least { 502 } else { 200 }, "{what}");
        assert_eq!(Request::get("/readyz").send(stage.gateway.admin).status, 200, "{what}");
        let shown = stage.status()["upstreams"][0]["keys"][0]["fingerprint"].clone();
        assert_eq!(shown.as_str(), hash(AZURE_KEY).get(..8), "{what}");
    }
    put(&key, SECOND_KEY);
    wait::until(|| {
        assert!(stage.takes(TOKEN));
        (stage.last_key() == SECOND_KEY).then_some(())
    })
    .unwrap();
}

#[test]
fn a_new_limit_of_bodies_holds_for_connections_that_are_open() {
    let stage = Stage::set();
    let create = json!({
        "livenessOperationMode": "Passive",
        "deviceCorrelationId": "phone",
        "padding": "a".repeat(2 << 10),
    });
    let create = Request::new("POST", CREATE).key(TOKEN).json(&create);
    let mut connection = Connection::open(stage.gateway.public);
    assert_eq!(connection.send(&create).status, 200);
    let config = fs::read_to_string(stage.gateway.scratch.path("livegate.toml")).unwrap();
    let limit = |max: &str| format!("{config}[server]\nmax_body = \"{max}\"\n");
    put(&stage.gateway.scratch.path("livegate.toml"), limit("1KiB"));
    assert_eq!(stage.reload().status, 200);
    let answer = connection.send(&create);
    assert_eq!((answer.status, answer.error_code()), (413, "RequestTooLarge".to_owned()));
    assert_eq!(create.send(stage.gateway.public).status, 413);
    assert_eq!(stage.status()["config"]["waitingForRestart"], json!([]));
    put(&stage.gateway.scratch.path("livegate.toml"), limit("4KiB"));
    assert_eq!(stage.reload().status, 200);
    assert_eq!(create.send(stage.gateway.public).status, 200);
}

#[test]
fn what_needs_a_restart_is_told_and_does_not_happen() {
    let stage = Stage::set();
    let config = fs::read_to_string(stage.gateway.scratch.path("livegate.toml")).unwrap();
    let more = "[[listen]]\naddress = \"127.0.0.2:0\"\n[server]\nmax_streams = 7\n";
    put(&stage.gateway.scratch.path("livegate.toml"), config + more);
    assert_eq!(stage.reload().status, 200);
    let status = stage.status();
    assert_eq!(status["config"]["waitingForRestart"], json!(["[[listen]]", "[server]"]));
    assert!(stage.takes(TOKEN));
}
