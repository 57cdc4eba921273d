//! TLS of the public side: versions, protocols, who may come in, and certificates that change while it runs.

mod client;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;

use self::client::*;
use crate::support::certs::{Certs, Pair};
use crate::support::emulator::Emulator;
use crate::support::free;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Answer, Request};
use crate::support::scratch::Scratch;
use crate::support::wait;

/// A `[[listen]]` with TLS as the server of these, and more in its `tls`.
fn listener(address: SocketAddr, certs: &Certs, more: &str) -> String {
    let Pair { cert, key } = &certs.server;
    format!(
        "[[listen]]\naddress = \"{address}\"\ntls = {{ cert = {cert:?}, key = {key:?}{more} }}\n"
    )
}

/// What a listener's `tls` says so that clients need a certificate of these.
fn client_ca(certs: &Certs) -> String {
    format!(", client_ca = {:?}", certs.authority)
}

fn certified() -> (Scratch, Certs) {
    let scratch = Scratch::new();
    let certs = Certs::new(&scratch);
    (scratch, certs)
}

struct Stage {
    gateway: Gateway,
    certs: Certs,
    _scratch: Scratch,
    _emulator: Emulator,
}

impl Stage {
    /// A gateway with the listeners that are made of its certificates.
    fn set(listeners: impl FnOnce(&Certs) -> String) -> Self {
        let (scratch, certs) = certified();
        let emulator = Emulator::start();
        let gateway = Builder::new(&emulator.url())
            .app("onboarding", TOKEN, &ALL_ROUTES)
            .more(&listeners(&certs))
            .start();
        Self { gateway, certs, _scratch: scratch, _emulator: emulator }
    }

    /// Exchanges one part of the configuration for another, and has it loaded.
    fn exchange(&self, old: &str, new: &str) -> Answer {
        let path = self.gateway.scratch.path("livegate.toml");
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains(old), "{old} is not in {config}");
        put(&path, config.replace(old, new));
        self.reload()
    }

    fn reload(&self) -> Answer {
        Request::new("POST", "/reload").send(self.gateway.admin)
    }
}

/// Exchanges a file's content in one step, so that nobody reads half of it.
fn put(path: &Path, content: impl AsRef<[u8]>) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn versions_and_protocols_are_agreed_on() {
    let address = free::address();
    let stage = Stage::set(|certs| listener(address, certs, ""));
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        for (offered, agreed, http) in [
            (&["h2", "http/1.1"][..], Some("h2"), hyper::Version::HTTP_2),
            (&["http/1.1", "h2"], Some("h2"), hyper::Version::HTTP_2),
            (&["h2"], Some("h2"), hyper::Version::HTTP_2),
            (&["http/1.1"], Some("http/1.1"), hyper::Version::HTTP_11),
            (&[], None, hyper::Version::HTTP_11),
        ] {
            let visit = visit(address, &client(&stage.certs, &[version], None, offered)).unwrap();
            visit.was_served();
            assert_eq!(
                (visit.version, visit.protocol.as_deref(), visit.http),
                (Some(name), agreed, http),
                "{offered:?}"
            );
        }
    }
    // RFC 7301 §3.2: no protocol in common is an alert and not a guess.
    let stranger = client(&stage.certs, BOTH, None, &["spdy/3.1"]);
    assert_eq!(refusal(address, &stranger), AlertDescription::NoApplicationProtocol);
}

/// It costs neither the listener nor anybody else, and plain HTTP gets no answer that could be mistaken for one.
#[test]
fn what_is_not_tls_is_let_go() {
    let address = free::address();
    let stage = Stage::set(|certs| listener(address, certs, ""));
    for bytes in [
        format!("GET {SESSION} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n"),
        "\u{16}\u{3}\u{1}\0\u{5}nonsense".to_owned(),
    ] {
        let seen = wait_for(async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(bytes.as_bytes()).await?;
            let mut seen = Vec::new();
            // An end and a reset are both right.
            drop(stream.read_to_end(&mut seen).await);
            Ok(seen)
        });
        assert!(!seen.unwrap().starts_with(b"HTTP"), "{bytes:?}");
    }
    visit(address, &client(&stage.certs, BOTH, None, &["h2"])).unwrap().was_served();
}

