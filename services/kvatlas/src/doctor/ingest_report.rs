//! What the ingestor found, fetched over HTTP.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::checks::{Diagnosis, Level};

/// How long the report may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest report that is read.
const REPORT_LIMIT: u64 = 16 << 20;

/// What `GET /v1/ingest` answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct IngestReport {
    /// What is wrong, one entry per subject and kind.
    pub(crate) findings: Vec<ReportedFinding>,
}

/// One finding of an ingestor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReportedFinding {
    /// What sort of trouble, as in the metrics.
    pub(crate) kind: String,
    /// The publisher or peer.
    pub(crate) subject: String,
    /// What was seen first.
    pub(crate) seen: String,
    /// What was expected.
    pub(crate) expected: String,
    /// How to mend it.
    pub(crate) advice: String,
    /// How often.
    pub(crate) count: u64,
}

pub(super) async fn fetch(url: &str) -> Result<IngestReport> {
    let target = format!("{}/v1/ingest", url.trim_end_matches('/'));
    let text = tokio::task::spawn_blocking(move || get(&target)).await??;
    serde_json::from_str(&text).context("not an ingestor's report")
}

fn get(target: &str) -> Result<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let mut response = agent
        .get(target)
        .call()
        .with_context(|| format!("GET {target}"))?;
    Ok(response
        .body_mut()
        .with_config()
        .limit(REPORT_LIMIT)
        .read_to_string()?)
}

pub(super) fn diagnose(report: &IngestReport) -> Vec<Diagnosis> {
    report
        .findings
        .iter()
        .map(|finding| Diagnosis {
            level: Level::Error,
            subject: format!(
                "{} ({}, {} times)",
                finding.subject, finding.kind, finding.count
            ),
            seen: finding.seen.clone(),
            expected: finding.expected.clone(),
            advice: finding.advice.clone(),
        })
        .collect()
}
