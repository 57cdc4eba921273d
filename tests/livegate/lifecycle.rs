//! From the start to the end: what it begins with, and how it stops.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;

use serde_json::json;

use crate::reload::hash;
use crate::support::emulator::Emulator;
use crate::support::gateway::{ALL_ROUTES, Builder, Gateway, TOKEN};
use crate::support::http::{Connection, Request};
use crate::support::process::Process;
use crate::support::scratch::Scratch;
use crate::support::upstream::{self, Upstream};
use crate::support::wait;

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/abc";

/// What the log says where running requests were cut off.
const CUT: &str = "did not finish in time";

fn refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Sends the signal while a request runs and another connection rests, and looks on.
fn stops_in_order(signal: &str) {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let azure = Upstream::plain(move |_| {
        gate.lock().unwrap().recv().unwrap();
        upstream::answer(200, &[("Content-Type", "application/json")], b"{\"late\":true}")
    });
    let mut gateway = Gateway::before(&azure.url());
    let (public, admin) = (gateway.public, gateway.admin);
    let mut resting = Connection::open(public);
    assert_eq!(resting.send(&Request::get(SESSION)).status, 401);
    let running = thread::spawn(move || Request::get(SESSION).key(TOKEN).send(public));
    wait::until(|| (azure.recorded().len() == 1).then_some(())).unwrap();

    gateway.process.signal(signal);
    wait::until(|| refused(public).then_some(())).unwrap();
    let ready = Request::get("/readyz").send(admin);
    assert_eq!((ready.status, ready.text()), (503, "draining\n".to_owned()));
    assert_eq!(Request::get("/livez").send(admin).status, 200);
    assert!(!running.is_finished());

    release.send(()).unwrap();
    let answer = running.join().unwrap();
    assert_eq!((answer.status, answer.text()), (200, "{\"late\":true}".to_owned()));
    assert_eq!(gateway.process.exit().code(), Some(0), "{}", gateway.process.stderr());
    // The one that rested was not waited for.
    assert!(!gateway.process.stderr().contains(CUT), "{}", gateway.process.stderr());
    assert!(refused(admin));
}

#[test]
fn sigterm_lets_running_requests_end() {
    stops_in_order("TERM");
}

#[test]
fn sigint_lets_running_requests_end() {
    stops_in_order("INT");
}

/// A request that has reached the emulator and is never answered.
fn hang(emulator: &Emulator, gateway: &Gateway) -> Connection {
    emulator.strike_once(&json!("hang"));
    let mut connection = Connection::open(gateway.public);
    let get =
        format!("GET {SESSION} HTTP/1.1\r\nHost: gw\r\nOcp-Apim-Subscription-Key: {TOKEN}\r\n\r\n");
    connection.write(get.as_bytes()).unwrap();
    wait::until(|| (emulator.requests().len() == 1).then_some(())).unwrap();
    connection
}

