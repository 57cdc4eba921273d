//! The requests that came, for a test to look at.

use std::collections::VecDeque;

use serde::Serialize;

use super::fault::RouteName;
use super::keys::SlotNumber;

/// How many requests are remembered.
const KEPT: usize = 10_000;

/// One request to the API, faulted ones included.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Record {
    pub(super) method: String,
    /// Path and query as they came.
    pub(super) target: String,
    pub(super) http_version: &'static str,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body_length: usize,
    pub(super) body_sha256: String,
    pub(super) route: RouteName,
    pub(super) received: String,
    /// The slot whose key was accepted.
    pub(super) key_slot: Option<SlotNumber>,
    /// The status of the answer; none where a fault kept it from being a whole one.
    pub(super) status: Option<u16>,
    /// The ids of the faults that were worked on the answer.
    pub(super) faults: Vec<u64>,
}

/// The latest requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recording {
    records: VecDeque<Record>,
    total: u64,
}

impl Recording {
    pub(super) fn add(&mut self, record: Record) {
        if self.records.len() >= KEPT {
            self.records.pop_front();
        }
        self.records.push_back(record);
        self.total = self.total.saturating_add(1);
    }

    pub(super) const fn records(&self) -> &VecDeque<Record> {
        &self.records
    }

    /// How many came since the start or the last clearing.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
