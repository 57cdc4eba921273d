use bytes::Bytes;

use super::*;
use crate::liveness::digest::Digest;
use crate::liveness::session::read;
use crate::liveness::{Family, Operation, SessionId};

struct Scene {
    counted: Counted,
    metrics: Arc<Metrics>,
}

impl Scene {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        Self { counted: Counted::new(Arc::clone(&metrics)), metrics }
    }

    fn observe(&self, id: &str, family: Family, body: &str) {
        let (facts, _) = read(family, Bytes::copy_from_slice(body.as_bytes()));
        self.counted.observe(&session(id), &facts);
    }

    /// All that was counted under this name, label values before their count, and not what stands at 0 from the start.
    fn counts(&self, name: &str) -> Vec<String> {
        let text = self.metrics.text().unwrap();
        let of = |line: &str| line.strip_prefix(&format!("livegate_{name}{{")).map(str::to_owned);
        let lines = text.lines().filter_map(of).filter(|line| !line.ends_with(" 0"));
        lines.map(|line| line.replace('"', "")).collect()
    }
}

fn session(id: &str) -> SessionKey {
    SessionKey::new(0, Operation::LivenessWithVerify, &SessionId::parse(id).unwrap())
}

fn ga(status: &str, model: &str, attempts: &str) -> String {
    format!(
        r#"{{"status":"{status}","modelVersion":"{model}","results":{{"attempts":[{attempts}]}}}}"#
    )
}

fn real(number: u64) -> String {
    format!(
        r#"{{"attemptId":{number},"attemptStatus":"Succeeded","abuseMonitoringResult":{{"isAbuseDetected":true}},"result":{{"livenessDecision":"realface","verifyResult":{{"isIdentical":true,"matchConfidence":0.93}}}}}}"#
    )
}

