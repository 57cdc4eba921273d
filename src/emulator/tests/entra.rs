//! Tokens: given out, taken, and good no more.

use super::*;

const TOKEN: &str = "/tenant/oauth2/v2.0/token";
const FORM: &str = "grant_type=client_credentials&client_id=c&client_secret=s&scope=x%2F.default";

/// The status of a session's GET with this token and no key.
async fn with_token(running: &Running, token: &str) -> u16 {
    let head = format!("GET {GA}/none HTTP/1.1\r\nAuthorization: Bearer {token}\r\n");
    let mut answer = String::new();
    running.send(&head, "").await.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn token(running: &Running) -> String {
    let (status, _, body) = running.ask("POST", TOKEN, FORM).await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_given_out_taken_and_ends() {
    let running = start("{}");
    let first = token(&running).await;
    assert_eq!(with_token(&running, &first).await, 404);
    assert_eq!(with_token(&running, "guessed").await, 401);
    running.ask("PUT", "/emulator/entra", r#"{"token_seconds": 60}"#).await;
    let second = token(&running).await;
    running.ask("POST", "/emulator/clock", r#"{"advance_seconds": 60}"#).await;
    assert_eq!(with_token(&running, &first).await, 404);
    assert_eq!(with_token(&running, &second).await, 401);
    running.ask("PUT", "/emulator/entra", r#"{"revoke": true}"#).await;
    assert_eq!(with_token(&running, &first).await, 401);
}

#[tokio::test]
async fn keys_can_be_switched_off_and_wrong_requests_get_no_token() {
    let running = start("{}");
    running.ask("PUT", "/emulator/entra", r#"{"local_auth": false}"#).await;
    let (status, head, _) = running.ask("GET", &format!("{GA}/none"), "").await;
    assert_eq!(status, 403);
    assert!(head.contains("authenticationtypedisabled"), "{head}");
    let token = token(&running).await;
    assert_eq!(with_token(&running, &token).await, 404);
    for wrong in ["", "grant_type=client_credentials&scope=x", "client_secret=s&scope=x"] {
        assert_eq!(running.ask("POST", TOKEN, wrong).await.0, 400, "{wrong}");
    }
    let machine = "/metadata/identity/oauth2/token";
    assert_eq!(running.ask("GET", machine, "").await.0, 400, "without its header");
    let mut answer = String::new();
    let head = format!("GET {machine} HTTP/1.1\r\nMetadata: true\r\n");
    running.send(&head, "").await.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\"expires_in\":\"3599\""), "{answer}");
}
