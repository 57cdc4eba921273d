use super::*;

fn facts(family: Family, body: &str) -> Facts {
    read(family, Bytes::copy_from_slice(body.as_bytes())).0
}

fn decision(family: Family, body: &str) -> String {
    facts(family, body).decision().to_string()
}

fn blanked(family: Family, body: &str) -> String {
    let (_, body) = read(family, Bytes::copy_from_slice(body.as_bytes()));
    String::from_utf8(body.to_vec()).unwrap()
}

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/samples/", $name))
    };
}

#[test]
fn every_published_sample_stands_where_its_status_and_content_agree() {
    use Family::{Ga, Preview};
    for (family, body, standing, decision) in [
        // These say NotStarted and show a result all the same: they are not decided.
        (Preview, sample!("v1.1-preview.1/session-result.json"), Standing::Pending, "pending"),
        (Preview, sample!("v1.2-preview.1/session-result.json"), Standing::Pending, "pending"),
        (Ga, sample!("v1.2/session-result.json"), Standing::Pending, "pending"),
        (
            Ga,
            sample!("v1.3-preview.1/session-result-with-verify.json"),
            Standing::Pending,
            "pending",
        ),
        (
            Ga,
            sample!("v1.2/session-result-tutorial.json"),
            Standing::Succeeded,
            "realface;attempt=1;attempts=1",
        ),
        // A create's answer has the shape of a session.
        (Ga, sample!("v1.2/create-response-tutorial.json"), Standing::Pending, "pending"),
        (Ga, sample!("v1.3-preview.1/create-response.json"), Standing::Pending, "pending"),
        // In the previews it has not, nor has an audit list.
        (Preview, sample!("v1.1-preview.1/create-response.json"), Standing::Unreadable, "none"),
        (Preview, sample!("v1.2-preview.1/audit.json"), Standing::Unreadable, "none"),
    ] {
        let facts = facts(family, body);
        let told = facts.decision().to_string();
        assert_eq!((facts.standing, told.as_str()), (standing, decision), "{body}");
        let token_goes = standing.is_final() && !body.contains(r#""authToken": """#);
        assert_eq!(blanked(family, body) != body, token_goes);
    }
}

#[test]
fn the_samples_decide_once_their_status_does() {
    let ended =
        |body: &str, status: &str| body.replacen("\"NotStarted\"", &format!("\"{status}\""), 1);
    let ga = sample!("v1.2/session-result.json");
    let verify = sample!("v1.3-preview.1/session-result-with-verify.json");
    let preview = sample!("v1.2-preview.1/session-result.json");
    let still = |body: &str| body.replace("\"sessionExpired\": true", "\"sessionExpired\": false");
    for (family, body, standing, decision) in [
        (Family::Ga, ended(ga, "Succeeded"), Standing::Succeeded, "realface;attempt=2;attempts=2"),
        (
            Family::Ga,
            ended(verify, "Succeeded"),
            Standing::Succeeded,
            "realface;attempt=2;attempts=2;identical=?0",
        ),
        (Family::Preview, ended(preview, "ResultAvailable"), Standing::Succeeded, "none"),
        (
            Family::Preview,
            still(&ended(preview, "ResultAvailable")),
            Standing::Decided,
            "none;final=?0",
        ),
        (Family::Preview, ended(preview, "Started"), Standing::Pending, "pending"),
    ] {
        let facts = facts(family, &body);
        let told = facts.decision().to_string();
        assert_eq!((facts.standing, told.as_str()), (standing, decision), "{body}");
    }
}

/// Sessions as they might come, and where they stand. Only `Succeeded` and `Ended` are ever kept.
#[test]
fn a_session_is_final_only_by_status_and_content_together() {
    use Family::Ga;
    for (family, body, standing) in [
        (
            Ga,
            r#"{"status":"Succeeded","results":{"attempts":[{"result":{}}]}}"#,
            Standing::Succeeded,
        ),
        (
            Ga,
            r#"{"status":"Succ\u0065eded","results":{"attempts":[{"attemptId":1,"error":{}},{"attemptId":2,"result":{}}]}}"#,
            Standing::Succeeded,
        ),
        (Ga, r#"{"status":"Succeeded","results":{"attempts":[{"error":{}}]}}"#, Standing::Decided),
        (
            Ga,
            r#"{"status":"Succeeded","results":{"attempts":[{"result":null}]}}"#,
            Standing::Decided,
        ),
        (Ga, r#"{"status":"Succeeded","results":{"attempts":null}}"#, Standing::Decided),
        (Ga, r#"{"status":"Succeeded"}"#, Standing::Decided),
        // One attempt brought a result and another goes on: that is not over.
        (
            Ga,
            r#"{"status":"Succeeded","results":{"attempts":[{"attemptId":1,"result":{}},{"attemptId":2,"attemptStatus":"Running"}]}}"#,
            Standing::Decided,
        ),
        (Ga, r#"{"status":"Failed","results":{"attempts":[]}}"#, Standing::Ended),
        (Ga, r#"{"status":"Canceled"}"#, Standing::Ended),
        // A failed attempt ends nothing: another may follow.
        (
            Ga,
            r#"{"status":"Running","results":{"attempts":[{"attemptStatus":"Failed","error":{}}]}}"#,
            Standing::Pending,
        ),
        (
            Ga,
            r#"{"status":"Running","results":{"attempts":[{"attemptStatus":"Succeeded","result":{}}]}}"#,
            Standing::Pending,
        ),
        (Ga, r#"{"status":"succeeded","results":{"attempts":[{"result":{}}]}}"#, Standing::Unknown),
        (Ga, r#"{"status":"ResultAvailable","sessionExpired":true}"#, Standing::Unknown),
        (Ga, r#"{"status":"Started"}"#, Standing::Unknown),
    ] {
        assert_eq!(facts(family, body).standing, standing, "{body}");
    }
}

#[test]
fn a_preview_is_final_only_once_it_has_expired() {
    use Family::{Ga, Preview};
    for (family, body, standing) in [
        (Preview, r#"{"status":"ResultAvailable","sessionExpired":true}"#, Standing::Succeeded),
        (Preview, r#"{"status":"ResultAvailable","sessionExpired":false}"#, Standing::Decided),
        (Preview, r#"{"status":"ResultAvailable","sessionExpired":null}"#, Standing::Decided),
        (Preview, r#"{"status":"ResultAvailable"}"#, Standing::Decided),
        (Preview, r#"{"status":"Started","sessionExpired":true}"#, Standing::Pending),
        (
            Preview,
            r#"{"status":"NotStarted","sessionExpired":true,"result":{}}"#,
            Standing::Pending,
        ),
        (
            Preview,
            r#"{"status":"Succeeded","results":{"attempts":[{"result":{}}]}}"#,
            Standing::Unknown,
        ),
        (Preview, r#"{"status":"ResultAvailable","sessionExpired":"true"}"#, Standing::Unreadable),
        (Ga, r#"{"status":7}"#, Standing::Unreadable),
        (Ga, r#"{"status":"Failed","status":"Running"}"#, Standing::Unreadable),
        (Ga, r#"{"status":"Failed""#, Standing::Unreadable),
        (Ga, "[]", Standing::Unreadable),
        (Ga, "", Standing::Unreadable),
    ] {
        assert_eq!(facts(family, body).standing, standing, "{body}");
    }
}

#[test]
fn the_highest_attempt_that_ended_decides_wherever_it_stands() {
    let attempts = |attempts: &str| {
        let body = format!(r#"{{"status":"Succeeded","results":{{"attempts":[{attempts}]}}}}"#);
        decision(Family::Ga, &body)
    };
    let real =
        r#"{"attemptId":2,"attemptStatus":"Succeeded","result":{"livenessDecision":"realface"}}"#;
    let mask =
        r#"{"attemptId":1,"attemptStatus":"Failed","error":{"code":"FaceWithMaskDetected"}}"#;
    for (list, decision) in [
        (format!("{real},{mask}"), "realface;attempt=2;attempts=2"),
        (format!("{mask},{real}"), "realface;attempt=2;attempts=2"),
        (mask.to_owned(), "error;attempt=1;attempts=1;code=\"FaceWithMaskDetected\""),
        (
            format!(r#"{real},{{"attemptId":3,"attemptStatus":"Running"}}"#),
            "realface;attempt=2;attempts=2",
        ),
        (
            format!(r#"{real},{{"attemptId":3,"attemptStatus":"Failed"}}"#),
            "error;attempt=3;attempts=2",
        ),
        (
            r#"{"attemptId":1,"attemptStatus":"Failed","error":{"code":"a\"b"}}"#.into(),
            "error;attempt=1;attempts=1;code=\"other\"",
        ),
        (r#"{"attemptId":1,"result":{}}"#.into(), "none"),
        (
            r#"{"attemptId":1,"result":{"livenessDecision":"uncertain"}}"#.into(),
            "uncertain;attempt=1;attempts=1",
        ),
        (
            r#"{"attemptId":1,"result":{"livenessDecision":"a b"}}"#.into(),
            "other;attempt=1;attempts=1",
        ),
        (
            r#"{"attemptId":1,"result":{"livenessDecision":"new-word"}}"#.into(),
            "new-word;attempt=1;attempts=1",
        ),
        (r#"{"result":{"livenessDecision":"realface"}}"#.into(), "realface;attempts=1"),
        // A failed attempt has no decision, whatever else it shows.
        (
            r#"{"attemptId":1,"attemptStatus":"Failed","result":{"livenessDecision":"realface"}}"#
                .into(),
            "error;attempt=1;attempts=1",
        ),
        (
            r#"{"attemptId":1,"attemptStatus":"Succeeded","result":{"livenessDecision":"realface"},"error":{"code":"X"}}"#
                .into(),
            "error;attempt=1;attempts=1;code=\"X\"",
        ),
        (r#"{"attemptId":1,"attemptStatus":"Canceled"}"#.into(), "error;attempt=1;attempts=1"),
        (r#"{"attemptId":1,"attemptStatus":"Succeeded"}"#.into(), "none"),
        // One that goes on does not decide, whatever else it shows.
        (
            format!(r#"{real},{{"attemptId":3,"attemptStatus":"Running","result":{{"livenessDecision":"spoofface"}}}}"#),
            "realface;attempt=2;attempts=2",
        ),
        (String::new(), "none"),
    ] {
        assert_eq!(attempts(&list), decision, "{list}");
    }
}

#[test]
fn the_gateways_own_words_are_no_words_of_azures() {
    for word in ["error", "none", "other", "pending"] {
        let body = format!(
            r#"{{"status":"Succeeded","results":{{"attempts":[{{"attemptId":1,"result":{{"livenessDecision":"{word}"}}}}]}}}}"#
        );
        assert_eq!(decision(Family::Ga, &body), "other;attempt=1;attempts=1", "{word}");
    }
}

#[test]
fn a_preview_shows_its_one_result() {
    let shown = |response: &str| {
        let body = format!(
            r#"{{"status":"ResultAvailable","sessionExpired":true,"result":{{"id":4,"response":{response}}}}}"#
        );
        decision(Family::Preview, &body)
    };
    for (response, expected) in [
        (r#"{"statusCode":200,"body":{"livenessDecision":"spoofface"}}"#, "spoofface"),
        (
            r#"{"statusCode":200,"body":{"livenessDecision":"realface","verifyResult":{"isIdentical":true}}}"#,
            "realface;identical=?1",
        ),
        (
            r#"{"statusCode":400,"body":{"error":{"code":"FaceWithMaskDetected"}}}"#,
            "error;code=\"FaceWithMaskDetected\"",
        ),
        (r#"{"statusCode":400,"body":{}}"#, "error"),
        (r#"{"statusCode":200,"body":{}}"#, "none"),
        (r#"{}"#, "none"),
    ] {
        assert_eq!(shown(response), expected, "{response}");
    }
}

#[test]
fn only_previews_say_when_they_were_created() {
    let created = |time: &str| {
        let body = format!(r#"{{"status":"Started","createdDateTime":{time}}}"#);
        facts(Family::Preview, &body).created.map(Timestamp::as_second)
    };
    assert_eq!(created(r#""2024-03-05T11:07:29.698Z""#), Some(1_709_636_849));
    assert_eq!(created(r#""2024-03-05T11:07:29+00:00""#), Some(1_709_636_849));
    for odd in ["null", r#""yesterday""#, r#""2024-03-05""#] {
        assert_eq!(created(odd), None, "{odd}");
    }
}

#[test]
fn a_final_session_loses_its_token_and_nothing_else() {
    let body = r#"{ "sessionId":"a",  "authToken" : "ey\u004a.secret", "status":"Succ\u0065eded","n":12345678901234567890,
        "results":{"attempts":[{"attemptId":1,"result":{"digest":"AB"}}]}}"#;
    assert_eq!(blanked(Family::Ga, body), body.replace(r#""ey\u004a.secret""#, r#""""#));
    for status in ["Failed", "Canceled"] {
        let body =
            format!(r#"{{"authToken":"ey","status":"{status}","results":{{"attempts":[]}}}}"#);
        assert_eq!(blanked(Family::Ga, &body), body.replace("\"ey\"", "\"\""));
    }
    let body = r#"{"authToken":"ey","status":"ResultAvailable","sessionExpired":true}"#;
    assert_eq!(blanked(Family::Preview, body), body.replace("\"ey\"", "\"\""));
}

#[test]
fn a_session_that_may_still_change_keeps_it() {
    for (family, body) in [
        (
            Family::Ga,
            r#"{"authToken":"ey","status":"Running","results":{"attempts":[{"result":{}}]}}"#,
        ),
        (Family::Ga, r#"{"authToken":"ey","status":"Succeeded"}"#),
        (
            Family::Preview,
            r#"{"authToken":"ey","status":"ResultAvailable","sessionExpired":false}"#,
        ),
    ] {
        assert_eq!(blanked(family, body), body);
    }
}

#[test]
fn what_cannot_be_read_passes_as_it_is() {
    let deep = "[".repeat(100_000);
    for body in ["", "null", "[]", "{", r#"{"status":7}"#, deep.as_str()] {
        assert_eq!(blanked(Family::Ga, body), body);
    }
    let invalid = Bytes::from_static(b"{\"status\":\"Failed\",\"authToken\":\"\xff\"}");
    assert_eq!(read(Family::Ga, invalid.clone()).1, invalid);
}
