//! The engines' side: what they hold, as messages, and churn beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use loadtest_engines::{
    Event, EventsEndpoint, Feed, Prompt, Publisher, PublisherConfig, payload, stamp,
};

use crate::MODEL;
use crate::asked::Placement;

/// Blocks of a prompt of the churn.
const CHURN_BLOCKS: u32 = 64;

/// Prompts of the churn that an engine holds.
const CHURN_HELD: u32 = 8;

/// Messages that a replay keeps beyond those that fill.
const NUDGES: usize = 10_000;

/// How often a paced sender sends what has become due.
const TICK: Duration = Duration::from_millis(1);

/// All messages that fill the engines, first to last, engine by engine.
pub(crate) fn filling(placement: &Placement, engine: usize) -> Result<Vec<Bytes>> {
    let (mut messages, mut hashes) = (Vec::new(), Vec::new());
    let context = placement.context_blocks();
    for prompts in placement.held_by(engine) {
        for (index, prompt) in prompts.iter().enumerate() {
            prompt.hashes(&mut hashes);
            let first = if index == 0 { 0 } else { context };
            let last = prompt.blocks() - 1;
            let event = Event::Stored { first, last };
            let time = messages.len() as f64 + 1.0;
            messages.push(payload(time, prompt, &hashes, &[event])?.into());
        }
    }
    Ok(messages)
}

/// Engines that connect to one subscriber, and wait where it does not read.
pub(crate) struct Fleet {
    feeds: Vec<Feed>,
    /// By engine, the messages of the churn, which come again for ever.
    churn: Vec<Vec<Vec<u8>>>,
    /// By engine, messages of the churn that were sent.
    churned: Vec<usize>,
    turn: usize,
}

impl Fleet {
    /// `ip:port` of an engine.
    pub(crate) fn address(number: usize) -> String {
        loadtest_engines::Engine::address_of(number)
    }

    /// The engine with this `ip:port`.
    pub(crate) fn number(address: &str) -> Option<usize> {
        let mut bytes = address.split(['.', ':']).map(str::parse::<usize>);
        let mut next = || bytes.next()?.ok();
        let (_, high, middle, low) = (next()?, next()?, next()?, next()?);
        Some(high << 16 | middle << 8 | low)
    }

    /// Connects, and sends what the engines hold.
    pub(crate) async fn fill(
        subscriber: &str,
        placement: &Placement,
        engines: usize,
    ) -> Result<Self> {
        let (mut feeds, mut churn) = (Vec::new(), Vec::new());
        for engine in 0..engines {
            let mut feed = Feed::connect(subscriber, engine, MODEL).await?;
            for message in filling(placement, engine)? {
                feed.publish(message).await?;
            }
            feeds.push(feed);
            churn.push(churning(engine)?);
        }
        Ok(Self {
            churned: vec![0; engines],
            turn: 0,
            feeds,
            churn,
        })
    }

    /// Sends churn for a while: at a rate in block events per second, or as fast as
    /// it is taken. Returns the block events.
    pub(crate) async fn churn(&mut self, rate: Option<f64>, time: Duration) -> Result<u64> {
        let (started, mut sent) = (Instant::now(), 0);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while started.elapsed() < time {
            let Some(rate) = rate else {
                sent += self.send_next().await?;
                continue;
            };
            ticks.tick().await;
            while (sent as f64) < rate * started.elapsed().as_secs_f64() {
                sent += self.send_next().await?;
            }
        }
        Ok(sent)
    }

    async fn send_next(&mut self) -> Result<u64> {
        let engine = self.turn;
        self.turn = (self.turn + 1) % self.feeds.len();
        let (feed, messages) = (&mut self.feeds[engine], &self.churn[engine]);
        let step = self.churned[engine];
        let mut message = messages[step % messages.len()].clone();
        stamp(&mut message, 1e6 + feed.sequence as f64);
        feed.publish(message.into()).await?;
        self.churned[engine] += 1;
        Ok(2 * u64::from(CHURN_BLOCKS))
    }
}

/// Messages of an engine that stores a prompt and removes the oldest one, last
/// block first, in a ring.
fn churning(engine: usize) -> Result<Vec<Vec<u8>>> {
    let ring = CHURN_HELD * 2;
    let prompt = |number: u32| -> Result<Prompt> {
        let number = u32::try_from(engine)? * ring + number % ring;
        Ok(Prompt::unique(number, CHURN_BLOCKS))
    };
    let (mut hashes, mut oldest) = (Vec::new(), Vec::new());
    (0..ring)
        .map(|number| {
            let stored = prompt(number)?;
            stored.hashes(&mut hashes);
            prompt(number + ring - CHURN_HELD)?.hashes(&mut oldest);
            let removed = oldest.iter().rev().map(|hash| Event::Removed(*hash));
            let mut events: Vec<Event> = removed.collect();
            let last = CHURN_BLOCKS as usize - 1;
            events.push(Event::Stored { first: 0, last });
            payload(0.0, &stored, &hashes, &events)
        })
        .collect()
}

/// Engines that a subscriber connects to, with replay: for an indexer that is told
/// where engines listen.
pub(crate) struct Bound {
    publishers: Vec<Publisher>,
    messages: Vec<Vec<Bytes>>,
}

impl Bound {
    pub(crate) async fn open(placement: &Placement, engines: usize) -> Result<Self> {
        let (mut publishers, mut messages) = (Vec::new(), Vec::new());
        for engine in 0..engines {
            let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let filling = filling(placement, engine)?;
            let config = PublisherConfig {
                events: EventsEndpoint::Bind(anywhere),
                replay: Some(anywhere),
                replay_steps: filling.len() + NUDGES,
                topic: String::new(),
                topic_in_replays: false,
            };
            publishers.push(Publisher::open(&config).await?);
            messages.push(filling);
        }
        Ok(Self {
            publishers,
            messages,
        })
    }

    /// Where an engine publishes, and where it answers for replays.
    pub(crate) fn addresses(&self, engine: usize) -> Result<(String, String)> {
        let url = |address: Option<SocketAddr>| -> Result<String> {
            Ok(format!("tcp://{}", address.context("not bound")?))
        };
        let publisher = &self.publishers[engine];
        Ok((
            url(publisher.events_address())?,
            url(publisher.replay_address())?,
        ))
    }

    /// Makes what the engines hold known, for replays only: no subscription need be
    /// there yet, and who reads slowly is waited for.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        for (publisher, messages) in self.publishers.iter_mut().zip(&self.messages) {
            for message in messages {
                publisher.publish(message.clone(), false).await?;
            }
        }
        Ok(())
    }

    /// Sends each engine's last message once more, under the next number: who has
    /// missed any before it asks for a replay.
    pub(crate) async fn nudge(&mut self) -> Result<()> {
        for (publisher, messages) in self.publishers.iter_mut().zip(&self.messages) {
            if let Some(last) = messages.last() {
                publisher.publish(last.clone(), true).await?;
            }
        }
        Ok(())
    }
}
