//! Sends spans to a collector, by OTLP over HTTP. A collector that is slow or gone costs spans and nothing else.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use opentelemetry_sdk::{Resource, runtime};
use prometheus::IntCounter;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::TRACER;
use crate::config::{Traces, client_tls};

/// Longest time that a collector may take for what it is sent.
const PATIENCE: Duration = Duration::from_secs(5);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Begins to send spans, and counts those that the collector does not take. The runtime's tasks do it.
///
/// # Errors
/// Where no client can be made for the collector.
pub fn start(traces: &Traces, lost: IntCounter) -> Result<(), String> {
    let mut http = HttpConnector::new();
    // The address may say https, which this part of the connector would refuse.
    http.enforce_http(false);
    let secure = traces.endpoint.scheme_str() == Some("https");
    let tls = client_tls(&[], secure)?;
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    let client = HyperClient::new(tls.wrap_connector(http), PATIENCE, None);
    let inner = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(traces.endpoint.to_string())
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| error.to_string())?;
    let exporter = Counting { inner, lost, failing: AtomicBool::new(false) };
    // The usual batch processor has a thread of its own, where the client's timers would find no runtime.
    let batches = BatchSpanProcessor::builder(exporter, runtime::Tokio).build();
    let resource = Resource::builder()
        .with_service_name("livegate")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(traces.sample)));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(batches)
        .with_sampler(sampler)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("livegate");
    // A second start in one process keeps the first.
    if PROVIDER.set(provider).is_ok() {
        drop(TRACER.set(tracer));
    }
    Ok(())
}

/// Sends what is left, if that does not take long.
pub async fn stop() {
    let Some(provider) = PROVIDER.get() else {
        return;
    };
    // It waits for a task of the runtime, and must not keep one of its threads from running that.
    let stopped = spawn_blocking(|| provider.shutdown());
    drop(timeout(PATIENCE, stopped).await);
}

/// Counts what is not taken.
#[derive(Debug)]
struct Counting<E> {
    inner: E,
    lost: IntCounter,
    failing: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let outcome = self.inner.export(batch).await;
        let failed = outcome.is_err();
        if let Err(error) = &outcome {
            self.lost.inc_by(count);
            if !self.failing.load(Ordering::Relaxed) {
                tracing::warn!("spans are lost, for their collector does not take them: {error}");
            }
        }
        if self.failing.swap(failed, Ordering::Relaxed) && !failed {
            tracing::info!("the collector takes spans again");
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
