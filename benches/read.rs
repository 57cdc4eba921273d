//! What reading an answer costs, and what a verdict costs of one that was read. `cargo bench --bench read`.

use std::time::Duration;

use bytes::Bytes;
use divan::{Bencher, black_box};
use livegate::liveness::Family;
use livegate::liveness::digest::Digest;
use livegate::liveness::session::read;
use livegate::liveness::verdict::Given;

const DIGEST: &str = "1CC98BA83EAF1D0FF7F566FAEFCCCC787819FFA01251E2D9299143F7AD6651DB";

fn main() {
    divan::Divan::from_args().min_time(Duration::from_secs(1)).main();
}

/// A session of v1.2 with so many attempts, none of it padding: 1 KiB with two.
fn ga(attempts: usize) -> Bytes {
    let rectangle =
        r#"{"color":{"faceRectangle":{"top":669,"left":203,"width":646,"height":724}}}"#;
    let attempt = |id: usize| {
        format!(
            r#"{{"attemptId":{id},"attemptStatus":"Succeeded","result":{{"livenessDecision":"realface","targets":{rectangle},"verifyResult":{{"matchConfidence":0.08871888,"isIdentical":false}},"digest":"{DIGEST}","sessionImageId":"AOKzwgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","verifyImageHash":"{DIGEST}"}}}}"#
        )
    };
    let attempts: Vec<_> = (1..=attempts).rev().map(attempt).collect();
    let attempts = attempts.join(",");
    Bytes::from(format!(
        r#"{{"sessionId":"b12e033e-bda7-4b83-a211-e721c661f30e","authToken":"","status":"Succeeded","modelVersion":"2024-11-15","results":{{"attempts":[{attempts}]}}}}"#
    ))
}

/// A session of the previews.
fn preview() -> Bytes {
    Bytes::from(format!(
        r#"{{"status":"ResultAvailable","result":{{"id":1,"sessionId":"b12e033e-bda7-4b83-a211-e721c661f30e","requestId":"cb3f4b29-ff2f-4b83-a211-e721c661f30e","receivedDateTime":"2023-10-31T16:50:15.6311565+00:00","request":{{"url":"/face/v1.2-preview.1/detectliveness/singlemodal","method":"POST","contentLength":352568,"contentType":"multipart/form-data; boundary=--------------------------482763481579020783621915","userAgent":""}},"response":{{"body":{{"livenessDecision":"realface","target":{{"faceRectangle":{{"top":59,"left":121,"width":409,"height":395}},"fileName":"content","timeOffsetWithinFile":0,"imageType":"Color"}},"modelVersionUsed":"2023-12-20-preview.06"}},"statusCode":200,"latencyInMilliseconds":1098}},"digest":"{DIGEST}"}},"id":"b12e033e-bda7-4b83-a211-e721c661f30e","createdDateTime":"2023-10-31T16:49:58.9610009+00:00","authTokenTimeToLiveInSeconds":600,"sessionExpired":true}}"#
    ))
}

#[divan::bench(args = [1, 2, 3])]
fn a_session_of_so_many_attempts(bencher: Bencher<'_, '_>, attempts: usize) {
    let body = ga(attempts);
    bencher
        .counter(divan::counter::BytesCount::new(body.len()))
        .bench_local(|| black_box(read(Family::Ga, black_box(body.clone()))));
}

#[divan::bench]
fn a_session_of_the_previews(bencher: Bencher<'_, '_>) {
    let body = preview();
    bencher
        .counter(divan::counter::BytesCount::new(body.len()))
        .bench_local(|| black_box(read(Family::Preview, black_box(body.clone()))));
}

/// What a hit costs beyond being looked up.
#[divan::bench]
fn a_verdict(bencher: Bencher<'_, '_>) {
    let (facts, _) = read(Family::Ga, ga(2));
    let evidence = facts.evidence();
    let digest = Digest::parse(DIGEST.as_bytes()).expect("a digest");
    bencher.bench_local(|| black_box(evidence.judge(black_box(Given::Digest(digest)))));
}
