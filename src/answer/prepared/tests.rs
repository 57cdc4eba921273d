use super::*;
use crate::liveness::digest::Digest;

const FINAL: &str = r#"{"authToken":"ey.secret","status":"Succeeded","results":{"attempts":[{"attemptId":1,"result":{}}]}}"#;

fn answer(fields: &[(&'static str, &str)], body: &'static str) -> Prepared {
    let mut answer = Response::builder();
    for (name, value) in fields {
        answer = answer.header(*name, *value);
    }
    Prepared::new(ApiVersion::V1_2, answer.body(Bytes::from_static(body.as_bytes())).unwrap()).0
}

fn told(answer: &Prepared, own_exchange: bool) -> Vec<(String, String)> {
    let fields = answer.told(own_exchange);
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let mut fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    fields.sort();
    fields
}

#[test]
fn what_is_kept_tells_what_came_but_for_what_belongs_to_one_exchange() {
    let mut common = Common::default();
    for (id, region) in
        [("1", "West Europe"), ("2", "West Europe"), ("3", "East US"), ("4", "West Europe")]
    {
        let came = answer(
            &[
                ("content-type", "application/json"),
                ("apim-request-id", id),
                ("x-ms-region", region),
                ("x-more", "one"),
                ("x-more", id),
                ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
                ("client-request-id", "the first asker's"),
                ("traceparent", "the first asker's"),
                ("x-ratelimit-remaining", "7"),
            ],
            FINAL,
        );
        let kept = came.compact(&mut common);
        assert_eq!(told(&kept, false), told(&came, false));
        assert_eq!(told(&kept, true), told(&came, false), "it is nobody's own any more");
        assert!(told(&came, true).len() == told(&came, false).len() + 4);
        assert!(told(&kept, false).contains(&("apim-request-id".into(), id.into())));
        assert!(told(&kept, false).contains(&("x-more".into(), "one".into())));
        assert_eq!((kept.status, &kept.body), (came.status, &came.body));
        let (kept, came) = (kept.session.unwrap(), came.session.unwrap());
        assert_eq!((kept.etag, kept.decision), (came.etag, came.decision));
        assert_eq!((kept.standing, kept.created), (came.standing, came.created));
        assert_eq!(kept.evidence, came.evidence);
    }
}

#[test]
fn answers_that_differ_in_little_share_their_fields() {
    let mut common = Common::default();
    let mut keep = |id: &str| {
        let fields = [("content-type", "application/json"), ("apim-request-id", id)];
        answer(&fields, FINAL).compact(&mut common)
    };
    let (one, other) = (keep("1"), keep("2"));
    assert!(Arc::ptr_eq(&one.shared, &other.shared));
    let id = SessionId::parse("abc").unwrap();
    // At least what it is made of; the content is some 80 bytes.
    assert!((OVERHEAD + 200..OVERHEAD + 800).contains(&other.weight(&id)), "{}", other.weight(&id));
}

#[test]
fn what_the_gateway_says_anew_of_a_session_is_not_said_twice() {
    let fields = [
        ("etag", "\"azure's\""),
        ("cache-control", "public"),
        ("expires", "-1"),
        ("content-md5", "x"),
    ];
    assert_eq!(
        told(&answer(&fields, FINAL), true),
        [("liveness-decision".to_owned(), "none".to_owned())]
    );
    let (status, body) = (StatusCode::NOT_FOUND, Bytes::from_static(b"{}"));
    let missing = Response::builder().status(status).header("cache-control", "no-store");
    let missing = Prepared::new(ApiVersion::V1_2, missing.body(body).unwrap()).0;
    assert_eq!(told(&missing, true), [("cache-control".to_owned(), "no-store".to_owned())]);
}

#[test]
fn the_tag_changes_with_the_bytes() {
    let tag = |body| answer(&[], body).session.unwrap().etag;
    let running = r#"{"status":"Running"}"#;
    assert_eq!(tag(running), tag(running));
    assert_ne!(tag(running), tag(r#"{"status":"Running" }"#));
    assert_eq!(tag(running).len(), 34);
    // The token is blanked before.
    assert_eq!(
        tag(FINAL),
        tag(
            r#"{"authToken":"","status":"Succeeded","results":{"attempts":[{"attemptId":1,"result":{}}]}}"#
        )
    );
}

#[test]
fn an_answer_cannot_be_printed_with_what_it_holds() {
    let running = answer(&[], r#"{"authToken":"ey.secret","status":"Running"}"#);
    assert!(!format!("{running:?}").contains("secret"));
    assert!(!format!("{:?}", answer(&[("x", "secret")], "{}")).contains("secret"));
}

#[test]
fn what_is_given_again_is_not_new() {
    let latest = Latest::default();
    let digest = |fill| Given::Digest(Digest::from([fill; 32]));
    for given in [Given::Nothing, Given::Malformed, digest(0), digest(1), Given::Nothing] {
        assert_eq!((latest.is_new(given), latest.is_new(given)), (true, false), "{given:?}");
    }
}
