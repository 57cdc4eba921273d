//! Spans reach a collector and say what happened; where nobody collects them, or nobody can, requests go their way.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;

use crate::support::gateway::{Builder, Gateway, TOKEN};
use crate::support::http::Request;
use crate::support::upstream::{Upstream, answer};
use crate::support::wait;

const SESSION: &str = "/face/v1.2/detectLiveness-sessions/5e551017-0000-4000-8000-00000000c0de";
const RUNNING: &[u8] = br#"{"sessionId":"5e551017-0000-4000-8000-00000000c0de","status":"Running","results":{"attempts":[]}}"#;
const ENDED: &[u8] = br#"{"sessionId":"5e551017-0000-4000-8000-00000000c0de","status":"Succeeded","results":{"attempts":[{"attemptId":1,"attemptStatus":"Succeeded","result":{"livenessDecision":"realface"}}]}}"#;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn collector() -> Upstream {
    Upstream::plain(|_| answer(200, &[("Content-Type", "application/x-protobuf")], b""))
}

fn traced(azure: &Upstream, collector: &str, more: &str) -> Gateway {
    Builder::new(&azure.url())
        .app("onboarding", TOKEN, &["session"])
        .cache("")
        .more(&format!("[traces]\nendpoint = \"{collector}/v1/traces\"\n{more}"))
        .start()
}

/// Every span that a collector was sent.
fn spans(collector: &Upstream) -> Vec<Span> {
    let sent = collector.recorded();
    let decoded = sent.iter().map(|request| {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/traces"));
        ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap()
    });
    let resources = decoded.flat_map(|sent| sent.resource_spans);
    let scopes = resources.flat_map(|resource| {
        let attributes = resource.resource.unwrap().attributes;
        let service = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
        let service = service.value.clone().unwrap().value.unwrap();
        assert_eq!(service, Value::StringValue("livegate".to_owned()));
        resource.scope_spans
    });
    scopes.flat_map(|scope| scope.spans).collect()
}

/// What a span says, as `key=value`, sorted.
fn said(span: &Span) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let mut said: Vec<_> = span
        .attributes
        .iter()
        .map(|said| {
            let value = said.value.as_ref().and_then(|value| value.value.as_ref()).unwrap();
            format!("{}={}", said.key, text(value))
        })
        .collect();
    said.sort();
    said
}

#[track_caller]
fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut named = spans.iter().filter(|span| span.name == name);
    let span = named.next().unwrap_or_else(|| panic!("no {name} in {spans:?}"));
    assert!(named.next().is_none(), "{name} stands twice in {spans:?}");
    span
}

fn get(gateway: &Gateway, trace: &str) -> u16 {
    let request = Request::get(SESSION).key(TOKEN);
    let request = request.header("traceparent", trace).header("tracestate", "vendor=a:b, other=c");
    request.send(gateway.public).status
}

#[test]
fn one_trace_goes_from_the_app_to_azure() {
    let (azure, collector) = (Upstream::plain(|_| answer(200, &[], ENDED)), collector());
    let mut gateway = traced(&azure, &collector.url(), "");
    assert_eq!(get(&gateway, SAMPLED), 200);
    assert!(gateway.terminate().success());
    let spans = spans(&collector);
    let [server, cache, flight, attempt] =
        ["session", "cache", "flight", "try"].map(|name| named(&spans, name));
    assert_eq!(spans.len(), 4);
    assert!(spans.iter().all(|span| const_hex::encode(&span.trace_id) == TRACE));
    assert_eq!(const_hex::encode(&server.parent_span_id), "b7ad6b7169203331");
    for (span, parent) in [(cache, server), (flight, cache), (attempt, flight)] {
        assert_eq!(span.parent_span_id, parent.span_id, "{}", span.name);
        assert!(span.start_time_unix_nano >= parent.start_time_unix_nano, "{}", span.name);
    }
    let kinds = [SpanKind::Server, SpanKind::Internal, SpanKind::Internal, SpanKind::Client];
    let told = [server, cache, flight, attempt].map(|span| span.kind);
    assert_eq!(told, kinds.map(|kind| kind as i32));
    assert_eq!(server.trace_state, "vendor=a:b,other=c");
    assert_eq!(
        said(server),
        [
            "http.request.method=GET",
            "http.response.status_code=200",
            "http.route=session",
            "livegate.app=onboarding",
            "livegate.cache=miss"
        ]
    );
    assert_eq!(said(cache), ["livegate.cache=miss"]);
    assert_eq!(
        said(attempt),
        [
            "http.request.method=GET",
            "http.response.status_code=200",
            "livegate.upstream=emulated",
            "server.address=127.0.0.1"
        ]
    );
    // Azure's own span is below the try.
    let asked = azure.recorded();
    let parent = format!("00-{TRACE}-{}-01", const_hex::encode(&attempt.span_id));
    assert_eq!(asked[0].headers.get("traceparent"), Some(parent.as_str()));
    assert_eq!(asked[0].headers.get("tracestate"), Some("vendor=a:b, other=c"));
    assert!(!format!("{spans:?}").contains("5e551017"), "a session's id is in a span");
}