#[test]
fn only_clients_with_a_certificate_of_the_authority_come_in() {
    let address = free::address();
    let stage = Stage::set(|certs| listener(address, certs, &client_ca(certs)));
    let (_scratch, other) = certified();
    let certs = &stage.certs;
    for version in [&TLS12, &TLS13] {
        let nobody = client(certs, &[version], None, &["h2"]);
        // RFC 8446 §6.2 has a name for it; in TLS 1.2 it is a failed handshake (RFC 5246 §7.4.6).
        let missing = if version.version == ProtocolVersion::TLSv1_3 {
            AlertDescription::CertificateRequired
        } else {
            AlertDescription::HandshakeFailure
        };
        let told = refusal(address, &nobody);
        assert!([missing, AlertDescription::CertificateRequired].contains(&told), "{told:?}");
        // Both authorities have one name, so that it is the signature that tells.
        let stranger = client(certs, &[version], Some(&other.client), &["h2"]);
        assert_eq!(refusal(address, &stranger), AlertDescription::DecryptError);
        // A server's certificate is none for clients, though the authority is the right one.
        let server = client(certs, &[version], Some(&certs.server), &["h2"]);
        refusal(address, &server);
        for protocol in ["h2", "http/1.1"] {
            let known = client(certs, &[version], Some(&certs.client), &[protocol]);
            visit(address, &known).unwrap().was_served();
        }
    }
}

#[test]
fn where_a_certificate_is_optional_a_wrong_one_is_still_refused() {
    let address = free::address();
    let optional = |certs: &Certs| {
        listener(address, certs, &format!("{}, client_auth = \"optional\"", client_ca(certs)))
    };
    let stage = Stage::set(optional);
    let (_scratch, other) = certified();
    let certs = &stage.certs;
    visit(address, &client(certs, BOTH, None, &["h2"])).unwrap().was_served();
    visit(address, &client(certs, BOTH, Some(&certs.client), &["h2"])).unwrap().was_served();
    let stranger = client(certs, BOTH, Some(&other.client), &["h2"]);
    assert_eq!(refusal(address, &stranger), AlertDescription::DecryptError);
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let address = free::address();
    let stage = Stage::set(|certs| listener(address, certs, ""));
    let (_scratch, new) = certified();
    let before = client(&stage.certs, BOTH, None, &["h2"]);
    let after = client(&new, BOTH, None, &["h2"]);
    let old = visit(address, &before).unwrap();
    assert_eq!(old.certificate, certificate(&stage.certs.server.cert));
    visit(address, &after).unwrap_err();

    // Nobody tells the gateway, and for a moment the key does not fit.
    let Pair { cert, key } = &stage.certs.server;
    put(cert, fs::read(&new.server.cert).unwrap());
    put(key, fs::read(&new.server.key).unwrap());
    let shown = wait::until(|| visit(address, &after).ok()).unwrap();
    shown.was_served();
    assert_eq!(shown.certificate, certificate(&new.server.cert));
    visit(address, &before).unwrap_err();

    let (_another_scratch, another) = certified();
    for (what, path, content, told) in [
        ("no PEM", cert, b"nothing of use".to_vec(), "no PEM certificate"),
        ("a foreign certificate", cert, fs::read(&another.server.cert).unwrap(), "do not fit"),
        ("an empty key", key, Vec::new(), "no PEM private key"),
    ] {
        let good = fs::read(path).unwrap();
        put(path, content);
        let answer = stage.reload();
        assert_eq!(
            (answer.status, answer.text().contains(told)),
            (422, true),
            "{what}: {answer:?}"
        );
        let status = Request::get("/status").send(stage.gateway.admin).json();
        let mistakes = status["config"]["lastReloadRefused"]["mistakes"].as_array().unwrap();
        assert_eq!(mistakes.len(), 1, "{what}: {status}");
        assert!(mistakes[0]["message"].as_str().unwrap().contains(told), "{what}: {status}");
        let still = visit(address, &after).unwrap();
        still.was_served();
        assert_eq!(still.certificate, shown.certificate, "{what}");
        put(path, good);
        assert_eq!(stage.reload().status, 200, "{what}");
    }
    let status = Request::get("/status").send(stage.gateway.admin).json();
    assert_eq!(status["config"]["lastReloadRefused"], Value::Null, "{status}");
    assert_eq!(status["config"]["waitingForRestart"], json!([]), "{status}");
}

