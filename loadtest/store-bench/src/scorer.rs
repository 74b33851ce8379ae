//! A scorer as its callers see it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use loadtest_engines::BLOCK_SIZE;
use proto_api::v1::block_keys::Form;
use proto_api::v1::index_client::IndexClient;
use proto_api::v1::score_request::Input;
use proto_api::v1::scorer_client::ScorerClient;
use proto_api::v1::{BlockKeys, ListEndpointsRequest, ScoreRequest, StatsRequest, Trust};
use tonic::transport::Channel;

use crate::MODEL;
use crate::fleet::Fleet;

/// How long an index may take to catch up without getting any further.
const STUCK_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at an index that is catching up.
const LOOK: Duration = Duration::from_millis(5);

/// Asks one scorer.
#[derive(Clone)]
pub(crate) struct ScorerView {
    scorer: ScorerClient<Channel>,
    index: IndexClient<Channel>,
}

impl ScorerView {
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}");
        let channel = Channel::from_shared(url)?.connect().await?;
        Ok(Self {
            scorer: ScorerClient::new(channel.clone()),
            index: IndexClient::new(channel),
        })
    }

    /// The time of the newest message that is counted, by endpoint: from an answer
    /// to a prompt that nobody holds.
    pub(crate) async fn newest(&mut self) -> Result<HashMap<String, u64>> {
        let keys = BlockKeys {
            values: vec![1],
            block_size: u32::try_from(BLOCK_SIZE)?,
            form: Form::Rolling.into(),
            ..BlockKeys::default()
        };
        let request = ScoreRequest {
            model: MODEL.to_owned(),
            input: Some(Input::Keys(keys)),
            include_unmatched: true,
            ..ScoreRequest::default()
        };
        let answer = self
            .scorer
            .score(request)
            .await
            .context("Score")?
            .into_inner();
        let newest = answer.endpoints.into_iter();
        Ok(newest
            .map(|endpoint| (endpoint.address, endpoint.last_event_us))
            .collect())
    }

    /// Waits until the last message of every engine is counted.
    pub(crate) async fn caught_up(&mut self, fleet: &Fleet) -> Result<()> {
        let (mut best, mut since) = (0, Instant::now());
        loop {
            // Before the first message the model is not known, which is an error.
            let newest = self.newest().await.unwrap_or_default();
            let seen = |address: &str| newest.get(address).copied().unwrap_or(0);
            if fleet
                .standings()
                .all(|(address, _, last)| seen(address) >= last)
            {
                return Ok(());
            }
            let sum = newest.values().sum::<u64>();
            if sum > best {
                (best, since) = (sum, Instant::now());
            }
            if since.elapsed() > STUCK_LIMIT {
                bail!("the scorer has not moved for {STUCK_LIMIT:?} and is not at the end");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Fails unless the index holds exactly what the engines hold, and nothing was
    /// lost on the way.
    pub(crate) async fn check(&mut self, fleet: &Fleet) -> Result<()> {
        let mut standings = HashMap::new();
        let mut page_token = String::new();
        loop {
            let request = ListEndpointsRequest {
                page_token,
                ..ListEndpointsRequest::default()
            };
            let page = self.index.list_endpoints(request).await?.into_inner();
            for endpoint in page.endpoints {
                standings.insert(endpoint.address.clone(), endpoint);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        for (address, sequence, _) in fleet.standings() {
            let Some(endpoint) = standings.get(address) else {
                bail!("{address} is not listed");
            };
            let trust = endpoint.trust();
            let (next, lost, parked) = (endpoint.next_sequence, endpoint.lost, endpoint.parked);
            if (next, lost, parked, trust) != (sequence, 0, 0, Trust::Exact) {
                bail!(
                    "{address} sent {sequence}; next {next}, lost {lost}, parked {parked}, {trust:?}"
                );
            }
        }
        let (held, listed) = (
            fleet.pool().shape().memberships(),
            self.memberships().await?,
        );
        if held != listed {
            bail!("the engines hold {held} blocks, the scorer lists {listed}");
        }
        Ok(())
    }

    /// Memberships listed.
    pub(crate) async fn memberships(&mut self) -> Result<u64> {
        Ok(self
            .index
            .stats(StatsRequest {})
            .await?
            .into_inner()
            .memberships)
    }
}
