//! The emulator over a real socket: what it answers.

mod entra;
mod wire;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

const GA: &str = "/face/v1.2/detectLiveness-sessions";
const PREVIEW: &str = "/face/v1.2-preview.1/detectLiveness/singleModal/sessions";
const WISH: &str =
    r#"{"livenessOperationMode":"Passive","deviceCorrelationId":"d","enableSessionImage":"true"}"#;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

fn start(script: &str) -> Running {
    let script = Some(Script::parse(script).unwrap());
    let listen = "127.0.0.1:0".parse().unwrap();
    let keys = vec!["one".to_owned(), "two".to_owned()];
    let emulator = Emulator::bind(Options { listen, keys, script }).unwrap();
    let address = emulator.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(emulator.run(async { stopped.await.unwrap_or_default() }));
    Running { address, stop, task }
}

impl Running {
    async fn send(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request =
            format!("{head}Host: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// All bytes of the answer.
    async fn raw(&self, method: &str, target: &str, body: &str) -> io::Result<Vec<u8>> {
        let json = "Content-Type: application/json\r\n";
        let head =
            format!("{method} {target} HTTP/1.1\r\nOcp-Apim-Subscription-Key: one\r\n{json}");
        let mut bytes = Vec::new();
        let mut stream = self.send(&head, body).await;
        stream.read_to_end(&mut bytes).await.map(|_| bytes)
    }

    /// Status, head and body of an answer that is whole.
    async fn ask(&self, method: &str, target: &str, body: &str) -> (u16, String, String) {
        let bytes = self.raw(method, target, body).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    async fn json(&self, method: &str, target: &str, body: &str) -> Value {
        let (status, _, body) = self.ask(method, target, body).await;
        assert!(status < 300, "{status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }

    async fn fault(&self, effect: &str) {
        let fault = format!(r#"{{"effect":{effect}}}"#);
        self.json("POST", "/emulator/faults", &fault).await;
    }
}

#[tokio::test]
async fn a_session_lives_and_is_seen_in_both_families() {
    let azure = start("{}");
    let created = azure.json("POST", GA, WISH).await;
    assert_eq!(created["status"], "NotStarted");
    assert_eq!(created["results"], json!({"attempts": []}));
    let id = created["sessionId"].as_str().unwrap();
    azure.json("POST", "/emulator/clock", r#"{"advance_seconds":3}"#).await;
    let ended = azure.json("GET", &format!("/Face/V1.2/detectliveness-SESSIONS/{id}"), "").await;
    assert_eq!(ended["status"], "Succeeded");
    let result = &ended["results"]["attempts"][0]["result"];
    assert_eq!(result["livenessDecision"], "realface");
    assert_eq!(result["digest"], attempt_digest(id, 1));
    let preview = azure.json("GET", &format!("{PREVIEW}/{id}"), "").await;
    assert_eq!(preview["status"], "ResultAvailable");
    assert_eq!(preview["sessionExpired"], true);
    let audit = azure.json("GET", &format!("{PREVIEW}/{id}/audit?start=0&top=5"), "").await;
    assert_eq!(audit, json!([preview["result"]]));
    let image = result["sessionImageId"].as_str().unwrap();
    let image = azure.raw("GET", &format!("/face/v1.2/sessionImages/{image}"), "").await.unwrap();
    assert!(image.ends_with(&derive::image_bytes(id, 1)));
    assert_eq!(azure.ask("DELETE", &format!("{GA}/{id}"), "").await.0, 204);
    let (status, head, body) = azure.ask("GET", &format!("{PREVIEW}/{id}"), "").await;
    assert_eq!(status, 404);
    assert!(
        head.contains("x-ms-error-code: sessionnotfound") && head.contains("apim-request-id: ")
    );
    assert!(body.contains("SessionNotFound"));
}

#[tokio::test]
async fn with_verify_the_pictures_hash_comes_back() {
    let azure = start("{}");
    let form = "--B\r\nContent-Disposition: form-data; name=\"livenessOperationMode\"\r\n\r\nPassive\r\n\
        --B\r\nContent-Disposition: form-data; name=\"deviceCorrelationIdSetInClient\"\r\n\r\ntrue\r\n\
        --B\r\nContent-Disposition: form-data; name=\"returnVerifyImageHash\"\r\n\r\ntrue\r\n\
        --B\r\nContent-Disposition: form-data; name=\"verifyImage\"; filename=\"a\"\r\n\r\nabc\r\n--B--\r\n";
    let path = "/face/v1.2/detectLivenessWithVerify-sessions";
    let head = format!(
        "POST {path} HTTP/1.1\r\nOcp-Apim-Subscription-Key: two\r\nContent-Type: multipart/form-data; boundary=B\r\n"
    );
    let mut answer = String::new();
    azure.send(&head, form).await.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let id = body["sessionId"].as_str().unwrap();
    azure.json("PATCH", &format!("/emulator/sessions/{id}"), r#"{"final":true}"#).await;
    let ended = azure.json("GET", &format!("{path}/{id}"), "").await;
    let result = &ended["results"]["attempts"][0]["result"];
    let abc = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    assert_eq!(result["verifyImageHash"], abc);
    assert_eq!(result["verifyResult"], json!({"matchConfidence": 0.92, "isIdentical": true}));
}

#[tokio::test]
async fn what_azure_refuses_is_refused() {
    let azure = start(r#"{"sessions":[{"id":"s"}]}"#);
    let many = format!("{PREVIEW}?top=1001");
    let wish = |extra: &str| format!(r#"{{"livenessOperationMode":"Passive",{extra}}}"#);
    let short = wish(r#""deviceCorrelationId":"d","authTokenTimeToLiveInSeconds":59"#);
    for (method, target, body, status, code) in [
        ("POST", GA, "{", 400, "InvalidRequestBody"),
        ("POST", GA, "{}", 400, "InvalidLivenessOperationMode"),
        ("POST", GA, &wish(r#""a":1"#), 400, "InvalidDeviceCorrelationId"),
        ("POST", GA, &short, 400, "InvalidTokenLifetime"),
        ("GET", &many, "", 400, "BadArgument"),
        ("GET", &format!("{PREVIEW}/s/audit?start=x"), "", 400, "BadArgument"),
        ("GET", &format!("{GA}/a%20b%2Fc"), "", 404, "SessionNotFound"),
        ("GET", GA, "", 404, "404"),
        ("GET", "/face/v1.2/livenessSessions/s", "", 404, "404"),
        ("POST", "/face/v1.2/detectLivenessWithVerify-sessions", WISH, 415, "BadArgument"),
    ] {
        let (answered, _, text) = azure.ask(method, target, body).await;
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (answered, &value["error"]["code"]),
            (status, &json!(code)),
            "{method} {target} {body}"
        );
    }
}

#[tokio::test]
async fn a_regenerated_key_is_refused_and_the_record_tells() {
    let azure = start(r#"{"sessions":[{"id":"s"}]}"#);
    let target = format!("{GA}/s?x=1");
    assert_eq!(azure.ask("GET", &target, "").await.0, 200);
    let told = azure.json("POST", "/emulator/keys", r#"{"slot":1,"regenerate":true}"#).await;
    assert_eq!(told["keys"], json!([told["value"], "two"]));
    let (status, head, body) = azure.ask("GET", &target, "").await;
    assert_eq!(status, 401);
    assert!(body.contains(r#""code":"401""#) && !head.contains("x-ms-error-code"));
    let records = azure.json("GET", "/emulator/requests", "").await;
    assert_eq!(records[0]["target"], target);
    assert_eq!((&records[0]["key_slot"], &records[0]["status"]), (&json!(1), &json!(200)));
    assert_eq!((&records[1]["key_slot"], &records[1]["status"]), (&json!(null), &json!(401)));
    let key = json!(["ocp-apim-subscription-key", "one"]);
    assert!(records[0]["headers"].as_array().unwrap().contains(&key));
}

#[tokio::test]
async fn limits_are_those_of_the_tier() {
    let azure = start(r#"{"sessions":[{"id":"s"}],"limits":{"tier":"F0","retry_after":true}}"#);
    let target = format!("{GA}/s");
    for _ in 0..20 {
        assert_eq!(azure.ask("GET", &target, "").await.0, 200);
    }
    let (status, head, body) = azure.ask("GET", &target, "").await;
    assert_eq!(status, 429);
    assert!(
        head.contains("retry-after: ") && body.contains(r#""statusCode":429"#),
        "{head} {body}"
    );
    azure.json("POST", "/emulator/clock", r#"{"advance_seconds":61}"#).await;
    assert_eq!(azure.ask("GET", &target, "").await.0, 200);
}

#[tokio::test]
async fn a_body_of_ones_own_is_served_byte_for_byte() {
    let azure = start("{}");
    let body = r#"{ "z":1.0, "a":12345678901234567890 , "é":"\u0041" }"#;
    let put = format!(r#"{{"id":"s","session_body":{body},"audit_body":[ ]}}"#);
    azure.json("POST", "/emulator/sessions", &put).await;
    assert_eq!(azure.ask("GET", &format!("{GA}/s"), "").await.2, body);
    assert_eq!(azure.ask("GET", &format!("{PREVIEW}/s/audit"), "").await.2, "[ ]");
}

#[tokio::test]
async fn the_control_api_explains_what_it_refuses() {
    let azure = start("{}");
    for (method, path, body, status, words) in [
        ("POST", "/emulator/sessions", r#"{"id":"s","plam":{}}"#, 400, "unknown field `plam`"),
        ("POST", "/emulator/keys", r#"{"slot":1}"#, 400, "either"),
        ("PATCH", "/emulator/sessions/none", "{}", 404, "No such session"),
        ("PUT", "/emulator/clock", "{}", 404, "GET /emulator"),
        ("PUT", "/emulator/requests", "{}", 405, "no such method"),
        ("DELETE", "/emulator/faults/7", "", 404, "No such fault"),
    ] {
        let (answered, _, text) = azure.ask(method, path, body).await;
        assert_eq!(answered, status, "{method} {path}");
        assert!(text.contains(words), "{text}");
    }
    let overview = azure.json("GET", "/emulator", "").await;
    assert_eq!(overview["keys"], json!(["one", "two"]));
    assert_eq!(overview["requests"], 0);
}

#[test]
fn it_listens_on_loopback_only_and_takes_two_keys() {
    let bind = |listen: &str, keys: &[&str]| {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let listen = listen.parse().unwrap();
        Emulator::bind(Options { listen, keys, script: None }).map(|emulator| emulator.keys())
    };
    assert!(bind("0.0.0.0:0", &[]).unwrap_err().to_string().contains("loopback only"));
    assert!(bind("127.0.0.1:0", &["a", "b", "c"]).is_err());
    assert!(bind("127.0.0.1:0", &["a b"]).is_err());
    let [first, second] = bind("127.0.0.1:0", &["a"]).unwrap();
    assert_eq!((first.as_str(), second.len()), ("a", 32));
}
