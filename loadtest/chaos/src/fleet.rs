//! The simulated engines, and what they are doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use loadtest_engines::{Engine, Population, Ports, Prompt, free_port};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;

use crate::findings::Findings;

/// The model that all simulated engines serve.
pub(crate) const MODEL: &str = "chaos";

/// Blocks that an engine's cache holds.
const CAPACITY: usize = 192;

/// Messages kept for replays: more than a lifetime has here, so that every gap
/// can be repaired and everything can be exact.
const REPLAY_STEPS: usize = 100_000;

/// Prompts that only one lifetime of one engine runs; there is one more, for
/// [`Fleet::speak`].
pub(crate) const UNIQUE_PROMPTS: u32 = 3;
pub(crate) const UNIQUE_BLOCKS: u32 = 3;

/// Blocks of the prompt that the anchor holds for the whole run.
pub(crate) const ANCHOR_BLOCKS: u32 = 8;

/// Small, so that engines share prefixes and evict them all the time.
pub(crate) const POPULATION: Population = Population {
    customers: 24,
    users: 4,
    context_blocks: 12,
    tail_blocks: 12,
};

/// How an engine is reached.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) address: String,
    pub(crate) ports: Ports,
}

/// One engine that runs prompts by itself.
pub(crate) struct Driven {
    engine: Arc<Mutex<Engine>>,
    /// Known without waiting for the engine.
    life: Arc<AtomicU32>,
    listed: Listed,
    running: JoinHandle<()>,
}

/// All engines. The last one is the anchor: it ran one prompt at the start and
/// does nothing more.
pub(crate) struct Fleet {
    engines: Vec<Driven>,
    working: watch::Sender<bool>,
}

impl Fleet {
    /// Starts the engines; they begin to work with [`resume`](Self::resume).
    pub(crate) async fn start(
        count: usize,
        pause: Duration,
        seed: u64,
        findings: &Findings,
    ) -> Result<Self> {
        let working = watch::channel(false).0;
        let mut engines = Vec::new();
        for number in 0..=count {
            let ports = Ports {
                events: free_port().await?,
                replay: free_port().await?,
            };
            let mut engine = Engine::bind(ports, number, MODEL, CAPACITY, REPLAY_STEPS).await?;
            let listed = Listed {
                address: engine.address.clone(),
                ports,
            };
            let is_anchor = number == count;
            if is_anchor {
                engine.run(&anchor()).await?;
            }
            let engine = Arc::new(Mutex::new(engine));
            let driver = Driver {
                engine: Arc::clone(&engine),
                number,
                pause,
                random: SmallRng::seed_from_u64(seed ^ (number as u64) << 32),
                working: working.subscribe(),
                findings: findings.clone(),
            };
            engines.push(Driven {
                engine,
                life: Arc::new(AtomicU32::new(1)),
                listed,
                running: if is_anchor {
                    tokio::spawn(async {})
                } else {
                    tokio::spawn(driver.run())
                },
            });
        }
        Ok(Self { engines, working })
    }

    pub(crate) fn resume(&self) {
        self.working.send_replace(true);
    }

    /// On return no engine publishes any more.
    pub(crate) async fn pause(&self) {
        self.working.send_replace(false);
        for driven in &self.engines {
            drop(driven.engine.lock().await);
        }
    }

    /// Engines, the anchor among them.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.engines.iter().map(|driven| &driven.listed)
    }

    /// Engines that may be restarted: all but the anchor.
    pub(crate) fn restartable(&self) -> usize {
        self.engines.len() - 1
    }

    /// The engine itself; it does nothing while this is held.
    pub(crate) async fn engine(&self, number: usize) -> MutexGuard<'_, Engine> {
        self.engines[number].engine.lock().await
    }

    /// Every engine, the anchor too, publishes something that it has not yet.
    pub(crate) async fn speak(&self) -> Result<()> {
        for number in 0..self.engines.len() {
            let mut engine = self.engine(number).await;
            let prompt = unique(number, engine.life, UNIQUE_PROMPTS);
            if engine.holds(&prompt) == prompt.blocks() {
                engine.clear().await?;
            }
            engine.run(&prompt).await?;
        }
        Ok(())
    }

    /// All lives so far, of every engine: readable while they work.
    pub(crate) fn lives(&self) -> Vec<Arc<AtomicU32>> {
        self.engines
            .iter()
            .map(|driven| Arc::clone(&driven.life))
            .collect()
    }

    /// The engine's process dies, and another takes its place after a while.
    pub(crate) async fn restart(&self, number: usize, down: Duration) -> Result<()> {
        let mut engine = self.engine(number).await;
        engine.stop().await;
        tokio::time::sleep(down).await;
        engine.start().await?;
        self.engines[number]
            .life
            .store(engine.life, Ordering::Release);
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for driven in &self.engines {
            driven.running.abort();
        }
    }
}

struct Driver {
    engine: Arc<Mutex<Engine>>,
    number: usize,
    pause: Duration,
    random: SmallRng,
    working: watch::Receiver<bool>,
    findings: Findings,
}

impl Driver {
    async fn run(mut self) {
        loop {
            if self.working.wait_for(|working| *working).await.is_err() {
                return;
            }
            self.step().await;
            let pause = self.pause.mul_f64(self.random.random_range(0.2..1.8));
            tokio::time::sleep(pause).await;
        }
    }

    async fn step(&mut self) {
        let mut engine = self.engine.lock().await;
        if !*self.working.borrow() {
            return;
        }
        let done = if self.random.random_ratio(1, 8) {
            let which = self.random.random_range(0..UNIQUE_PROMPTS);
            let prompt = unique(self.number, engine.life, which);
            engine.run(&prompt).await
        } else if self.random.random_ratio(1, 500) {
            engine.clear().await.map(|()| 1)
        } else {
            engine.step(&POPULATION, &mut self.random).await
        };
        match done {
            Ok(events) => self.findings.count("block_events", events),
            Err(error) => self.findings.say(&format!("engine: {error:#}")),
        }
    }
}

/// A prompt that only this lifetime of this engine runs.
pub(crate) fn unique(engine: usize, life: u32, which: u32) -> Prompt {
    let engine = u32::try_from(engine).unwrap_or(u32::MAX);
    Prompt::unique(
        engine * 1_000_000 + life * (UNIQUE_PROMPTS + 1) + which,
        UNIQUE_BLOCKS,
    )
}

/// The prompt that the anchor holds.
pub(crate) fn anchor() -> Prompt {
    Prompt::unique(4_000_000_000, ANCHOR_BLOCKS)
}
