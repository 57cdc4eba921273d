//! The emulator over a real socket: what it does to its answers and its connections.

use std::time::Duration;

use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn connections_break_as_they_are_told() {
    let azure = start(r#"{"sessions":[{"id":"s"}]}"#);
    let target = format!("{GA}/s");
    azure.fault(r#""reset""#).await;
    let broken = azure.raw("GET", &target, "").await.unwrap_err();
    assert_eq!(broken.kind(), io::ErrorKind::ConnectionReset);
    azure.fault(r#""close""#).await;
    assert_eq!(azure.raw("GET", &target, "").await.unwrap(), b"");
    azure.fault(r#""garbage_http""#).await;
    let garbage = azure.raw("GET", &target, "").await.unwrap();
    assert!(!garbage.is_empty() && !garbage.starts_with(b"HTTP"));
    azure.fault(r#"{"truncated":{"keep_bytes":10}}"#).await;
    let (status, head, body) = azure.ask("GET", &target, "").await;
    assert_eq!((status, body.len()), (200, 10));
    assert!(!head.contains("content-length: 10\r\n") && head.contains("content-length: "));
    azure.fault(r#"{"truncated":{"keep_bytes":10,"reset":true}}"#).await;
    assert!(azure.raw("GET", &target, "").await.is_err());
    assert_eq!(azure.ask("GET", &target, "").await.0, 200);
    let records = azure.json("GET", "/emulator/requests", "").await;
    assert_eq!(records[0]["status"], json!(null));
    assert_eq!(records[0]["faults"], json!([1]));
}

#[tokio::test]
async fn answers_are_late_slow_endless_or_never() {
    let azure = start(r#"{"sessions":[{"id":"s"}]}"#);
    let target = format!("{GA}/s");
    let begun = tokio::time::Instant::now();
    azure.fault(r#"{"delay":{"ms":150}}"#).await;
    azure.fault(r#"{"slow_body":{"ms_per_chunk":50,"chunk_bytes":100}}"#).await;
    let (_, head, body) = azure.ask("GET", &target, "").await;
    let waited = 150 + 50 * body.len().div_ceil(100) as u64;
    assert!(begun.elapsed() >= Duration::from_millis(waited));
    assert!(head.contains(&format!("content-length: {}", body.len())));
    azure.fault(r#""hang""#).await;
    let silence = timeout(Duration::from_millis(200), azure.raw("GET", &target, "")).await;
    assert!(silence.is_err());
    azure.fault(r#""endless_body""#).await;
    let head = format!("GET {target} HTTP/1.1\r\nOcp-Apim-Subscription-Key: one\r\n");
    let mut stream = azure.send(&head, "").await;
    let mut much = vec![0; 1 << 20];
    stream.read_exact(&mut much).await.unwrap();
}

#[tokio::test]
async fn statuses_headers_and_encodings_are_as_told() {
    let azure = start(r#"{"sessions":[{"id":"s"}]}"#);
    let target = format!("{GA}/s");
    azure.fault(r#"{"status":{"status":429}}"#).await;
    let (status, head, body) = azure.ask("GET", &target, "").await;
    assert_eq!(status, 429);
    assert!(!head.contains("retry-after") && body.contains("Try again in 26 seconds"));
    azure.fault(r#"{"status":{"status":503,"retry_after":"3","code":"Busy","body":"x"}}"#).await;
    let (status, head, body) = azure.ask("GET", &target, "").await;
    assert_eq!((status, body.as_str()), (503, "x"));
    assert!(head.contains("retry-after: 3") && head.contains("x-ms-error-code: busy"));
    azure.fault(r#"{"headers":{"add":[["Set-Cookie","a=b"],["Connection","x-secret"]]}}"#).await;
    let (_, head, _) = azure.ask("GET", &target, "").await;
    assert!(head.contains("set-cookie: a=b"), "{head}");
    azure.fault(r#""garbage_json""#).await;
    let (status, _, body) = azure.ask("GET", &target, "").await;
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<Value>(&body).is_err());
    azure.fault(r#""gzip""#).await;
    let packed = azure.raw("GET", &target, "").await.unwrap();
    let head = String::from_utf8_lossy(&packed).to_lowercase();
    assert!(head.contains("content-encoding: gzip"));
    assert!(packed.windows(3).any(|bytes| bytes == [0x1F, 0x8B, 8]));
}

#[tokio::test]
async fn a_fault_for_one_key_leaves_the_other_alone() {
    let azure = start(
        r#"{"sessions":[{"id":"s"}],"faults":[{"match":{"slot":2},"times":null,"effect":{"status":{"status":401}}}]}"#,
    );
    for (key, status) in [("one", "200"), ("two", "401"), ("two", "401")] {
        let head = format!("GET {GA}/s HTTP/1.1\r\nOcp-Apim-Subscription-Key: {key}\r\n");
        let mut answer = String::new();
        azure.send(&head, "").await.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status));
    }
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_know() {
    let azure = start(r#"{"sessions":[{"id":"s"}]}"#);
    let stream = TcpStream::connect(azure.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://x{GA}/s"))
        .header("ocp-apim-subscription-key", "one")
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 200);
    let records = azure.json("GET", "/emulator/requests", "").await;
    assert_eq!(records[0]["http_version"], "HTTP/2.0");
}

#[tokio::test]
async fn stopping_drops_open_connections_at_once() {
    let azure = start(r#"{"faults":[{"effect":"hang"}]}"#);
    let head = format!("GET {GA}/s HTTP/1.1\r\n");
    let mut stream = azure.send(&head, "").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    azure.stop.send(()).unwrap();
    timeout(Duration::from_secs(1), azure.task).await.unwrap().unwrap().unwrap();
    let ended = timeout(Duration::from_secs(1), stream.read(&mut [0])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(TcpStream::connect(azure.address).await.is_err());
}
