//! Store nodes: three of kvatlas, or one Redis.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use loadtest_engines::{Program, free_ports};
use tokio::process::Command;

use super::Cluster;
use crate::config;
use crate::links::Who;
use crate::member::{Member, Probe};
use crate::proxy::Proxy;
use crate::settings::Backend;
use crate::tmpfs::Tmpfs;

/// The size of a small disk.
const DISK_MIB: u32 = 64;

/// One node and the proxy in front of it.
pub(crate) struct StoreNode {
    pub(crate) id: u64,
    pub(crate) member: Member,
    /// The port behind the proxy.
    pub(crate) grpc: u16,
    pub(crate) proxy: Proxy,
    pub(crate) data: PathBuf,
    /// The file system that the data is on, if it has its own.
    _disk: Option<Tmpfs>,
}

impl Cluster {
    pub(super) async fn prepare_raft(&mut self) -> Result<()> {
        let mut ports = Vec::new();
        for id in 1..=self.settings.shape.nodes {
            ports.push((id, free_ports::<3>().await?));
        }
        let peers: Vec<_> = ports
            .iter()
            .map(|(id, [proxy, ..])| (*id, format!("127.0.0.1:{proxy}")))
            .collect();
        for (id, ports) in ports {
            let node = self.raft_node(id, ports, &peers).await?;
            self.nodes.push(node);
        }
        Ok(())
    }

    /// A node that waits to be joined. It is not started.
    pub(crate) async fn fresh_node(&mut self, id: u64) -> Result<&mut StoreNode> {
        let node = self.raft_node(id, free_ports().await?, &[]).await?;
        self.nodes.push(node);
        self.nodes.last_mut().context("just pushed")
    }

    async fn raft_node(
        &self,
        id: u64,
        [proxy, grpc, http]: [u16; 3],
        peers: &[(u64, String)],
    ) -> Result<StoreNode> {
        let who = Who::Node(id);
        let proxy = Proxy::start(proxy, grpc, who, self.links.clone()).await?;
        let folder = self.dir.join(format!("node-{id}"));
        std::fs::create_dir_all(&folder)?;
        let data = folder.join("data");
        let config = config::node(
            &self.settings,
            id,
            (grpc, http),
            &proxy.address(),
            &data,
            peers,
        );
        let program = self.program(&format!("node-{id}"), "store", &config)?;
        let small = self.settings.shape.small_disks;
        let disk = small.then(|| Tmpfs::mount(&folder, DISK_MIB)).transpose()?;
        Ok(StoreNode {
            id,
            member: self.make(who, program, Probe::Http(http)),
            grpc,
            proxy,
            data,
            _disk: disk,
        })
    }

    pub(super) async fn prepare_redis(&mut self) -> Result<()> {
        let [proxy, port] = free_ports().await?;
        let who = Who::Node(1);
        let proxy = Proxy::start(proxy, port, who, self.links.clone()).await?;
        let data = self.dir.join("redis.data");
        std::fs::create_dir_all(&data)?;
        let sync = if self.settings.backend == Backend::Redis {
            "always"
        } else {
            "everysec"
        };
        let program = Program {
            name: "redis".to_owned(),
            binary: self.settings.redis_server.clone(),
            args: redis_arguments(port, &data, sync),
            variables: Vec::new(),
            log: Some(self.dir.join("redis.log")),
        };
        self.nodes.push(StoreNode {
            id: 1,
            member: self.make(who, program, Probe::Redis(port)),
            grpc: port,
            proxy,
            data,
            _disk: None,
        });
        Ok(())
    }

    pub(crate) fn node(&mut self, id: u64) -> Result<&mut StoreNode> {
        let mut nodes = self.nodes.iter_mut();
        let found = nodes.find(|node| node.id == id);
        found.with_context(|| format!("no node {id}"))
    }

    /// `kvatlas store ACTION --at ADDRESS ...`, as an operator types it.
    pub(crate) async fn administer(&self, at: u64, arguments: &[&str]) -> Result<String> {
        let node = self.nodes.iter().find(|node| node.id == at);
        let address = node.context("no such node")?.proxy.address();
        let (action, rest) = arguments.split_first().context("no action")?;
        let output = Command::new(&self.settings.kvatlas)
            .args(["store", action, "--at", &address])
            .args(rest)
            .kill_on_drop(true)
            .output()
            .await
            .context("run kvatlas store")?;
        if !output.status.success() {
            bail!(
                "kvatlas store {action} at node {at}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn redis_arguments(port: u16, data: &Path, sync: &str) -> Vec<String> {
    let port = port.to_string();
    let data = data.to_string_lossy();
    let arguments = [
        ("--port", port.as_str()),
        ("--bind", "127.0.0.1"),
        ("--dir", &data),
        ("--save", ""),
        ("--appendonly", "yes"),
        ("--appendfsync", sync),
        ("--maxmemory-policy", "noeviction"),
    ];
    let arguments = arguments.iter().flat_map(|(name, value)| [*name, *value]);
    arguments.map(str::to_owned).collect()
}
