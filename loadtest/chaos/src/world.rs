//! Everything of one run together: processes, engines, writers, checkers.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::checker::{Checker, best};
use crate::client::Client;
use crate::cluster::Cluster;
use crate::compare::Comparison;
use crate::findings::Findings;
use crate::fleet::{ANCHOR_BLOCKS, Fleet, MODEL, anchor};
use crate::lives::Lives;
use crate::marks::Marks;
use crate::member::READY_LIMIT;
use crate::settings::{Backend, Settings};
use crate::writer::{LastAck, Writer};

/// A system under test at work.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) fleet: Fleet,
    pub(crate) findings: Findings,
    /// What the writers were acknowledged last.
    pub(crate) last_ack: LastAck,
    marks: Vec<Marks>,
    writing: watch::Sender<bool>,
    busy: Vec<watch::Receiver<bool>>,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    /// Starts everything; on return all are ready, and nothing works yet.
    pub(crate) async fn start(
        settings: &Settings,
        dir: &Path,
        seed: u64,
        findings: &Findings,
    ) -> Result<Self> {
        let shape = settings.shape;
        let fleet = Fleet::start(shape.engines, settings.engine_pause, seed, findings).await?;
        let mut cluster = Cluster::prepare(settings, dir, &fleet).await?;
        cluster.start().await?;
        let mut world = Self {
            cluster,
            fleet,
            findings: findings.clone(),
            last_ack: LastAck::default(),
            marks: Vec::new(),
            writing: watch::channel(false).0,
            busy: Vec::new(),
            tasks: Vec::new(),
        };
        if settings.backend == Backend::Raft {
            world.start_writers(shape.writers);
        }
        world.anchored().await?;
        world.start_checkers(seed)?;
        Ok(world)
    }

    /// Waits until every scorer knows what the anchor holds: from then on no
    /// answer may be without it.
    async fn anchored(&self) -> Result<()> {
        for (index, scorer) in self.cluster.scorers.iter().enumerate() {
            let mut client = Client::new(scorer.grpc)?;
            let deadline = Instant::now() + READY_LIMIT;
            loop {
                let answer = client.score_prompt(MODEL, &anchor()).await;
                let held = answer.map(|answer| best(&answer));
                if matches!(held, Ok(ANCHOR_BLOCKS)) {
                    break;
                }
                if Instant::now() > deadline {
                    bail!("scorer {index} says {held:?} of the anchor's prompt");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }

    fn start_writers(&mut self, count: u32) {
        for publisher in 0..count {
            let marks = Marks::new(publisher);
            self.marks.push(marks.clone());
            let (busy, is_busy) = watch::channel(false);
            self.busy.push(is_busy);
            let writer = Writer {
                marks,
                addresses: self.cluster.addresses(),
                working: self.writing.subscribe(),
                busy,
                last: self.last_ack.clone(),
                findings: self.findings.clone(),
                may_lose: false,
            };
            self.tasks.push(tokio::spawn(writer.run()));
        }
    }

    fn start_checkers(&mut self, seed: u64) -> Result<()> {
        let engine_lives: Vec<_> = self.fleet.lives();
        let lives = Lives::new(engine_lives.len());
        for (index, scorer) in self.cluster.scorers.iter().enumerate() {
            let checker = Checker {
                name: format!("scorer {index}"),
                client: Client::new(scorer.grpc)?,
                standing: scorer.member.standing(),
                engine_lives: engine_lives.clone(),
                lives: lives.clone(),
                marks: self.marks.clone(),
                findings: self.findings.clone(),
                seed: seed ^ 0x00c4_ec4e ^ index as u64,
            };
            self.tasks.push(tokio::spawn(checker.run()));
        }
        Ok(())
    }

    /// Engines and writers begin to work, or go on.
    pub(crate) fn resume(&self) {
        self.fleet.resume();
        self.writing.send_replace(true);
    }

    /// Engines and writers stop; on return nothing is under way. That writers come
    /// to an end at all is checked.
    pub(crate) async fn pause(&mut self) {
        self.fleet.pause().await;
        self.writing.send_replace(false);
        let limit = self.cluster.settings.settle_limit;
        let ended = async {
            for busy in &mut self.busy {
                // A writer that is gone is not busy.
                let _ = busy.wait_for(|busy| !busy).await;
            }
        };
        if timeout(limit, ended).await.is_err() {
            let what = format!("an append has not been acknowledged for {limit:?}");
            self.findings.violation("hang", what);
        }
    }

    /// The faults are over: links work, and every process runs and is ready.
    pub(crate) async fn recover(&mut self) -> Result<()> {
        self.findings.step("recover");
        self.cluster.links.heal();
        for member in self.cluster.members() {
            member.thaw().await?;
            member.start()?;
        }
        for member in self.cluster.members() {
            member.ready().await?;
        }
        Ok(())
    }

    /// Stops the work and compares every scorer with the truth.
    pub(crate) async fn compare(&mut self) -> Result<()> {
        self.findings.step("compare");
        self.check_ends();
        self.pause().await;
        if self.cluster.settings.forget_unheard {
            self.fleet.engine(0).await.cache.clear();
        }
        for (index, scorer) in self.cluster.scorers.iter().enumerate() {
            let comparison = Comparison {
                fleet: &self.fleet,
                marks: &self.marks,
                findings: &self.findings,
                limit: self.cluster.settings.settle_limit,
                all_exact: !self.findings.is_history_lost(),
            };
            comparison
                .run(&format!("scorer {index}"), Client::new(scorer.grpc)?)
                .await;
        }
        Ok(())
    }

    /// A process that ends though nobody asked it to is a violation.
    pub(crate) fn check_ends(&mut self) {
        for member in self.cluster.members() {
            if let Some(status) = member.ended_by_itself() {
                let what = format!("{} ended with {status}{}", member.who, member.log_end());
                self.findings.violation("exit", what);
            }
        }
    }

    /// How long after `since` the first append was acknowledged that was sent
    /// after it. None, and a violation, if none is within the limit.
    pub(crate) async fn writes_resume(&self, since: Instant) -> Option<Duration> {
        let limit = self.cluster.settings.settle_limit;
        if let Ok(resumed) = timeout(limit, self.last_ack.after(since)).await {
            self.findings
                .say(&format!("writes resumed after {resumed:?}"));
            return Some(resumed);
        }
        let what = format!("no append was acknowledged for {limit:?}");
        self.findings.violation("hang", what);
        None
    }

    /// One engine's process dies and comes back.
    pub(crate) async fn restart_engine(&self, number: usize, down: Duration) -> Result<()> {
        self.findings.count("engine_restarts", 1);
        let restarted = self.fleet.restart(number, down).await;
        restarted.with_context(|| format!("restart engine {number}"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