/// A connection that was there before goes on with the certificate that it began with.
#[test]
fn a_new_certificate_ends_no_connection() {
    let address = free::address();
    let stage = Stage::set(|certs| listener(address, certs, ""));
    let (_scratch, new) = certified();
    let config = client(&stage.certs, BOTH, None, &["http/1.1"]);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(connect(address, config)).unwrap();
    let (mut sender, connection) =
        runtime.block_on(http1::handshake(TokioIo::new(stream))).unwrap();
    runtime.spawn(connection);
    let mut ask = || {
        let request = hyper::Request::get(SESSION)
            .header("Host", "localhost")
            .header("Ocp-Apim-Subscription-Key", TOKEN)
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = runtime.block_on(async {
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            let status = answer.status().as_u16();
            answer.into_body().collect().await.map(|_| status)
        });
        answer.unwrap()
    };
    assert_eq!(ask(), 404);
    put(&stage.certs.server.cert, fs::read(&new.server.cert).unwrap());
    put(&stage.certs.server.key, fs::read(&new.server.key).unwrap());
    assert_eq!(stage.reload().status, 200);
    visit(address, &client(&new, BOTH, None, &["h2"])).unwrap().was_served();
    assert_eq!(ask(), 404);
}

#[test]
fn a_listener_keeps_its_own_rules_wherever_it_stands() {
    let (strict, open) = (free::address(), free::address());
    let in_order = |certs: &Certs, first: SocketAddr, second: SocketAddr| {
        let one = |address| {
            let more = if address == strict { client_ca(certs) } else { String::new() };
            listener(address, certs, &more)
        };
        one(first) + &one(second)
    };
    let stage = Stage::set(|certs| in_order(certs, strict, open));
    let certs = &stage.certs;
    let nobody = client(certs, BOTH, None, &["h2"]);
    let known = client(certs, BOTH, Some(&certs.client), &["h2"]);
    let holds = || {
        assert_eq!(refusal(strict, &nobody), AlertDescription::CertificateRequired);
        visit(strict, &known).unwrap().was_served();
        visit(open, &nobody).unwrap().was_served();
    };
    holds();
    let (there, swapped) = (in_order(certs, strict, open), in_order(certs, open, strict));
    let answer = stage.exchange(&there, &swapped);
    assert_eq!(answer.status, 200, "{}", answer.text());
    holds();
    // Without its neighbour it is still itself, and so is the neighbour, which stays until a restart.
    let answer = stage.exchange(&swapped, &listener(open, certs, ""));
    assert_eq!(answer.status, 200, "{}", answer.text());
    holds();
}

#[test]
fn new_rules_about_clients_come_into_force_by_a_reload() {
    let (first, second) = (free::address(), free::address());
    let rules = |certs: &Certs, strict: SocketAddr| {
        [first, second].map(|address| {
            let more = if address == strict { client_ca(certs) } else { String::new() };
            listener(address, certs, &more)
        })
    };
    let stage = Stage::set(|certs| rules(certs, first).concat());
    let certs = &stage.certs;
    let nobody = client(certs, BOTH, None, &["h2"]);
    assert_eq!(refusal(first, &nobody), AlertDescription::CertificateRequired);
    visit(second, &nobody).unwrap().was_served();
    let answer = stage.exchange(&rules(certs, first).concat(), &rules(certs, second).concat());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(refusal(second, &nobody), AlertDescription::CertificateRequired);
    visit(first, &nobody).unwrap().was_served();
}
