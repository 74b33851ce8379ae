//! Drives one engine by the wall clock: takes requests, runs steps, publishes
//! events, hands out tokens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use loadtest_engines::{Publisher, PublisherConfig};
use tokio::sync::{mpsc, oneshot};

use super::clock::Clock;
use super::outbox::{End, Outbox};
use super::shared::Shared;
use crate::engine::{CacheEvent, Engine, Generation, RequestId, StepOutcome, Submission};
use crate::wire;

/// What connections and operators ask of the driver.
pub(crate) enum Command {
    Submit {
        submission: Submission,
        received: Instant,
        outbox: Arc<Outbox>,
    },
    /// Forget all prefixes. Answers whether it could.
    Reset(oneshot::Sender<bool>),
    /// The process dies, and comes back with an empty cache.
    Restart(oneshot::Sender<Result<()>>),
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    engine: Engine,
    clock: Clock,
    publishing: Option<PublisherConfig>,
    publisher: Option<Publisher>,
    outboxes: HashMap<RequestId, Arc<Outbox>>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        engine: Engine,
        publishing: Option<PublisherConfig>,
        publisher: Option<Publisher>,
    ) -> Self {
        let clock = Clock::new(shared.config.speed);
        let driver = Self {
            shared,
            commands,
            engine,
            clock,
            publishing,
            publisher,
            outboxes: HashMap::new(),
        };
        driver.follow_subscription();
        driver
    }

    /// Until nobody can send commands any more.
    pub(crate) async fn run(mut self) {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command).await;
            }
            self.drop_given_up();
            self.shared.thawed().await;
            let begin = self.clock.next_step(Instant::now());
            let going_on = match self.engine.step(begin) {
                Some(outcome) => {
                    self.carry_out(begin, outcome).await;
                    true
                }
                None => self.idle().await,
            };
            if !going_on {
                return;
            }
        }
    }

    /// Waits for a command or an arrival. False if there can be none.
    async fn idle(&mut self) -> bool {
        self.tell(None);
        let arrival = self.engine.next_arrival();
        let due = arrival.and_then(|arrival| self.clock.real(arrival));
        if let (Some(arrival), None) = (arrival, due) {
            self.clock.reach(arrival);
            return true;
        }
        tokio::select! {
            arrived = reached(arrival.zip(due)) => {
                self.clock.reach(arrived);
                true
            }
            command = self.commands.recv() => match command {
                Some(command) => {
                    self.obey(command).await;
                    true
                }
                None => false,
            },
        }
    }

    /// Lets the step's time pass, and then says what came of it. vLLM publishes
    /// events when a step is scheduled (0.10) or when it is done (0.32), in both
    /// cases before anyone sees its tokens.
    async fn carry_out(&mut self, begin: Duration, outcome: StepOutcome) {
        self.tell(Some(&outcome));
        let early = self.shared.config.engine.generation == Generation::V0_10;
        if early {
            self.publish(&outcome.events).await;
        }
        match self.clock.reach(begin + outcome.duration) {
            Some(due) if due > Instant::now() => tokio::time::sleep_until(due.into()).await,
            // Other tasks shall not starve where time does not pass.
            _ => tokio::task::yield_now().await,
        }
        self.shared.thawed().await;
        if !early {
            self.publish(&outcome.events).await;
        }
        self.tell(None);
        self.hand_out(&outcome);
    }

    fn hand_out(&mut self, outcome: &StepOutcome) {
        for token in &outcome.tokens {
            let Some(outbox) = self.outboxes.get(&token.id) else {
                continue;
            };
            outbox.add(token);
            if token.last {
                self.outboxes.remove(&token.id);
            }
        }
    }

    async fn publish(&mut self, events: &[CacheEvent]) {
        let Some(publisher) = &mut self.publisher else {
            return;
        };
        if events.is_empty() {
            return;
        }
        let config = &self.shared.config.engine;
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = time.map_or(0.0, |since| since.as_secs_f64());
        let payload = wire::payload(config.generation, time, config.block_size, events);
        let send = !self.shared.faults.borrow().silent;
        // A socket that is gone loses messages, as a subscriber would see it.
        if let Ok(payload) = payload {
            let _ = publisher.publish(payload, send).await;
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Submit {
                submission,
                received,
                outbox,
            } => self.submit(submission, received, outbox),
            Command::Reset(done) => {
                let _ = done.send(self.engine.reset_prefix_cache());
            }
            Command::Restart(done) => {
                let _ = done.send(self.restart().await);
            }
        }
    }

    fn submit(&mut self, submission: Submission, received: Instant, outbox: Arc<Outbox>) {
        let id = submission.id;
        match self.engine.submit(self.clock.at(received), submission) {
            Ok(()) => {
                self.outboxes.insert(id, outbox);
            }
            Err(error) => outbox.end(End::Refused(error)),
        }
    }

    /// Connections are cut, the cache is empty, messages are numbered from 0.
    async fn restart(&mut self) -> Result<()> {
        self.shared.life.send_modify(|life| *life += 1);
        for (_, outbox) in self.outboxes.drain() {
            outbox.end(End::Cut);
        }
        self.engine = Engine::new(&self.shared.config.engine)?;
        if let Some(publisher) = self.publisher.take() {
            publisher.close().await;
        }
        if let Some(publishing) = &self.publishing {
            self.publisher = Some(Publisher::open(publishing).await?);
            self.follow_subscription();
        }
        self.tell(None);
        Ok(())
    }

    fn follow_subscription(&self) {
        let publisher = self.publisher.as_ref();
        let Some(mut subscribed) = publisher.and_then(Publisher::subscribed) else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            loop {
                let now = *subscribed.borrow_and_update();
                shared.subscribed.send_replace(now);
                if subscribed.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn drop_given_up(&mut self) {
        let engine = &mut self.engine;
        self.outboxes.retain(|id, outbox| {
            let stays = !outbox.is_given_up();
            if !stays {
                engine.abort(*id);
            }
            stays
        });
    }

    /// Shows how busy the engine is: while a step runs, with those that it finishes.
    fn tell(&self, during: Option<&StepOutcome>) {
        let load = during.map_or_else(|| self.engine.load(), |outcome| outcome.load);
        let totals = self.engine.totals();
        let sequence = self.publisher.as_ref().map_or(0, Publisher::sequence);
        self.shared.with_state(|state| {
            state.load = load;
            state.totals = totals;
            state.sequence = sequence;
        });
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for outbox in self.outboxes.values() {
            outbox.end(End::Cut);
        }
    }
}

/// Waits for an arrival, for ever if there is none. Gives the engine's time of it.
async fn reached(arrival: Option<(Duration, Instant)>) -> Duration {
    match arrival {
        Some((arrival, due)) => {
            tokio::time::sleep_until(due.into()).await;
            arrival
        }
        None => std::future::pending().await,
    }
}
