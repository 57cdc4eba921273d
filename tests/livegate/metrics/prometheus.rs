//! A real Prometheus reads a gateway that has seen everything; the rules and the dashboard find what they ask for.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::promtool;
use crate::support::emulator::{Emulator, SECOND_KEY};
use crate::support::free;
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, Gateway, TOKEN};
use crate::support::http::Request;
use crate::support::process::Process;
use crate::support::scratch::Scratch;
use crate::support::wait;

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
const VERIFY: &str = "/face/v1.2/detectLivenessWithVerify-sessions";
const AUDIT: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Killed when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _scratch: Scratch,
}

impl Prometheus {
    /// With the configuration of `deploy`, but for the gateway's address and how often it is looked at.
    fn before(admin: &str) -> Self {
        let scratch = Scratch::new();
        let config = fs::read_to_string(deployed("prometheus/prometheus.yml")).unwrap();
        let folder = deployed("prometheus");
        let config = config
            .replace("scrape_interval: 5s", "scrape_interval: 250ms")
            .replace("evaluation_interval: 15s", "evaluation_interval: 500ms")
            .replace("127.0.0.1:9464", admin)
            .replace("- livegate.", &format!("- {}/livegate.", folder.display()));
        let config = scratch.write("prometheus.yml", config);
        // Nobody else takes it within the moment that it is free.
        let address = free::address();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", scratch.path("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tests of the metrics need Prometheus");
        Self { child, address, _scratch: scratch }
    }

    fn ask(&self, path: &str) -> Option<Value> {
        let answer = Request::get(path).try_send(self.address).ok()?;
        serde_json::from_slice(&answer.body).ok()
    }

    fn until_it_reads(&self) {
        let up = wait::until(|| {
            let told = self.ask("/api/v1/query?query=up")?;
            (told["data"]["result"][0]["value"][1] == "1").then_some(())
        });
        assert!(up.is_some(), "Prometheus does not read the gateway");
    }

    /// Waits until a query returns something.
    #[track_caller]
    fn finds(&self, query: &str) {
        let found = wait::until(|| Some(self.query(query)).filter(|found| !found.is_empty()));
        assert!(found.is_some(), "{query} returns nothing");
    }

    /// The series that a query returns.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let told = self.ask(&format!("/api/v1/query?query={encoded}")).unwrap();
        assert_eq!(told["status"], "success", "{query}: {told}");
        told["data"]["result"].as_array().unwrap().clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A gateway with TLS and two keys, and traffic of every kind.
fn stage() -> (Emulator, Gateway) {
    let emulator = Emulator::start();
    let gateway = Builder::new(&emulator.url())
        .authority(
            "[upstreams.keys]\nprimary = { file = \"key-1\" }\nsecondary = { file = \"key-2\" }\n",
        )
        .file("key-1", AZURE_KEY)
        .file("key-2", SECOND_KEY)
        .upstream("probe = \"1s\"\n")
        .tls()
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .cache("")
        .start();
    // With a limit that there is something to tell of.
    let config = gateway.scratch.path("livegate.toml");
    let limited = fs::read_to_string(&config).unwrap().replace("\"unlimited\"", "\"S0\"");
    fs::write(config, limited).unwrap();
    assert_eq!(Request::new("POST", "/reload").send(gateway.admin).status, 200);
    traffic(&emulator, &gateway, 1);
    (emulator, gateway)
}

/// Sessions that nobody has seen before, and all that can be asked about them.
fn traffic(emulator: &Emulator, gateway: &Gateway, round: u32) {
    let id = |name: &str| format!("{name}-{round}");
    for (name, decision, confidence) in
        [("a", "realface", 0.92), ("b", "spoofface", 0.31), ("c", "uncertain", 0.92)]
    {
        let failed = json!({"error": "FaceWithMaskDetected"});
        let plan = json!({"attempts": [failed, {"decision": decision, "verify": {"confidence": confidence}}]});
        emulator.put_session(&json!({"id": id(name), "final": true, "plan": plan}));
        let twin = json!({"id": id(name), "final": true, "plan": plan, "operation": "liveness_with_verify"});
        drop(emulator.control("POST", "/emulator/sessions", &twin));
    }
    for id in ["a", "b", "c", "nobody"].map(id) {
        for target in
            [format!("{SESSIONS}/{id}"), format!("{VERIFY}/{id}"), format!("{AUDIT}/{id}/audit")]
        {
            let request = Request::get(&target).key(TOKEN);
            request.header("Liveness-Client-Digest", &"0".repeat(64)).send(gateway.public);
            gateway.get(&target);
            Request::get(&target).send(gateway.public);
        }
    }
    // One that asks for no rest, so that what follows reaches it.
    let throttled = json!({"status": {"status": 429, "message": "Slow down."}});
    for effect in [throttled, json!({"status": {"status": 500}}), json!("reset")] {
        emulator.strike_once(&effect);
        gateway.get(&format!("{SESSIONS}/nobody"));
    }
    gateway.get("/nowhere");
    let wish = json!({"livenessOperationMode": "Passive", "deviceCorrelationId": "phone"});
    Request::new("POST", SESSIONS).json(&wish).key(TOKEN).send(gateway.public);
    Request::new("DELETE", &format!("{SESSIONS}/c-{round}")).key(TOKEN).send(gateway.public);
    for target in [
        "/keys/emulated/use?slot=secondary",
        "/keys/emulated/use?slot=primary",
        "/reload",
        "/cache/purge",
    ] {
        Request::new("POST", target).send(gateway.admin);
    }
}

/// The queries of the dashboard, with values in the place of its variables.
fn dashboard() -> Vec<String> {
    fn queries(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| queries(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| queries(value, found)),
            _ => {}
        }
    }
    let text = fs::read_to_string(deployed("grafana/livegate.json")).unwrap();
    let mut found = Vec::new();
    queries(&serde_json::from_str(&text).unwrap(), &mut found);
    let given = |query: String| {
        query
            .replace("$instance", ".*")
            .replace("$upstream", ".*")
            .replace("$__rate_interval", "1m")
            .replace("$__range", "1m")
            .replace("$__interval", "1m")
            .replace("offset 1d", "")
    };
    found.into_iter().map(given).collect()
}

