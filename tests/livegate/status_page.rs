//! The status page, in a real browser.

use serde_json::{Value, json};

use crate::support::emulator::{Emulator, SECOND_KEY};
use crate::support::gateway::{ALL_ROUTES, AZURE_KEY, Builder, Gateway, TOKEN};
use crate::support::http::Request;
use crate::support::kit::Kit;
use crate::support::wait;

const SESSIONS: &str = "/face/v1.2/detectLiveness-sessions";
/// What a browser says that it takes.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// With two keys, of which the second is proven, and sessions that ended well and badly.
fn stage() -> (Emulator, Gateway) {
    let emulator = Emulator::start();
    let gateway = Builder::new(&emulator.url())
        .authority(
            "[upstreams.keys]\nprimary = { file = \"key-1\" }\nsecondary = { file = \"key-2\" }\n",
        )
        .file("key-1", AZURE_KEY)
        .file("key-2", SECOND_KEY)
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .cache("")
        .start();
    for (id, decision) in [("a", "realface"), ("b", "spoofface")] {
        emulator.put_session(
            &json!({"id": id, "final": true, "plan": {"attempts": [{"decision": decision}]}}),
        );
        let session = Request::get(&format!("{SESSIONS}/{id}")).key(TOKEN);
        let session = session.header("Liveness-Client-Digest", DIGEST);
        assert_eq!(session.send(gateway.public).status, 200);
    }
    assert_eq!(gateway.get(&format!("{SESSIONS}/a")).status, 200);
    assert_eq!(gateway.get("/nowhere").status, 404);
    (emulator, gateway)
}

fn look(gateway: &Gateway, width: u32, scheme: &str) -> Value {
    let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let chromium = chromium.iter().find(|path| std::path::Path::new(path).exists());
    let chromium = chromium.expect("the tests of the status page need Chromium");
    let url = format!("http://{}/", gateway.admin);
    let output = Kit::Browser.driver().args([chromium, &*url, &width.to_string(), scheme]).output();
    let output = output.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// What must hold of the page whatever it says.
#[track_caller]
fn readable(seen: &Value, gateway: &Gateway) {
    assert_eq!(seen["status"], 200);
    assert_eq!(seen["complaints"], json!([]), "{seen}");
    assert_eq!((&seen["overflow"], &seen["scripts"]), (&json!(0), &json!(0)), "{seen}");
    assert!(seen["smallest"].as_f64().unwrap() >= 14.0, "{seen}");
    assert_eq!(seen["again"], true, "it does not load itself anew");
    let page = format!("http://{}/", gateway.admin);
    let others: Vec<_> =
        seen["fetched"].as_array().unwrap().iter().filter(|url| **url != *page).collect();
    assert!(others.iter().all(|url| url.as_str().unwrap().starts_with("data:")), "{others:?}");
}

/// How bright `rgb(r, g, b)` is, from 0 to 255.
fn brightness(colour: &Value) -> u32 {
    let digits = colour.as_str().unwrap().trim_start_matches("rgb(").trim_end_matches(')');
    digits.split(", ").map(|part| part.parse::<u32>().unwrap()).sum::<u32>() / 3
}

#[track_caller]
fn says(seen: &Value, what: &str) {
    assert!(seen["text"].as_str().unwrap().contains(what), "no {what:?} in {}", seen["text"]);
}

#[test]
fn a_person_sees_how_it_is_on_a_phone_and_on_a_desk_in_light_and_dark() {
    let (_emulator, gateway) = stage();
    let safe = || {
        let status = Request::get("/status").send(gateway.admin).json();
        status["upstreams"][0]["keys"][1]["verdict"] == "safe to regenerate"
    };
    wait::until(|| safe().then_some(())).unwrap();
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
        let seen = look(&gateway, width, scheme);
        readable(&seen, &gateway);
        assert_eq!(seen["title"], "livegate: ready");
        for what in ["ready", "Azure: emulated", "not safe to regenerate", "safe to regenerate"] {
            says(&seen, what);
        }
        for what in ["realface", "spoofface", "mismatch", "no_route", "of the answers cost no call"]
        {
            says(&seen, what);
        }
        assert_eq!(seen["bad"], json!([]), "{width} {scheme}");
        assert!(seen["good"].as_array().unwrap().contains(&json!("ready")));
        let (ink, paper) = (brightness(&seen["ink"]), brightness(&seen["paper"]));
        let dark = scheme == "dark";
        assert!(
            if dark { paper + 150 < ink } else { ink + 150 < paper },
            "{scheme}: {ink} on {paper}"
        );
        for secret in [AZURE_KEY, SECOND_KEY, TOKEN] {
            assert!(!seen["text"].as_str().unwrap().contains(secret));
        }
    }
}

#[test]
fn a_person_sees_what_is_wrong() {
    let (emulator, gateway) = stage();
    let config = gateway.scratch.path("livegate.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, good.replace("[[apps]]", "<script>alert(1)</script>\n[[apps]]"))
        .unwrap();
    assert_eq!(Request::new("POST", "/reload").send(gateway.admin).status, 422);
    emulator.strike_once(&json!({"status": {"status": 500}}));
    gateway.get(&format!("{SESSIONS}/c"));
    gateway.get(&format!("{SESSIONS}/d"));
    drop(emulator);
    gateway.get(&format!("{SESSIONS}/e"));
    let seen = look(&gateway, 360, "light");
    readable(&seen, &gateway);
    for what in ["was refused; what was in force still is", "in trouble at", "connect"] {
        says(&seen, what);
    }
    assert!(seen["bad"].as_array().unwrap().len() >= 2, "{seen}");
}

#[test]
fn who_has_no_browser_gets_lines() {
    let (_emulator, gateway) = stage();
    let page = Request::get("/").header("Accept", BROWSER).send(gateway.admin);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(
        (page.header("vary"), page.header("cache-control")),
        (Some("Accept"), Some("no-store"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for accept in ["*/*", "text/plain", "application/json"] {
        let lines = Request::get("/").header("Accept", accept).send(gateway.admin);
        assert_eq!(lines.header("content-type"), Some("text/plain; charset=utf-8"), "{accept}");
    }
    let lines = Request::get("/").send(gateway.admin).text();
    assert!(lines.starts_with("livegate ") && lines.contains("decisions of the last"), "{lines}");
    let status = Request::get("/status").send(gateway.admin).json();
    let recently = &status["recently"];
    assert_eq!(recently["decisions"]["spoofface"]["count"], 1, "{recently}");
    assert_eq!(recently["digests"]["mismatch"]["count"], 2, "{recently}");
    assert_eq!(
        (&recently["memory"]["hit"]["count"], &recently["memory"]["miss"]["count"]),
        (&json!(1), &json!(2))
    );
}
