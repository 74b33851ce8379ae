//! What the picker's log says of requests.

use std::collections::HashMap;

use anyhow::Result;
use loadtest_gateway::{Log, eventually};
use serde_json::Value;

/// One decision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decided {
    /// Tokens that the engine was thought to hold.
    pub(super) predicted: u32,
    /// How it was decided.
    pub(super) mode: String,
    /// Why this endpoint.
    pub(super) reason: String,
}

/// The decisions on these requests, in their order; as soon as all are in the log.
///
/// # Errors
/// If one does not come in time.
pub(super) async fn of(log: &Log, ids: &[String]) -> Result<Vec<Decided>> {
    let what = format!("{} decisions in {}", ids.len(), log.path().display());
    eventually(&what, async || {
        let lines = log.lines()?;
        let by_id: HashMap<&str, Decided> = lines.iter().filter_map(decided).collect();
        let all = ids.iter().map(|id| by_id.get(id.as_str()).cloned());
        Ok(all.collect())
    })
    .await
}

fn decided(line: &Value) -> Option<(&str, Decided)> {
    if line["message"] != "Request handled" {
        return None;
    }
    let predicted = u32::try_from(line["predicted_cached_tokens"].as_u64()?).ok()?;
    let decided = Decided {
        predicted,
        mode: line["mode"].as_str()?.to_owned(),
        reason: line["reason"].as_str()?.to_owned(),
    };
    Some((line["x-request-id"].as_str()?, decided))
}