fn failed(number: u64, code: &str) -> String {
    format!(r#"{{"attemptId":{number},"attemptStatus":"Failed","error":{{"code":"{code}"}}}}"#)
}

#[test]
fn an_attempt_is_counted_once_however_it_is_seen() {
    let scene = Scene::new();
    let (mask, odd) = (failed(1, "FaceWithMaskDetected"), failed(2, "SomethingNew"));
    for _ in 0..3 {
        scene.observe("a", Family::Ga, &ga("Running", "m", &mask));
        scene.observe("a", Family::Ga, &ga("Running", "m", &format!("{odd},{mask}")));
        let all = format!("{mask},{odd},{}", real(3));
        scene.observe("A", Family::Ga, &ga("Succeeded", "m", &all));
    }
    let labels = "model_version=m,operation=liveness_with_verify} ";
    assert_eq!(
        scene.counts("liveness_attempts_total"),
        [
            format!("decision=error,identical=none,{labels}2"),
            format!("decision=realface,identical=true,{labels}1"),
        ]
    );
    assert_eq!(
        scene.counts("liveness_attempt_errors_total"),
        [
            "error_code=FaceWithMaskDetected,operation=liveness_with_verify} 1",
            "error_code=other,operation=liveness_with_verify} 1",
        ]
    );
    let sessions = scene.counts("liveness_sessions_total");
    assert_eq!(sessions, ["operation=liveness_with_verify,status=succeeded} 1"]);
    let attempts = &scene.metrics.liveness_session_attempts;
    let attempts = attempts.with_label_values(&["liveness_with_verify"]);
    assert_eq!((attempts.get_sample_count(), attempts.get_sample_sum()), (1, 3.0));
    let ratio = scene.metrics.liveness_verify_confidence_ratio.with_label_values(&["true"]);
    assert_eq!((ratio.get_sample_count(), ratio.get_sample_sum()), (1, 0.93));
    let abuse = scene.counts("liveness_abuse_flags_total");
    assert_eq!(abuse, ["operation=liveness_with_verify} 1"]);
    assert_eq!(scene.counts("liveness_signals_total"), [""; 0]);
}

#[test]
fn an_attempt_that_changes_its_mind_is_a_signal_once() {
    let scene = Scene::new();
    let spoof = real(1).replace("realface", "spoofface");
    let other = real(1).replace("true,\"match", "false,\"match");
    for attempt in [&real(1), &spoof, &real(1), &spoof, &other] {
        scene.observe("a", Family::Ga, &ga("Running", "m", attempt));
    }
    let counts = scene.counts("liveness_attempts_total");
    assert!(counts.len() == 1 && counts[0].starts_with("decision=realface,identical=true"));
    assert_eq!(scene.counts("liveness_signals_total"), ["signal=result-mismatch} 1"]);
}

#[test]
fn both_shapes_of_an_attempt_are_one() {
    let digest = "1CC98BA83EAF1D0FF7F566FAEFCCCC787819FFA01251E2D9299143F7AD6651DB";
    let attempt = format!(
        r#"{{"attemptId":1,"result":{{"livenessDecision":"realface","digest":"{digest}"}}}}"#
    );
    let entry = |id: u8, digest: &str, word: &str| {
        format!(
            r#"{{"status":"ResultAvailable","result":{{"id":{id},"digest":"{digest}","response":{{"statusCode":200,"body":{{"livenessDecision":"{word}"}}}}}}}}"#
        )
    };
    let other = digest.replace('1', "2");
    let scene = Scene::new();
    for _ in 0..2 {
        scene.observe("a", Family::Ga, &ga("Succeeded", "m", &attempt));
        scene.observe("a", Family::Preview, &entry(4, digest, "realface"));
        // The number of an entry says nothing about the number of an attempt.
        scene.observe("a", Family::Preview, &entry(1, &other, "spoofface"));
    }
    let counts = scene.counts("liveness_attempts_total");
    assert!(counts.len() == 2 && counts.iter().all(|line| line.ends_with(" 1")), "{counts:?}");
    assert_eq!(scene.counts("liveness_signals_total"), [""; 0]);
    scene.observe("a", Family::Preview, &entry(4, digest, "spoofface"));
    assert_eq!(scene.counts("liveness_signals_total"), ["signal=result-mismatch} 1"]);
}

#[test]
fn what_failed_has_no_confidence() {
    let scene = Scene::new();
    let failed = real(1).replace(r#""attemptStatus":"Succeeded""#, r#""attemptStatus":"Failed""#);
    scene.observe("a", Family::Ga, &ga("Failed", "m", &failed));
    assert_eq!(scene.counts("liveness_verify_confidence_ratio_count"), [""; 0]);
    let counts = scene.counts("liveness_attempts_total");
    assert!(counts.len() == 1 && counts[0].starts_with("decision=error,identical=none"));
}

#[test]
fn each_end_has_its_word() {
    let preview = |status: &str, expired: bool, response: &str| {
        format!(
            r#"{{"status":"{status}","sessionExpired":{expired},"result":{{"id":4,"response":{response}}}}}"#
        )
    };
    let ok = r#"{"statusCode":200,"body":{"livenessDecision":"realface"}}"#;
    let bad = r#"{"statusCode":400,"body":{"error":{"code":"TimedOut"}}}"#;
    for (family, body, status) in [
        (Family::Ga, ga("Failed", "m", &failed(1, "x")), Some("failed")),
        (Family::Ga, ga("Canceled", "m", ""), Some("canceled")),
        (Family::Ga, ga("Succeeded", "m", ""), Some("succeeded")),
        (Family::Ga, ga("Running", "m", &real(1)), None),
        (Family::Ga, ga("Odd", "m", &real(1)), None),
        (Family::Ga, "{".to_owned(), None),
        (Family::Preview, preview("ResultAvailable", false, ok), Some("succeeded")),
        (Family::Preview, preview("ResultAvailable", true, bad), Some("failed")),
        // Another attempt may follow, and succeed.
        (Family::Preview, preview("ResultAvailable", false, bad), None),
        (Family::Preview, preview("Started", true, "{}"), Some("expired")),
        (Family::Preview, preview("Started", false, "{}"), None),
    ] {
        let scene = Scene::new();
        scene.observe("a", family, &body);
        let expected =
            status.map(|status| format!("operation=liveness_with_verify,status={status}}} 1"));
        assert_eq!(scene.counts("liveness_sessions_total"), Vec::from_iter(expected), "{body}");
        // What was seen to end is not counted as deleted too.
        scene.counted.deleted(&session("a"));
        scene.counted.deleted(&session("a"));
        let ended = scene.counts("liveness_sessions_total");
        assert!(ended.len() == 1 && ended[0].ends_with(" 1"), "{ended:?}");
        assert_eq!(ended[0].contains("deleted"), status.is_none());
    }
}

#[test]
fn the_models_that_are_told_apart_are_few_and_plain() {
    let scene = Scene::new();
    let long = "m".repeat(33);
    let models = ["1", "2", "1", "a b", "", &long, "3", "4", "5", "6", "2"];
    for (number, model) in models.into_iter().enumerate() {
        scene.observe(&number.to_string(), Family::Ga, &ga("Running", model, &real(1)));
    }
    let nameless = ga("Running", "m", &real(1)).replace(r#""modelVersion":"m","#, "");
    scene.observe("b", Family::Ga, &nameless);
    let counts = scene.counts("liveness_attempts_total");
    let model = |line: &String| {
        let (_, model) = line.split_once("model_version=").unwrap();
        let (model, count) = model.split_once(",operation=liveness_with_verify} ").unwrap();
        format!("{model} {count}")
    };
    let models: Vec<_> = counts.iter().map(model).collect();
    assert_eq!(models, ["1 2", "2 2", "3 1", "4 1", "5 1", "none 1", "other 4"]);
}

#[test]
fn a_verdict_is_counted_once_for_each_attempt_and_digest() {
    let scene = Scene::new();
    let evidence =
        |attempts: &str| read(Family::Ga, Bytes::from(ga("Succeeded", "m", attempts))).0.evidence();
    let (none, one, two) = (evidence(""), evidence(&real(1)), evidence(&real(2)));
    let digest = |fill| Given::Digest(Digest::from([fill; 32]));
    for _ in 0..3 {
        for (evidence, given) in [
            (&Evidence::Pending, digest(1)),
            // Decided, and nothing to compare with: another verdict about the same.
            (&none, digest(1)),
            (&one, digest(1)),
            (&one, digest(2)),
            (&two, digest(2)),
            (&two, Given::Malformed),
        ] {
            let verdict = evidence.judge(given);
            scene.counted.verdict(&session("a"), evidence, given, verdict, Mode::Observe);
            let likeness = evidence.compare(given).unwrap();
            scene.counted.likeness(&session("a"), evidence, given, likeness);
        }
    }
    let labels = |verdict| format!("mode=observe,operation=liveness_with_verify,verdict={verdict}");
    let expected = [("malformed", 1), ("pending", 1), ("unavailable", 4)];
    let expected = expected.map(|(verdict, count)| format!("{}}} {count}", labels(verdict)));
    assert_eq!(scene.counts("digest_checks_total"), expected);
    let pictures = scene.counts("verify_image_checks_total");
    assert_eq!(pictures, ["verdict=malformed} 1", "verdict=unknown} 4"]);
    scene.counted.sweep();
    assert_eq!(scene.metrics.liveness_dedupe_entries.get(), 11);
}
