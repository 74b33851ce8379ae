//! The processes under test, wired to each other through proxies.

mod leader;
mod nodes;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use loadtest_engines::{Program, free_port, free_ports};

pub(crate) use self::nodes::StoreNode;
use crate::config;
use crate::fleet::Fleet;
use crate::links::{Links, Who};
use crate::member::{Member, Probe};
use crate::settings::{Backend, Settings};

/// The variable that names a process's clock.
pub(crate) const CLOCK_VARIABLE: &str = "FAKETIME_TIMESTAMP_FILE";

/// A scorer, or a standalone.
pub(crate) struct Scorer {
    pub(crate) member: Member,
    pub(crate) grpc: u16,
}

/// All processes.
pub(crate) struct Cluster {
    pub(crate) settings: Settings,
    pub(crate) dir: PathBuf,
    pub(crate) links: Links,
    /// Store nodes; of a Redis, the one server.
    pub(crate) nodes: Vec<StoreNode>,
    pub(crate) ingestors: Vec<Member>,
    pub(crate) scorers: Vec<Scorer>,
}

impl Cluster {
    /// Writes the configurations; nothing is started yet.
    pub(crate) async fn prepare(settings: &Settings, dir: &Path, fleet: &Fleet) -> Result<Self> {
        let mut cluster = Self {
            settings: settings.clone(),
            dir: dir.to_owned(),
            links: Links::new(),
            nodes: Vec::new(),
            ingestors: Vec::new(),
            scorers: Vec::new(),
        };
        match settings.backend {
            Backend::Standalone => cluster.prepare_standalone(fleet).await?,
            Backend::Raft => cluster.prepare_raft().await?,
            Backend::Redis | Backend::RedisEverysec => cluster.prepare_redis().await?,
        }
        if settings.backend != Backend::Standalone {
            cluster.prepare_roles(fleet).await?;
        }
        Ok(cluster)
    }

    /// Where clients find the store.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.proxy.address()).collect()
    }

    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.member.start()?;
        }
        for node in &mut self.nodes {
            node.member.ready().await?;
        }
        for member in self.roles() {
            member.start()?;
        }
        for member in self.roles() {
            member.ready().await?;
        }
        Ok(())
    }

    /// Ingestors and scorers.
    pub(crate) fn roles(&mut self) -> impl Iterator<Item = &mut Member> {
        let scorers = self.scorers.iter_mut().map(|scorer| &mut scorer.member);
        self.ingestors.iter_mut().chain(scorers)
    }

    /// Every process.
    pub(crate) fn members(&mut self) -> impl Iterator<Item = &mut Member> {
        let nodes = self.nodes.iter_mut().map(|node| &mut node.member);
        let scorers = self.scorers.iter_mut().map(|scorer| &mut scorer.member);
        nodes.chain(self.ingestors.iter_mut()).chain(scorers)
    }

    pub(crate) fn member(&mut self, who: Who) -> Result<&mut Member> {
        let found = self.members().find(|member| member.who == who);
        found.with_context(|| format!("no {who}"))
    }

    async fn prepare_roles(&mut self, fleet: &Fleet) -> Result<()> {
        let store = config::store(self.settings.backend, &self.addresses());
        for index in 0..self.settings.shape.ingestors {
            let http = free_port().await?;
            let config = config::ingestor(&store, http, fleet.listed());
            let program = self.program(&format!("ingestor-{index}"), "ingestor", &config)?;
            self.ingestors
                .push(self.make(Who::Ingestor(index), program, Probe::Http(http)));
        }
        for index in 0..self.settings.shape.scorers {
            let [grpc, http] = free_ports().await?;
            let config = config::scorer(&store, grpc, http);
            let program = self.program(&format!("scorer-{index}"), "scorer", &config)?;
            let member = self.make(Who::Scorer(index), program, Probe::Http(http));
            self.scorers.push(Scorer { member, grpc });
        }
        Ok(())
    }

    async fn prepare_standalone(&mut self, fleet: &Fleet) -> Result<()> {
        let [grpc, http] = free_ports().await?;
        let config = config::standalone(grpc, http, fleet.listed());
        let program = self.program("standalone", "standalone", &config)?;
        let member = self.make(Who::Scorer(0), program, Probe::Http(http));
        self.scorers.push(Scorer { member, grpc });
        Ok(())
    }

    fn make(&self, who: Who, program: Program, probe: Probe) -> Member {
        Member::new(who, program, probe, self.links.clone())
    }

    /// A role of kvatlas with a configuration file.
    fn program(&self, name: &str, role: &str, config: &serde_json::Value) -> Result<Program> {
        let file = self.dir.join(format!("{name}.yaml"));
        config::write(&file, config)?;
        let file = file.to_str().context("the folder's name is not UTF-8")?;
        Ok(Program {
            name: name.to_owned(),
            binary: self.settings.kvatlas.clone(),
            args: vec![role.to_owned(), "--config".to_owned(), file.to_owned()],
            variables: self.clock_variables(name)?,
            log: Some(self.dir.join(format!("{name}.log"))),
        })
    }

    /// What makes a process read its time from a file; none if it need not.
    fn clock_variables(&self, name: &str) -> Result<Vec<(String, String)>> {
        if !self.settings.shape.false_clocks {
            return Ok(Vec::new());
        }
        let clock = self.dir.join(format!("{name}.clock"));
        std::fs::write(&clock, "+0")?;
        let variables = [
            ("LD_PRELOAD", self.settings.faketime.display().to_string()),
            (CLOCK_VARIABLE, clock.display().to_string()),
            // A jump counts at once; what measures durations is left alone.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let variables = variables.into_iter();
        Ok(variables
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    }
}
