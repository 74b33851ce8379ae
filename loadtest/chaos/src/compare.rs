//! The end of a run: nothing moves any more, and every scorer must say exactly
//! what the engines hold.
//!
//! Every block of an engine lies on a prefix of a known prompt. If every known
//! prompt matches as many blocks as the engine holds of it, no block is missing;
//! if the number of blocks is right too, there is none too many.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use loadtest_engines::Prompt;
use proto_api::v1::{EndpointInfo, ReplicaState, Trust};
use tokio::time::Instant;
use tonic::Status;

use crate::checker::matched;
use crate::client::Client;
use crate::findings::Findings;
use crate::fleet::{self, Fleet, POPULATION, UNIQUE_PROMPTS, anchor, unique};
use crate::marks::{self, Marks};

/// What one engine, or a publisher of markers, holds.
struct Truth {
    address: String,
    next_sequence: u64,
    blocks: u64,
}

/// What all scorers must come to.
pub(crate) struct Comparison<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) marks: &'a [Marks],
    pub(crate) findings: &'a Findings,
    pub(crate) limit: Duration,
    /// Whether all endpoints must be exact: nothing was lost that could not be
    /// had again.
    pub(crate) all_exact: bool,
}

impl Comparison<'_> {
    /// Waits until the scorer has come to rest, and compares. What is wrong is
    /// noted.
    pub(crate) async fn run(&self, name: &str, mut client: Client) {
        let truths = self.truths().await;
        let deadline = Instant::now() + self.limit;
        loop {
            let wrong = match self.counts(&truths, &mut client).await {
                Ok(None) => break,
                Ok(Some(wrong)) => wrong,
                Err(status) => status.to_string(),
            };
            if Instant::now() > deadline {
                let what = format!("{name} after {:?} at rest: {wrong}", self.limit);
                self.findings.violation("I2/I7 oracle", what);
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        match self.prompts(&mut client).await {
            Ok(wrong) => {
                for wrong in wrong {
                    let what = format!("{name}: {wrong}");
                    self.findings.violation("I2/I7 oracle", what);
                }
            }
            Err(status) => {
                let what = format!("{name} fails at rest: {status}");
                self.findings.violation("availability", what);
            }
        }
    }

    async fn truths(&self) -> Vec<Truth> {
        let mut truths = Vec::new();
        for number in 0..=self.fleet.restartable() {
            let engine = self.fleet.engine(number).await;
            truths.push(Truth {
                address: engine.address.clone(),
                next_sequence: engine.sequence,
                blocks: engine.cache.len() as u64,
            });
        }
        for marks in self.marks {
            truths.push(Truth {
                address: marks.address(),
                next_sequence: marks.len(),
                blocks: marks.held().len() as u64 * u64::from(marks::BLOCKS),
            });
        }
        truths
    }

    /// The first thing that is not as it must be.
    async fn counts(
        &self,
        truths: &[Truth],
        client: &mut Client,
    ) -> Result<Option<String>, Status> {
        let stats = client.stats().await?;
        if stats.state() != ReplicaState::Live {
            return Ok(Some(format!("state {:?}", stats.state())));
        }
        let (listed, _) = client.endpoints().await?;
        let listed: HashMap<_, _> = listed
            .iter()
            .map(|endpoint| (endpoint.address.as_str(), endpoint))
            .collect();
        for truth in truths {
            let wrong = match listed.get(truth.address.as_str()) {
                // Nothing was ever published there.
                None if truth.next_sequence == 0 && truth.blocks == 0 => None,
                None => Some("is not listed".to_owned()),
                Some(endpoint) => self.difference(truth, endpoint),
            };
            if let Some(wrong) = wrong {
                return Ok(Some(format!("{} {wrong}", truth.address)));
            }
        }
        let held: u64 = truths.iter().map(|truth| truth.blocks).sum();
        Ok((stats.memberships != held).then(|| {
            let seen = stats.memberships;
            format!("the engines hold {held} blocks, the index {seen}")
        }))
    }

    fn difference(&self, truth: &Truth, endpoint: &EndpointInfo) -> Option<String> {
        let held = endpoint.blocks.as_ref().map_or(0, |blocks| {
            blocks.gpu + blocks.cpu + blocks.disk + blocks.remote
        });
        if endpoint.next_sequence != truth.next_sequence {
            let (seen, true_one) = (endpoint.next_sequence, truth.next_sequence);
            return Some(format!("is at {seen}, the engine at {true_one}"));
        }
        if held != truth.blocks {
            return Some(format!("has {held} blocks, the engine {}", truth.blocks));
        }
        if self.all_exact && endpoint.trust() != Trust::Exact {
            return Some(format!(
                "is {:?} with {} lost, though nothing was lost",
                endpoint.trust(),
                endpoint.lost
            ));
        }
        None
    }

    /// Every known prompt against every engine, every marker against the notes.
    async fn prompts(&self, client: &mut Client) -> Result<Vec<String>, Status> {
        let mut wrong = Vec::new();
        let mut prompts: Vec<Prompt> = POPULATION.chains().collect();
        prompts.push(anchor());
        for number in 0..self.fleet.restartable() {
            let life = self.fleet.engine(number).await.life;
            let lives = (1..=life).flat_map(|life| (0..=UNIQUE_PROMPTS).map(move |w| (life, w)));
            prompts.extend(lives.map(|(life, which)| unique(number, life, which)));
        }
        for (index, prompt) in prompts.iter().enumerate() {
            // By turns, so that both ways to ask are held to be equal.
            let answer = if index % 2 == 0 {
                client.score_prompt(fleet::MODEL, prompt).await?
            } else {
                client.score_tokens(fleet::MODEL, prompt).await?
            };
            let mut said: BTreeMap<_, _> = answer
                .endpoints
                .iter()
                .map(|endpoint| (endpoint.address.clone(), endpoint.matched_blocks as usize))
                .collect();
            for number in 0..=self.fleet.restartable() {
                let engine = self.fleet.engine(number).await;
                let truth = engine.holds(prompt);
                let said = said.remove(&engine.address).unwrap_or(0);
                if said != truth {
                    wrong.push(format!(
                        "{} holds {truth} blocks of {prompt:?}, the index says {said}",
                        engine.address
                    ));
                }
            }
            if let Some((address, _)) = said.iter().find(|(_, blocks)| **blocks > 0) {
                wrong.push(format!("{address} is said to hold blocks of {prompt:?}"));
            }
        }
        for marks in self.marks {
            for number in marks.held() {
                let values = marks.rolling(number);
                let answer = client.score_rolling(marks::MODEL, values).await?;
                if matched(&answer, &marks.address()) != marks::BLOCKS {
                    wrong.push(format!(
                        "acknowledged marker {number} of {} is not there",
                        marks.address()
                    ));
                }
            }
        }
        Ok(wrong)
    }
}
