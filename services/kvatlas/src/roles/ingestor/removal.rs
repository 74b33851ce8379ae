//! Forgetting an endpoint because an operator says so.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use indexer_ingest::Monitor;
use indexer_store::{AppendError, IndexWriter};
use proto_model::{Batch, Command, Endpoint, EventsCommand, Publisher, Rank};

/// Ranks that the store is asked about where none is named.
const RANKS: u32 = 256;
/// Endpoints named in the answer where one is not known.
const NAMED: usize = 20;

/// Removes the endpoint, or one rank of it, from the store.
///
/// # Errors
/// 404 if the store does not know it, naming endpoints that were heard here; 503
/// if the store takes no batch now.
pub(super) async fn remove(
    endpoint: Endpoint,
    rank: Option<Rank>,
    monitor: &Monitor,
    store: &dyn IndexWriter,
) -> Result<(), (StatusCode, String)> {
    let away = |error: AppendError| (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"));
    let heard: BTreeSet<Publisher> = monitor
        .publishers()
        .await
        .into_iter()
        .map(|view| view.publisher)
        .collect();
    let ranks: BTreeSet<Rank> = match rank {
        Some(rank) => [rank].into(),
        None => {
            let own = heard.iter().filter(|heard| heard.endpoint == endpoint);
            own.map(|heard| heard.rank)
                .chain((0..RANKS).map(Rank))
                .collect()
        }
    };
    if !is_known(&endpoint, ranks, store).await.map_err(away)? {
        return Err((StatusCode::NOT_FOUND, unknown(&endpoint, rank, &heard)));
    }
    let commands = vec![Command::EndpointRemoved { endpoint, rank }];
    store.append(&Batch { commands }).await.map_err(away)?;
    Ok(())
}

/// Asks where the store stands with each rank, by commands that change nothing.
async fn is_known(
    endpoint: &Endpoint,
    ranks: BTreeSet<Rank>,
    store: &dyn IndexWriter,
) -> Result<bool, AppendError> {
    let question = |rank| {
        Command::Events(EventsCommand {
            publisher: Publisher {
                endpoint: endpoint.clone(),
                rank,
            },
            model: String::new(),
            spaces: Vec::new(),
            messages: Vec::new(),
        })
    };
    let commands = ranks.into_iter().map(question).collect();
    let appended = store.append(&Batch { commands }).await?;
    Ok(appended
        .outcomes
        .iter()
        .any(|outcome| outcome.cursor.is_some()))
}

fn unknown(endpoint: &Endpoint, rank: Option<Rank>, heard: &BTreeSet<Publisher>) -> String {
    let what = rank.map_or_else(String::new, |rank| format!(" rank {} of", rank.0));
    let known: BTreeSet<String> = heard
        .iter()
        .map(|publisher| publisher.endpoint.to_string())
        .collect();
    let mut said: Vec<&str> = known.iter().take(NAMED).map(String::as_str).collect();
    if known.len() > NAMED {
        said.push("...");
    }
    let said = match said.is_empty() {
        true => "none".to_owned(),
        false => said.join(", "),
    };
    format!(
        "the store does not know{what} {endpoint}; heard here: {said}. A scorer with scorer.stores \
         lists endpoints under the store's label; here the cluster of their own name is meant\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_named() {
        let endpoint = |address: &str| Endpoint::new("default", address).unwrap();
        let heard = |address: &str, rank| Publisher {
            endpoint: endpoint(address),
            rank: Rank(rank),
        };
        let known = BTreeSet::from([heard("10.0.0.1:8000", 0), heard("10.0.0.1:8000", 1)]);
        let said = unknown(&endpoint("10.0.0.2:8000"), Some(Rank(3)), &known);
        assert!(said.contains("rank 3 of default/10.0.0.2:8000"), "{said}");
        assert_eq!(said.matches("10.0.0.1:8000").count(), 1, "{said}");
        let said = unknown(&endpoint("10.0.0.2:8000"), None, &BTreeSet::new());
        assert!(said.contains("heard here: none"), "{said}");
    }
}