/// The queries of the rules and alerts.
fn rules() -> Vec<String> {
    let mut queries = Vec::new();
    for file in ["prometheus/livegate.rules.yml", "prometheus/livegate.alerts.yml"] {
        let text = fs::read_to_string(deployed(file)).unwrap();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(begun) = line.trim().strip_prefix("expr:") else {
                continue;
            };
            let mut query = begun.trim().trim_start_matches(">-").to_owned();
            let indent = line.len() - line.trim_start().len();
            while let Some(more) =
                lines.next_if(|more| more.len() - more.trim_start().len() > indent)
            {
                query.push(' ');
                query.push_str(more.trim());
            }
            queries.push(query);
        }
    }
    queries
}

/// The metrics that a query names.
fn named(query: &str) -> BTreeSet<&str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    words.filter(|word| word.starts_with("livegate_") || word.starts_with("process_")).collect()
}

/// Whether a family of this name is in the table of metrics, or one of the process'.
fn exists(name: &str) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics.rs");
    let source = fs::read_to_string(source).unwrap();
    let ends = ["", "_bucket", "_sum", "_count"];
    let mut families = ends.iter().filter_map(|end| name.strip_suffix(end));
    families.any(|family| match family.strip_prefix("livegate_") {
        Some(family) => source.contains(&format!("    {family}: ")),
        None => family.starts_with("process_"),
    })
}

#[test]
fn a_prometheus_reads_it_and_finds_what_is_asked_for() {
    let (emulator, gateway) = stage();
    let prometheus = Prometheus::before(&gateway.admin.to_string());
    prometheus.until_it_reads();
    traffic(&emulator, &gateway, 2);
    let (rules, dashboard) = (rules(), dashboard());
    assert!(rules.len() > 30 && dashboard.len() > 60, "{} {}", rules.len(), dashboard.len());
    for query in rules.iter().chain(&dashboard) {
        for name in named(query) {
            assert!(exists(name), "{query} asks for {name}, which there is not");
        }
        prometheus.query(query);
    }
    // What a person asks first has an answer. A rate wants two readings.
    for query in [
        "livegate_key_active == 1",
        "job:livegate_saved:ratio_rate5m",
        "job:livegate_upstream_seconds:p95_5m",
        "job:livegate_gateway_seconds:p95_5m",
        "job:livegate_decided:ratio1h{decision=\"spoofface\"}",
        "job:livegate_failed:ratio_rate5m",
        "job:livegate_slow:ratio_rate5m",
        "livegate_tls_certificate_not_after_timestamp_seconds{role=\"server\"} > time()",
        "livegate_build_info",
    ] {
        prometheus.finds(query);
    }
    let empty: Vec<_> =
        dashboard.iter().filter(|query| prometheus.query(query).is_empty()).collect();
    let told = empty.iter().filter(|query| !named(query).iter().any(|name| seldom(name)));
    let told: Vec<_> = told.collect();
    assert!(told.is_empty(), "{} of {} return nothing: {told:#?}", told.len(), dashboard.len());
    // What happened here is what alerts are about; nothing else is told.
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}");
    for alert in &firing {
        let name = alert["metric"]["alertname"].as_str().unwrap();
        assert_eq!(name, "LivegateDigestMismatch", "{alert}");
    }
}

