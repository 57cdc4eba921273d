//! `livegate serve`.

use std::path::Path;

use super::{Failure, log, runtime, stop_signals, told_to_stop};
use crate::config;
use crate::gateway::Gateway;
use crate::trace;

pub(super) fn serve(path: &Path) -> Result<(), Failure> {
    let loaded = config::load(path);
    let config = loaded.config.map_err(|mistakes| Failure::Wrong(mistakes.to_string()))?;
    let log = log::start("info");
    allow_connections(config.server.max_connections);
    let runtime = runtime(config.server.workers)?;
    let done = runtime.block_on(async {
        let signals = stop_signals()?;
        let traces = config.traces.clone();
        let gateway = Gateway::bind(config, loaded.watched)
            .map_err(|told| Failure::Failed(told.join("\n")))?;
        let metrics = gateway.metrics();
        if let Some(log) = &log {
            log.count_lost(metrics.log_lines_lost_total.clone());
        }
        if let Some(traces) = traces {
            trace::start(&traces, metrics.trace_spans_lost_total.clone())
                .map_err(|told| Failure::Failed(format!("[traces]: {told}")))?;
        }
        for (address, tls) in gateway.addresses() {
            tracing::info!(listener = "public", %address, tls, "listening");
        }
        if let Some(address) = gateway.admin_address() {
            tracing::info!(listener = "admin", %address, tls = false, "listening");
        }
        let done = tokio::select! {
            done = gateway.run(told_to_stop(signals.clone(), 1)) => done.map_err(Failure::failed),
            () = told_to_stop(signals, 2) => {
                tracing::warn!("told to stop again: what is running is cut off");
                return Ok(());
            }
        };
        trace::stop().await;
        done
    });
    // Whatever outlived its time is not waited for.
    runtime.shutdown_background();
    done
}

/// Each request may hold two connections, the app's and Azure's. What the system allows by default is
/// mostly less than what it allows at all.
fn allow_connections(most: usize) {
    let wanted = u64::try_from(most).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(64);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed >= wanted => {}
        Ok(allowed) => tracing::warn!(
            allowed,
            wanted,
            "the system allows fewer open files than server.max_connections may need"
        ),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be read"),
    }
}