#[test]
fn what_is_kept_and_what_fails_is_told() {
    let azure = Upstream::plain(|request| match request.target.contains("ffff") {
        true => Vec::new(),
        false => answer(200, &[], ENDED),
    });
    let collector = collector();
    let mut gateway = traced(&azure, &collector.url(), "");
    assert_eq!((get(&gateway, UNSAMPLED), get(&gateway, SAMPLED)), (200, 200));
    let other = SESSION.replace("c0de", "ffff");
    let broken = Request::get(&other).key(TOKEN).header("traceparent", SAMPLED);
    assert_eq!(broken.send(gateway.public).status, 503);
    // Strangers begin no spans.
    Request::get(SESSION).header("traceparent", SAMPLED).send(gateway.public);
    gateway.terminate();
    let spans = spans(&collector);
    let failed = |span: &&Span| span.status.as_ref().is_some_and(|status| status.code == 2);
    let (broken, hit): (Vec<_>, Vec<_>) =
        spans.iter().filter(|span| span.name == "session").partition(failed);
    assert_eq!((hit.len(), broken.len()), (1, 1), "{spans:?}");
    assert!(said(hit[0]).contains(&"livegate.cache=hit".to_owned()));
    assert!(said(broken[0]).contains(&"error.type=UpstreamUnavailable".to_owned()), "{broken:?}");
    // Both tries at Azure say how they failed.
    let tries: Vec<_> = spans.iter().filter(|span| span.name == "try").collect();
    assert_eq!(tries.len(), 2);
    assert!(tries.iter().all(|span| said(span).contains(&"error.type=reset".to_owned())));
}

#[test]
fn who_shares_a_question_is_linked_to_it() {
    let admin = Arc::new(OnceLock::<SocketAddr>::new());
    let seen = Arc::clone(&admin);
    let azure = Upstream::plain(move |_| {
        // Both requests are there before either is answered.
        let two = "livegate_http_requests_in_flight{route=\"session\"} 2\n";
        let address = seen.wait();
        wait::until(|| Request::get("/metrics").send(*address).text().contains(two).then_some(()));
        answer(200, &[], RUNNING)
    });
    let collector = collector();
    let mut gateway = traced(&azure, &collector.url(), "");
    admin.set(gateway.admin).unwrap();
    thread::scope(|scope| {
        for trace in [SAMPLED, &SAMPLED.replace("0af7", "0bf7")] {
            let (trace, gateway) = (trace.to_owned(), &gateway);
            scope.spawn(move || assert_eq!(get(gateway, &trace), 200));
        }
    });
    gateway.terminate();
    let spans = spans(&collector);
    let flight = named(&spans, "flight");
    let joined = |span: &&Span| said(span).contains(&"livegate.cache=collapsed".to_owned());
    let joined: Vec<_> = spans.iter().filter(|span| span.name == "cache").filter(joined).collect();
    assert_eq!(joined.len(), 1, "{spans:?}");
    assert_ne!(joined[0].trace_id, flight.trace_id);
    assert_eq!(joined[0].links[0].span_id, flight.span_id);
}

#[test]
fn what_is_not_collected_passes_as_it_came() {
    let (azure, collector) = (Upstream::plain(|_| answer(200, &[], RUNNING)), collector());
    let off = Builder::new(&azure.url()).app("onboarding", TOKEN, &["session"]).start();
    assert_eq!(get(&off, SAMPLED), 200);
    let mut none = traced(&azure, &collector.url(), "sample = 0.0\n");
    assert_eq!(get(&none, UNSAMPLED), 200);
    assert_eq!(none.get(&SESSION.replace("c0de", "0001")).status, 200);
    none.terminate();
    let mut all = traced(&azure, &collector.url(), "");
    assert_eq!(all.get(&SESSION.replace("c0de", "0002")).status, 200);
    all.terminate();
    let asked = azure.recorded();
    let traces: Vec<_> =
        asked.iter().map(|asked| asked.headers.get("traceparent").unwrap()).collect();
    assert_eq!(&traces[..2], [SAMPLED, UNSAMPLED]);
    assert!(traces[2].ends_with("-00") && traces[3].ends_with("-01"), "{traces:?}");
    // A trace that begins here has no parent.
    let spans = spans(&collector);
    assert_eq!(spans.len(), 4, "{spans:?}");
    assert!(named(&spans, "session").parent_span_id.is_empty());
}

#[test]
fn a_collector_that_takes_nothing_costs_spans_and_no_request() {
    let azure = Upstream::plain(|_| answer(200, &[], RUNNING));
    let collector = Upstream::plain(|_| answer(400, &[], b""));
    let mut gateway = traced(&azure, &collector.url(), "");
    for _ in 0..3 {
        assert_eq!(get(&gateway, SAMPLED), 200);
    }
    let metrics = || Request::get("/metrics").send(gateway.admin).text();
    let lost = || {
        metrics()
            .lines()
            .find(|line| line.starts_with("livegate_trace_spans_lost_total"))
            .map(str::to_owned)
    };
    let some = wait::until(|| lost().filter(|lost| !lost.ends_with(" 0")));
    assert!(some.is_some(), "{:?}", lost());
    assert_eq!(gateway.process.stderr().matches("spans are lost").count(), 1);
    gateway.terminate();
}