#[test]
fn streams_of_http_2_end_too() {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let azure = Upstream::plain(move |_| {
        gate.lock().unwrap().recv().unwrap();
        upstream::answer(200, &[("Content-Type", "application/json")], b"{\"late\":true}")
    });
    let mut gateway = Gateway::before(&azure.url());
    let public = gateway.public;
    let running = Command::new("curl")
        .args(["-sS", "--max-time", "60", "--http2-prior-knowledge", "-H"])
        .arg(format!("Ocp-Apim-Subscription-Key: {TOKEN}"))
        .args(["-w", " %{http_version} %{response_code}"])
        .arg(format!("http://{public}{SESSION}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait::until(|| (azure.recorded().len() == 1).then_some(())).unwrap();
    gateway.process.signal("TERM");
    wait::until(|| refused(public).then_some(())).unwrap();
    release.send(()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"late\":true} 2 200");
    assert_eq!(gateway.process.exit().code(), Some(0), "{}", gateway.process.stderr());
    assert!(!gateway.process.stderr().contains(CUT), "{}", gateway.process.stderr());
}

#[test]
fn what_does_not_end_in_time_is_cut_off() {
    let emulator = Emulator::start();
    // Without the cut the app would be told 504.
    let mut gateway = Builder::new(&emulator.url())
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .upstream("timeout = \"15s\"\n")
        .more("[server]\ndrain_timeout = \"100ms\"\n")
        .start();
    let mut connection = hang(&emulator, &gateway);
    assert_eq!(gateway.terminate().code(), Some(0), "{}", gateway.process.stderr());
    let answer = connection.read();
    assert!(answer.is_err(), "{answer:?}");
    assert!(gateway.process.stderr().contains(CUT), "{}", gateway.process.stderr());
}

/// Who cannot wait says so twice.
#[test]
fn a_second_signal_cuts_off_at_once() {
    let emulator = Emulator::start();
    let mut gateway = Builder::new(&emulator.url())
        .app("onboarding", TOKEN, &ALL_ROUTES)
        .upstream("timeout = \"10m\"\n")
        .more("[server]\ndrain_timeout = \"1h\"\n")
        .start();
    let _connection = hang(&emulator, &gateway);
    gateway.process.signal("TERM");
    wait::until(|| refused(gateway.public).then_some(())).unwrap();
    gateway.process.signal("INT");
    assert_eq!(gateway.process.exit().code(), Some(0), "{}", gateway.process.stderr());
}

/// From the moment at which the log names an address, signals mean what they say.
#[test]
fn a_signal_right_after_the_start_is_heard() {
    let certain = "[[listen]]\naddress = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
        [[upstreams]]\nname = \"a\"\nendpoint = \"http://127.0.0.1:9\"\nkeys = { primary = { env = \"NO_KEY\" } }\n\
        [[apps]]\nname = \"a\"\nupstream = \"a\"\ntoken_sha256 = [\"HASH\"]\n";
    for _ in 0..20 {
        let scratch = Scratch::new();
        let path = scratch.write("livegate.toml", certain.replace("HASH", &hash(TOKEN)));
        let args = ["serve".as_ref(), "--config".as_ref(), path.as_os_str()];
        let mut process = Process::livegate(&scratch, "gateway", args);
        process.until("address", |process| process.stderr().contains("listening").then_some(()));
        process.signal("HUP");
        process.signal("TERM");
        assert_eq!(process.exit().code(), Some(0), "{}", process.stderr());
    }
}

/// Runs `livegate serve` with a configuration that it cannot begin with.
fn ends(config: &str) -> (Option<i32>, String) {
    let scratch = Scratch::new();
    let path = scratch.write("livegate.toml", config);
    let args = ["serve".as_ref(), "--config".as_ref(), path.as_os_str()];
    let mut process = Process::livegate(&scratch, "gateway", args);
    let status = process.exit().code();
    assert_eq!(process.stdout(), "");
    (status, process.stderr())
}

#[test]
fn a_bad_configuration_ends_the_start_with_all_mistakes() {
    let (status, told) = ends(
        "[[listen]]\naddress = \"everywhere\"\ntls = { cert = \"no.pem\", key = \"no.key\" }\n\
         [server]\nmax_body = \"8 MB\"\nworker = 1\n\
         [admin]\nlisten = \"127.0.0.1\"\n\
         [[upstreams]]\nname = \"A B\"\nendpoint = \"http://example.test\"\n\
         [upstreams.keys]\nprimary = \"8c1f3b7a-secret\"\n\
         [[apps]]\nname = \"a\"\ntoken_sha256 = [\"12\"]\nupstream = \"nowhere\"\nroutes = [\"all\"]\n",
    );
    assert_eq!(status, Some(2), "{told}");
    for line in [2, 3, 5, 6, 8, 10, 11, 13, 16, 18] {
        assert!(told.contains(&format!("livegate.toml:{line}:")), "line {line} is not in {told}");
    }
    assert!(!told.contains("8c1f3b7a"), "{told}");
    assert!(told.lines().all(|line| line.contains("livegate.toml:")), "{told}");

    let (status, told) = ends("[[listen]\naddress = 1\n");
    assert_eq!((status, told.contains("livegate.toml:1:")), (Some(2), true), "{told}");
}

#[test]
fn no_configuration_at_all_is_a_mistake_too() {
    let scratch = Scratch::new();
    let path = scratch.path("absent.toml");
    let args = ["serve".as_ref(), "--config".as_ref(), path.as_os_str()];
    let mut process = Process::livegate(&scratch, "gateway", args);
    assert_eq!(process.exit().code(), Some(2), "{}", process.stderr());
    assert!(process.stderr().contains("absent.toml"), "{}", process.stderr());
}

#[test]
fn addresses_in_use_end_the_start_and_are_all_told() {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [first, second, admin] = listeners.each_ref().map(|taken| taken.local_addr().unwrap());
    let (status, told) = ends(&format!(
        "[[listen]]\naddress = \"{first}\"\n[[listen]]\naddress = \"{second}\"\n\
         [admin]\nlisten = \"{admin}\"\n\
         [[upstreams]]\nname = \"a\"\nendpoint = \"http://127.0.0.1:9\"\n\
         [upstreams.keys]\nprimary = {{ file = \"none\" }}\n\
         [[apps]]\nname = \"a\"\ntoken_sha256 = [\"{}\"]\nupstream = \"a\"\n",
        hash(TOKEN)
    ));
    assert_eq!(status, Some(1), "{told}");
    for address in [first, second, admin] {
        assert!(told.contains(&format!("cannot listen at {address}")), "{told}");
    }
}
