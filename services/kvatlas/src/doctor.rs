//! `kvatlas doctor`: what is wrong with a running KVAtlas, and how to mend it.
//!
//! Every line says what was seen, what was expected, and what to do. The checks
//! are pure functions of what the scorer and its ingestor report.

mod checks;
mod engine;
mod ingest_report;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use proto_api::v1::StatsRequest;

use self::checks::{Diagnosis, Level};
pub(crate) use self::ingest_report::{IngestReport, ReportedFinding, ReportedPublisher};
use crate::cli::DoctorArgs;
use crate::client::{self, said};

/// Asks, examines, prints. Exit status 1 if anything is wrong.
#[expect(
    clippy::print_stdout,
    reason = "the diagnosis is this command's output"
)]
pub(crate) async fn run(args: DoctorArgs) -> Result<ExitCode> {
    let channel = client::connect(&args.client.server).await?;
    let mut index = client::index(channel.clone());
    let endpoints = client::endpoints(&mut index).await?;
    let stats = index
        .stats(StatsRequest {})
        .await
        .map_err(said)?
        .into_inner();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut found = checks::replica(&stats);
    found.extend(checks::endpoints(&endpoints, now, args.silent_after));
    found.extend(checks::models(&stats));
    if let Ok(waiting) = ingest_report::readiness(&args.http).await {
        found.extend(waiting);
    }
    found.extend(ingestors(&args).await);
    if let Some(url) = &args.engine {
        found.extend(engine::compare(url, args.model.as_deref(), channel).await?);
    }
    if args.client.json {
        let list: Vec<_> = found.iter().map(Diagnosis::as_json).collect();
        println!("{}", serde_json::Value::Array(list));
    } else {
        for diagnosis in &found {
            println!("{diagnosis}");
        }
        println!(
            "{} endpoints, {} models, {} findings",
            endpoints.len(),
            stats.models.len(),
            found.len()
        );
    }
    Ok(if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the ingestors found, and what they wait for. In a standalone the
/// ingestor answers where the scorer does.
async fn ingestors(args: &DoctorArgs) -> Vec<Diagnosis> {
    let apart = !args.ingestor.is_empty();
    let urls = match apart {
        true => args.ingestor.clone(),
        false => vec![args.http.clone()],
    };
    let (mut found, mut reports) = (Vec::new(), Vec::new());
    for url in urls {
        if apart && let Ok(waiting) = ingest_report::readiness(&url).await {
            found.extend(waiting);
        }
        match ingest_report::fetch(&url).await {
            Ok(report) => reports.push(report),
            Err(error) => found.push(Diagnosis {
                level: Level::Warning,
                subject: format!("ingestor at {url}"),
                seen: format!("no report: {error:#}"),
                expected: "the ingestor's findings over HTTP".to_owned(),
                advice: "give --ingestor the HTTP address of every ingestor (port 7501), \
                         or --http that of the standalone"
                    .to_owned(),
            }),
        }
    }
    found.extend(ingest_report::diagnose(&reports));
    found
}
