//! Batches appended through the Store service: the store without engines, sockets
//! and readers' waits before it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proto_api::AppendRequest;
use proto_api::v1::store_client::StoreClient;
use proto_model::{
    Batch, Change, Command, Endpoint, EngineHash, EventsCommand, Extras, KeySpace, LocalHash,
    Medium, Message, Profile, Publisher, Rank, StoredBlock, Timestamp,
};
use tonic::transport::Channel;

use crate::deployment::Deployment;
use crate::fleet::now_micros;
use crate::meter::Meter;
use crate::pool::Shape;
use crate::report::Direct;
use crate::statistics::Sorted;

/// Messages in a batch.
const MESSAGES: u64 = 8;

/// How long a leader may take to be found.
const LEADER_LIMIT: Duration = Duration::from_secs(60);

/// Appends for a while with several writers, each one batch at a time and with a
/// publisher of its own. None if the store has no such service.
pub(crate) async fn measure(
    deployment: &Deployment,
    shape: Shape,
    writers: usize,
    time: Duration,
) -> Result<Option<Direct>> {
    let Some(leader) = leader(&deployment.store_ports).await? else {
        return Ok(None);
    };
    let mut tasks = Vec::new();
    for number in 0..writers {
        let mut writer = Writer::new(leader.clone(), number, shape)?;
        // Full caches first.
        while writer.sequence < shape.prompts_held as u64 {
            writer.append().await?;
        }
        tasks.push(writer);
    }
    let (meter, started) = (Meter::start(deployment)?, Instant::now());
    let running = tasks.into_iter().map(|mut writer| {
        tokio::spawn(async move {
            let (mut events, mut micros) = (0, Vec::new());
            while started.elapsed() < time {
                let begun = Instant::now();
                events += writer.append().await?;
                micros.push(u64::try_from(begun.elapsed().as_micros())?);
            }
            anyhow::Ok((events, micros))
        })
    });
    let (mut events, mut micros) = (0, Vec::new());
    for task in running.collect::<Vec<_>>() {
        let (some, times) = task.await??;
        events += some;
        micros.extend(times);
    }
    let seconds = started.elapsed().as_secs_f64();
    let micros = Sorted::new(micros);
    Ok(Some(Direct {
        events_per_batch: usize::try_from(MESSAGES)? * 2 * shape.prompt_blocks,
        writers,
        batches: micros.len() as u64,
        events_per_second: events as f64 / seconds,
        append_p50_ms: micros.quantile_ms(0.5),
        append_p99_ms: micros.quantile_ms(0.99),
        processes: meter.stop(deployment, events)?,
    }))
}

/// The node that takes batches; none if no port speaks the service.
async fn leader(ports: &[u16]) -> Result<Option<StoreClient<Channel>>> {
    let started = Instant::now();
    while started.elapsed() < LEADER_LIMIT {
        for port in ports {
            let url = format!("http://127.0.0.1:{port}");
            let channel = Channel::from_shared(url)?.connect().await?;
            let mut client = StoreClient::new(channel);
            let nothing = AppendRequest::of(&Batch::default());
            if client.append(nothing).await.is_ok() {
                return Ok(Some(client));
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if ports.is_empty() {
        return Ok(None);
    }
    bail!("no node of {ports:?} takes batches after {LEADER_LIMIT:?}")
}

/// One publisher whose cache is first in, first out.
struct Writer {
    client: StoreClient<Channel>,
    publisher: Publisher,
    shape: Shape,
    sequence: u64,
}

impl Writer {
    fn new(client: StoreClient<Channel>, number: usize, shape: Shape) -> Result<Self> {
        let endpoint = Endpoint::new("direct", &format!("10.200.0.{number}:8000"))?;
        Ok(Self {
            client,
            publisher: Publisher {
                endpoint,
                rank: Rank(0),
            },
            shape,
            sequence: 0,
        })
    }

    /// Appends the next messages. Returns the block events.
    async fn append(&mut self) -> Result<u64> {
        let (mut events, mut messages) = (0, Vec::new());
        for _ in 0..MESSAGES {
            messages.push(self.next_message(&mut events));
        }
        let command = Command::Events(EventsCommand {
            publisher: self.publisher.clone(),
            model: crate::MODEL.to_owned(),
            spaces: vec![space()],
            messages,
        });
        let batch = Batch {
            commands: vec![command],
        };
        let answer = self
            .client
            .append(AppendRequest::of(&batch))
            .await
            .context("Append")?;
        let outcome = answer
            .into_inner()
            .outcomes
            .first()
            .cloned()
            .unwrap_or_default();
        if u64::from(outcome.applied) != MESSAGES {
            bail!(
                "{} of {MESSAGES} messages were applied: {outcome:?}",
                outcome.applied
            );
        }
        Ok(events)
    }

    fn next_message(&mut self, events: &mut u64) -> Message {
        let blocks = self.shape.prompt_blocks as u64;
        let hashes = |prompt: u64| (prompt * blocks + 1..=(prompt + 1) * blocks).map(spread);
        let mut changes = Vec::new();
        if let Some(oldest) = self.sequence.checked_sub(self.shape.prompts_held as u64) {
            changes.push(Change::Removed {
                medium: Medium::Gpu,
                group: 0,
                hashes: hashes(oldest).map(EngineHash).collect(),
            });
            *events += blocks;
        }
        let stored = |hash| StoredBlock {
            hash: EngineHash(hash),
            local: LocalHash(!hash),
        };
        changes.push(Change::Stored {
            space: 0,
            medium: Medium::Gpu,
            group: 0,
            parent: None,
            blocks: hashes(self.sequence).map(stored).collect(),
        });
        *events += blocks;
        let sequence = self.sequence;
        self.sequence += 1;
        Message {
            sequence,
            timestamp: Timestamp(now_micros()),
            stream: None,
            changes,
        }
    }
}

fn space() -> KeySpace {
    KeySpace {
        profile: Profile::Content,
        model: crate::MODEL.to_owned(),
        lora: None,
        block_size: 16,
        extras: Extras::Published,
    }
}

/// Different numbers for different numbers, as far apart as hashes are.
fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
