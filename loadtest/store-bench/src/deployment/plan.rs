//! How each process is started: its files, ports and settings.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use loadtest_engines::{Program, free_ports};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::member::{Member, Readiness};
use super::{Binaries, Kind};

/// Nodes of a Raft store.
const NODES: usize = 3;

/// Where the files of a deployment go.
pub(crate) struct Plan {
    kind: Kind,
    binaries: Binaries,
    folder: TempDir,
}

impl Plan {
    pub(crate) fn new(kind: Kind, binaries: Binaries, folder: Option<&Path>) -> Result<Self> {
        let made = match folder {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        Ok(Self {
            kind,
            binaries,
            folder: made.context("make a folder")?,
        })
    }

    pub(crate) async fn standalone(&self, events: u16, grpc: u16, on_disk: bool) -> Result<Member> {
        let [http] = free_ports().await?;
        let data = on_disk.then(|| self.folder.path().join("data"));
        let mut store = Map::new();
        if let Some(data) = &data {
            store.insert("data".to_owned(), json!(data));
        }
        let settings = json!({
            "ingest": ingest(events, None),
            "scorer": { "grpc": local(grpc), "http": local(http) },
            "store": store,
        });
        self.role("standalone", "standalone", settings, http, data)
    }

    /// The nodes of a Raft store, and their ports.
    pub(crate) async fn nodes(&self) -> Result<(Vec<Member>, Vec<u16>)> {
        let ports: [u16; NODES] = free_ports().await?;
        let peers: Map<String, Value> = ports
            .iter()
            .enumerate()
            .map(|(index, port)| ((index + 1).to_string(), json!(local(*port))))
            .collect();
        let mut nodes = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let [http] = free_ports().await?;
            let name = format!("store-{}", index + 1);
            let data = self.folder.path().join(&name);
            let settings = json!({ "store": {
                "node_id": index + 1,
                "listen": local(*port),
                "advertise": local(*port),
                "http": local(http),
                "data": data,
                "peers": peers,
                "bootstrap": true,
            }});
            nodes.push(self.role(&name, "store", settings, http, Some(data))?);
        }
        Ok((nodes, ports.to_vec()))
    }

    /// A Redis server that syncs its log every second, and its port.
    pub(crate) async fn redis(&self) -> Result<(Member, u16)> {
        let [port] = free_ports().await?;
        let data = self.folder.path().join("redis");
        fs::create_dir(&data)?;
        let flags = [
            ("--port", port.to_string()),
            ("--bind", "127.0.0.1".to_owned()),
            ("--dir", data.display().to_string()),
            ("--save", String::new()),
            ("--appendonly", "yes".to_owned()),
            ("--appendfsync", "everysec".to_owned()),
        ];
        let flags = flags.into_iter();
        let program = Program {
            name: "redis-server".to_owned(),
            binary: self.binaries.redis_server.clone(),
            args: flags
                .flat_map(|(name, value)| [name.to_owned(), value])
                .collect(),
            variables: Vec::new(),
            log: Some(self.folder.path().join("redis.log")),
        };
        let member = Member::new(program, Readiness::Port(port), Some(data));
        Ok((member, port))
    }

    pub(crate) async fn ingestor(&self, events: u16, store: &[u16]) -> Result<Member> {
        let [http] = free_ports().await?;
        let settings = json!({
            "ingest": ingest(events, Some(http)),
            "store": self.source(store),
        });
        self.role("ingestor", "ingestor", settings, http, None)
    }

    pub(crate) async fn scorer(&self, name: &str, grpc: u16, store: &[u16]) -> Result<Member> {
        let [http] = free_ports().await?;
        let settings = json!({
            "scorer": { "grpc": local(grpc), "http": local(http) },
            "store": self.source(store),
        });
        self.role(name, "scorer", settings, http, None)
    }

    /// How a role reaches the store.
    fn source(&self, ports: &[u16]) -> Value {
        let addresses: Vec<String> = ports.iter().map(|port| local(*port)).collect();
        if self.kind == Kind::Redis {
            let urls: Vec<String> = addresses.iter().map(|at| format!("redis://{at}")).collect();
            return json!({ "backend": "redis", "redis": { "urls": urls, "prefix": "bench" } });
        }
        json!({ "backend": "raft", "addresses": addresses })
    }

    fn role(
        &self,
        name: &str,
        role: &str,
        mut settings: Value,
        http: u16,
        data: Option<PathBuf>,
    ) -> Result<Member> {
        settings["telemetry"] = json!({ "log_level": "warn" });
        let file = self.folder.path().join(format!("{name}.yaml"));
        // Whatever is JSON is YAML too.
        fs::write(&file, serde_json::to_vec_pretty(&settings)?)?;
        let program = Program {
            name: name.to_owned(),
            binary: self.binaries.kvatlas.clone(),
            args: vec![
                role.to_owned(),
                "--config".to_owned(),
                file.display().to_string(),
            ],
            variables: Vec::new(),
            log: Some(self.folder.path().join(format!("{name}.log"))),
        };
        Ok(Member::new(program, Readiness::Http(http), data))
    }
}

fn ingest(events: u16, http: Option<u16>) -> Value {
    let mut section = json!({ "bind": [{ "address": format!("tcp://127.0.0.1:{events}") }] });
    if let Some(http) = http {
        section["http"] = json!(local(http));
    }
    section
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