/// The demo is what people look at first, and it has what the first questions ask for.
#[test]
fn a_prometheus_reads_the_demo() {
    let scratch = Scratch::new();
    let mut demo = Process::livegate(&scratch, "demo", ["demo"]);
    let admin = demo.until("address of the admin port", |demo| {
        let told = demo.stdout();
        let (_, rest) = told.split_once("its admin port is http://")?;
        Some(rest.split_once(['\n', ' '])?.0.trim_end_matches('.').to_owned())
    });
    let prometheus = Prometheus::before(&admin);
    prometheus.until_it_reads();
    for query in [
        "livegate_key_active == 1",
        "job:livegate_upstream_seconds:p95_5m > 0",
        "job:livegate_gateway_seconds:p95_5m > 0",
        "job:livegate_saved:ratio_rate5m > 0",
        "sum by (decision) (livegate_liveness_attempts_total{decision=\"spoofface\"}) > 0",
        "livegate_build_info == 1",
    ] {
        prometheus.finds(query);
    }
    assert_eq!(demo.terminate().code(), Some(0));
}

/// What this gateway has no cause to tell: it has no token, and has not gone over to another key by itself.
fn seldom(name: &str) -> bool {
    name.contains("expiry") || name.contains("key_active")
}

#[test]
fn rules_and_alerts_are_good_and_tested() {
    let folder = deployed("prometheus");
    let file = |name: &str| folder.join(name).display().to_string();
    for arguments in [
        vec!["check".to_owned(), "config".to_owned(), file("prometheus.yml")],
        vec![
            "check".to_owned(),
            "rules".to_owned(),
            file("livegate.rules.yml"),
            file("livegate.alerts.yml"),
        ],
        vec![
            "test".to_owned(),
            "rules".to_owned(),
            file("tests/alerts.yml"),
            file("tests/days.yml"),
        ],
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (content, told) = promtool(&arguments, "");
        assert!(content, "{told}");
    }
    let alerts = fs::read_to_string(folder.join("livegate.alerts.yml")).unwrap();
    let tests = fs::read_to_string(folder.join("tests/alerts.yml")).unwrap()
        + &fs::read_to_string(folder.join("tests/days.yml")).unwrap();
    let guide =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md"))
            .unwrap();
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is never seen to fire");
        assert!(
            guide.contains(&format!("\n### {name}\n")),
            "docs/OPERATIONS.md says nothing of {name}"
        );
        let runbook = format!("runbook_url: docs/OPERATIONS.md#{}\n", name.to_lowercase());
        assert!(alerts.contains(&runbook), "{name} names no runbook");
    }
}

/// Every metric has its row in the guide, and the guide names none that there is not.
#[test]
fn the_guide_names_every_metric_there_is() {
    let (_emulator, gateway) = stage();
    let metrics = Request::get("/metrics").send(gateway.admin).text();
    let there: BTreeSet<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .filter(|name| name.starts_with("livegate_"))
        .collect();
    let guide =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md"))
            .unwrap();
    let rows =
        guide.lines().filter_map(|line| line.strip_prefix("| `livegate_")?.split('`').next());
    let rows: BTreeSet<String> = rows.map(|row| format!("livegate_{row}")).collect();
    let missing: Vec<_> = there.iter().filter(|name| !rows.contains(**name)).collect();
    assert!(missing.is_empty(), "not in docs/OPERATIONS.md: {missing:?}");
    let source =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics.rs")).unwrap();
    for row in &rows {
        let name = row.trim_start_matches("livegate_");
        assert!(source.contains(&format!("    {name}: ")), "{row} is no metric");
    }
}
