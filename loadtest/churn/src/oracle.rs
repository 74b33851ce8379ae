//! Compares the index's answers with the simulated caches.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use loadtest_engines::{BLOCK_SIZE, Engine, Population};
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{ListEndpointsRequest, ScoreRequest, StatsRequest, TokenIds};
use rand::rngs::SmallRng;
use tonic::transport::Channel;

/// The model that all simulated engines serve.
pub(crate) const MODEL: &str = "churn";

/// How long the index may take to catch up.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

/// Asks the scorer, and knows what it should answer.
pub(crate) struct Oracle {
    scorer: ScorerClient<Channel>,
    index: IndexClient<Channel>,
    hashes: Vec<u64>,
}

impl Oracle {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let channel = Channel::from_shared(url.to_owned())?.connect().await?;
        Ok(Self {
            scorer: ScorerClient::new(channel.clone()),
            index: IndexClient::new(channel),
            hashes: Vec::new(),
        })
    }

    /// Waits until every engine's last message is in the index, then checks the
    /// number of memberships. Returns it, and the index's own count of its bytes.
    pub(crate) async fn settle(&mut self, engines: &[Engine]) -> Result<(u64, u64)> {
        let deadline = tokio::time::Instant::now() + SETTLE_LIMIT;
        loop {
            let behind = self.behind(engines).await?;
            if behind.is_none() {
                break;
            }
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "not caught up after {SETTLE_LIMIT:?}: {}",
                    behind.unwrap_or_default()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let held: u64 = engines.iter().map(|engine| engine.cache.len() as u64).sum();
        let stats = self.index.stats(StatsRequest {}).await?.into_inner();
        if stats.memberships != held {
            bail!(
                "the engines hold {held} blocks, the index {}",
                stats.memberships
            );
        }
        Ok((held, stats.bytes))
    }

    async fn behind(&mut self, engines: &[Engine]) -> Result<Option<String>> {
        let mut next: HashMap<String, u64> = HashMap::new();
        let mut page_token = String::new();
        loop {
            let request = ListEndpointsRequest {
                page_token,
                ..Default::default()
            };
            let page = self.index.list_endpoints(request).await?.into_inner();
            for endpoint in page.endpoints {
                next.insert(endpoint.address, endpoint.next_sequence);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(engines
            .iter()
            .filter(|engine| engine.sequence > 0)
            .find_map(|engine| {
                let seen = next.get(&engine.address).copied().unwrap_or(0);
                (seen != engine.sequence).then(|| {
                    format!(
                        "{} is at {seen}, the engine at {}",
                        engine.address, engine.sequence
                    )
                })
            }))
    }

    /// Scores random prompts and compares every endpoint's matched blocks.
    pub(crate) async fn compare(
        &mut self,
        engines: &[Engine],
        population: &Population,
        samples: usize,
        random: &mut SmallRng,
    ) -> Result<()> {
        for _ in 0..samples {
            let prompt = population.draw(random);
            prompt.hashes(&mut self.hashes);
            let ids = (0..prompt.blocks())
                .flat_map(|block| prompt.tokens(block))
                .collect::<Vec<_>>();
            debug_assert_eq!(ids.len(), prompt.blocks() * BLOCK_SIZE);
            let request = ScoreRequest {
                model: MODEL.to_owned(),
                input: Some(Input::Tokens(TokenIds { ids })),
                include_unmatched: true,
                ..Default::default()
            };
            let answer = self
                .scorer
                .score(request)
                .await
                .context("Score")?
                .into_inner();
            let found: HashMap<_, _> = answer
                .endpoints
                .into_iter()
                .map(|endpoint| (endpoint.address, endpoint.matched_blocks as usize))
                .collect();
            for engine in engines {
                let truth = engine.cache.matched(&self.hashes);
                let said = found.get(&engine.address).copied().unwrap_or(0);
                if truth != said {
                    bail!(
                        "{} holds {truth} blocks of {prompt:?}, the index says {said}",
                        engine.address
                    );
                }
            }
        }
        Ok(())
    }
}
