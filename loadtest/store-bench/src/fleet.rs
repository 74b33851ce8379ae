//! The simulated engines: sends a pool's messages, as fast as they are taken or
//! at a rate.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use loadtest_engines::Feed;

use crate::MODEL;
use crate::pool::Pool;

/// How often a paced sender sends what has become due.
const TICK: Duration = Duration::from_millis(1);

/// Engines, connected.
pub(crate) struct Fleet {
    pool: Pool,
    feeds: Vec<Feed>,
    /// The time in the last message of each.
    stamped: Vec<u64>,
    /// Whose turn it is.
    turn: usize,
}

/// One message that was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) engine: usize,
    /// The time in it, taken just before it was sent.
    pub(crate) micros: u64,
}

impl Fleet {
    pub(crate) async fn connect(pool: Pool, subscriber: &str) -> Result<Self> {
        let mut feeds = Vec::new();
        for number in 0..pool.shape().engines {
            feeds.push(Feed::connect(subscriber, number, MODEL).await?);
        }
        Ok(Self {
            stamped: vec![0; feeds.len()],
            pool,
            feeds,
            turn: 0,
        })
    }

    /// Sends what fills all caches. Returns the block events.
    pub(crate) async fn fill(&mut self) -> Result<u64> {
        let shape = self.pool.shape();
        let mut events = 0;
        for _ in 0..shape.engines * shape.prompts_held {
            events += self.send_next().await?.1;
        }
        Ok(events)
    }

    /// Sends at least so many block events, as fast as they are taken.
    pub(crate) async fn send(&mut self, events: u64) -> Result<u64> {
        let mut sent = 0;
        while sent < events {
            sent += self.send_next().await?.1;
        }
        Ok(sent)
    }

    /// Sends for a while at a rate in block events per second. Calls `note` before
    /// each message. Returns the block events.
    pub(crate) async fn send_paced(
        &mut self,
        rate: f64,
        time: Duration,
        mut note: impl FnMut(Sent),
    ) -> Result<u64> {
        let (started, mut sent) = (Instant::now(), 0_u64);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while started.elapsed() < time {
            ticks.tick().await;
            while (sent as f64) < rate * started.elapsed().as_secs_f64() {
                let (made, events) = self.next_message();
                note(made.sent);
                self.feeds[made.sent.engine].publish(made.payload).await?;
                sent += events;
            }
        }
        Ok(sent)
    }

    /// Endpoint, next sequence and the time of its last message, of each engine.
    pub(crate) fn standings(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let all = self.feeds.iter().zip(&self.stamped);
        all.map(|(feed, micros)| (feed.address.as_str(), feed.sequence, *micros))
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn send_next(&mut self) -> Result<(Sent, u64)> {
        let (made, events) = self.next_message();
        self.feeds[made.sent.engine].publish(made.payload).await?;
        Ok((made.sent, events))
    }

    fn next_message(&mut self) -> (Made, u64) {
        let engine = self.turn;
        self.turn = (self.turn + 1) % self.feeds.len();
        // No two messages of an engine have one time.
        let micros = now_micros().max(self.stamped[engine] + 1);
        self.stamped[engine] = micros;
        let sequence = self.feeds[engine].sequence;
        let (payload, events) = self.pool.message(engine, sequence, micros);
        let sent = Sent { engine, micros };
        (Made { sent, payload }, events)
    }
}

struct Made {
    sent: Sent,
    payload: bytes::Bytes,
}

/// This machine's clock, in microseconds since the Unix epoch.
pub(crate) fn now_micros() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
