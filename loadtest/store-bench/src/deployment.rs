//! A store with an ingestor and a scorer: the real processes, on loopback.

mod kind;
mod member;
mod plan;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use loadtest_engines::free_ports;

pub(crate) use self::kind::Kind;
pub(crate) use self::member::Member;
use self::plan::Plan;
use crate::scorer::ScorerView;

/// How long a process may take until it is ready.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(300);

/// The executable files.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    pub(crate) kvatlas: PathBuf,
    pub(crate) redis_server: PathBuf,
}

/// Running processes, killed when dropped; their files go with them.
pub(crate) struct Deployment {
    /// Everything that runs, stores first.
    pub(crate) members: Vec<Member>,
    /// Where engines connect.
    pub(crate) events: String,
    /// The scorer's gRPC port.
    pub(crate) scorer: u16,
    /// The ports that the store is reached by; none if it is in the process.
    pub(crate) store_ports: Vec<u16>,
    plan: Plan,
}

impl Deployment {
    /// Starts everything, in `folder` or wherever temporary files go.
    pub(crate) async fn start(
        kind: Kind,
        binaries: &Binaries,
        folder: Option<&Path>,
    ) -> Result<Self> {
        let plan = Plan::new(kind, binaries.clone(), folder)?;
        let [events, scorer] = free_ports().await?;
        let mut started = Self {
            members: Vec::new(),
            events: format!("tcp://127.0.0.1:{events}"),
            scorer,
            store_ports: Vec::new(),
            plan,
        };
        started.start_members(kind, events).await?;
        Ok(started)
    }

    async fn start_members(&mut self, kind: Kind, events: u16) -> Result<()> {
        match kind {
            Kind::Embedded | Kind::EmbeddedDisk => {
                let on_disk = kind == Kind::EmbeddedDisk;
                let standalone = self.plan.standalone(events, self.scorer, on_disk).await?;
                return self.add(standalone).await;
            }
            Kind::Raft => {
                let (nodes, ports) = self.plan.nodes().await?;
                self.store_ports = ports;
                // None is ready before a majority runs.
                let first = self.members.len();
                for node in nodes {
                    self.members.push(node.start()?);
                }
                for node in &mut self.members[first..] {
                    node.ready(READY_LIMIT).await?;
                }
            }
            Kind::Redis => {
                let (server, port) = self.plan.redis().await?;
                self.store_ports = vec![port];
                self.add(server).await?;
            }
        }
        let ingestor = self.plan.ingestor(events, &self.store_ports).await?;
        self.add(ingestor).await?;
        let scorer = self
            .plan
            .scorer("scorer", self.scorer, &self.store_ports)
            .await?;
        self.add(scorer).await
    }

    async fn add(&mut self, member: Member) -> Result<()> {
        let mut member = member.start()?;
        member.ready(READY_LIMIT).await?;
        self.members.push(member);
        Ok(())
    }

    /// The scorer, as its callers see it.
    pub(crate) async fn view(&self) -> Result<ScorerView> {
        ScorerView::connect(self.scorer)
            .await
            .context("connect to the scorer")
    }

    /// Another scorer, not yet started, that reaches the store by other ports, and
    /// its gRPC port.
    pub(crate) async fn another_scorer(&self, store_ports: &[u16]) -> Result<(Member, u16)> {
        let [port] = free_ports().await?;
        let member = self.plan.scorer("scorer-2", port, store_ports).await?;
        Ok((member, port))
    }
}
