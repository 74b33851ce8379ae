//! What the ingestor found, fetched over HTTP.

use std::collections::BTreeMap;
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
    /// Who has been heard of.
    pub(crate) publishers: Vec<ReportedPublisher>,
}

/// One publisher as its ingestor sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReportedPublisher {
    /// `cluster/address#rank`.
    pub(crate) publisher: String,
    /// Connections that deliver its messages.
    pub(crate) connections: usize,
    /// Whether its history is being fetched.
    pub(crate) replaying: bool,
    /// Whether its history can be fetched at all.
    pub(crate) replayable: bool,
    /// Restarts noticed.
    pub(crate) restarts: u64,
    /// Messages heard but not yet in the store.
    pub(crate) lag: u64,
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

/// What `GET /readyz` answers.
#[derive(Debug, Deserialize)]
struct Readiness {
    waiting: Vec<Waiting>,
}

/// One condition that does not hold.
#[derive(Debug, Deserialize)]
struct Waiting {
    name: String,
    reason: String,
}

/// What the process itself says it waits for.
pub(super) async fn readiness(url: &str) -> Result<Vec<Diagnosis>> {
    let target = format!("{}/readyz", url.trim_end_matches('/'));
    let text = tokio::task::spawn_blocking(move || get(&target)).await??;
    let readiness: Readiness = serde_json::from_str(&text).context("not a readiness report")?;
    let diagnoses = readiness.waiting.into_iter().map(|waiting| Diagnosis {
        level: Level::Error,
        subject: waiting.name,
        seen: format!("not ready: {}", waiting.reason),
        expected: "every part of the process ready".to_owned(),
        advice: "see the process's log; a part that is gone needs a restart".to_owned(),
    });
    Ok(diagnoses.collect())
}

pub(super) async fn fetch(url: &str) -> Result<IngestReport> {
    let target = format!("{}/v1/ingest", url.trim_end_matches('/'));
    let text = tokio::task::spawn_blocking(move || get(&target)).await??;
    serde_json::from_str(&text).context("not an ingestor's report")
}

fn get(target: &str) -> Result<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        // "Not ready" is an answer too.
        .http_status_as_error(false)
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

/// What the ingestors found, and who has no connection to any of them.
pub(super) fn diagnose(reports: &[IngestReport]) -> Vec<Diagnosis> {
    let found = reports.iter().flat_map(|report| &report.findings);
    let found = found.map(|finding| Diagnosis {
        level: Level::Error,
        subject: format!(
            "{} ({}, {} times)",
            finding.subject, finding.kind, finding.count
        ),
        seen: finding.seen.clone(),
        expected: finding.expected.clone(),
        advice: finding.advice.clone(),
    });
    let mut connections: BTreeMap<&str, usize> = BTreeMap::new();
    for publisher in reports.iter().flat_map(|report| &report.publishers) {
        *connections.entry(&publisher.publisher).or_default() += publisher.connections;
    }
    let gone = connections.into_iter().filter(|(_, count)| *count == 0);
    let gone = gone.map(|(publisher, _)| Diagnosis {
        level: Level::Warning,
        subject: publisher.to_owned(),
        seen: "no connection delivers its messages any more".to_owned(),
        expected: "a connection for as long as the engine runs".to_owned(),
        advice:
            "if the engine is gone: kvatlas forget CLUSTER/ADDRESS, or wait for ingest.forget_after"
                .to_owned(),
    });
    found.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(publishers: &[(&str, usize)]) -> IngestReport {
        let publishers = publishers
            .iter()
            .map(|(name, connections)| ReportedPublisher {
                publisher: (*name).to_owned(),
                connections: *connections,
                replaying: false,
                replayable: false,
                restarts: 0,
                lag: 0,
            });
        IngestReport {
            findings: Vec::new(),
            publishers: publishers.collect(),
        }
    }

    #[test]
    fn a_publisher_is_gone_only_if_no_ingestor_hears_it() {
        let reports = [report(&[("a", 0), ("b", 0)]), report(&[("a", 1)])];
        let found = diagnose(&reports);
        let subjects: Vec<_> = found.iter().map(|found| &found.subject[..]).collect();
        assert_eq!(subjects, ["b"]);
    }
}
