//! Spans of a request's way, for whoever collects traces. Without a collector in the configuration none is made.
//!
//! A trace goes on from span to span in `traceparent`, inside the house as outside (W3C Trace Context), so that no row
//! needs another's span. Names and attributes are OpenTelemetry's for HTTP; no session's id is among them.

mod export;

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, StatusCode};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

pub use self::export::{start, stop};
pub use opentelemetry::trace::SpanContext;

/// Where a trace comes from and goes to.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What others along the way say of it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Whether somebody collects spans.
pub fn is_collected() -> bool {
    TRACER.get().is_some()
}

/// Whose work a span is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// What is done for an app.
    Server,
    /// What Azure does.
    Client,
    /// A part of the gateway's own work.
    Internal,
}

/// A span, which ends when it is dropped.
#[derive(Debug)]
pub struct Span(Box<opentelemetry_sdk::trace::Span>);

impl Span {
    /// Begins a span of the trace that these fields tell of, and writes itself into them. None where nobody collects
    /// it, which is decided where a trace begins.
    pub fn begin(kind: Kind, name: &'static str, headers: &mut HeaderMap) -> Option<Self> {
        let tracer = TRACER.get()?;
        let propagator = TraceContextPropagator::new();
        let parent = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let begun = parent.span().span_context().is_valid();
        if begun && !parent.span().span_context().is_sampled() {
            return None;
        }
        let kind = match kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Internal => SpanKind::Internal,
        };
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        let span = tracer.build_with_context(builder, &parent);
        let context = span.span_context().clone();
        if !context.is_sampled() {
            return None;
        }
        let state = headers.remove(TRACESTATE);
        let context = Context::new().with_remote_span_context(context);
        propagator.inject_context(&context, &mut HeaderInjector(headers));
        // As it came, which is not always how the library would write it.
        state.map(|state| headers.insert(TRACESTATE, state));
        // Elsewhere, since it is large and mostly not there.
        Some(Self(Box::new(span)))
    }

    /// Says something of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(key, value));
    }

    /// It was answered so.
    pub fn answered(&mut self, status: StatusCode) {
        self.set("http.response.status_code", i64::from(status.as_u16()));
    }

    /// It failed, by this word for it.
    pub fn failed(&mut self, why: &'static str) {
        self.set("error.type", why);
        self.0.set_status(Status::error(why));
    }

    /// It waits for another one.
    pub fn link(&mut self, to: SpanContext) {
        self.0.add_link(to, Vec::new());
    }

    /// What others know it by.
    pub fn context(&self) -> SpanContext {
        self.0.span_context().clone()
    }
}
