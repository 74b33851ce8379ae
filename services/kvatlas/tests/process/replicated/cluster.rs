//! Three nodes of a store, with ingestors, scorers and an engine around them.

use serde_json::Value;
use tempfile::TempDir;

use super::role::{Role, free_port, ready};
use crate::running::{Engine, parsed, recordings, run, text, wait_for};

pub(super) const MODEL: &str = "Qwen3-32B";
const TAG: &str = "v0.32.0-sha256_cbor";

/// One node and where it is.
pub(super) struct Node {
    pub(super) role: Role,
    pub(super) id: u64,
    pub(super) address: String,
}

/// Nodes of one store. Their data goes with the folder.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    /// Given to every process of it.
    pub(super) extra: Vec<String>,
    folder: TempDir,
}

impl Cluster {
    /// Three nodes that make a store of themselves.
    pub(super) fn three() -> Self {
        Self::with(&[])
    }

    /// The same with more settings.
    pub(super) fn with(extra: &[&str]) -> Self {
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        Self::of(ports, extra)
    }

    /// Nodes at these ports that make a store of themselves.
    pub(super) fn of(ports: Vec<u16>, extra: &[&str]) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            extra: extra.iter().map(|&arg| arg.to_owned()).collect(),
            folder: tempfile::tempdir().expect("a folder"),
        };
        let peers: Vec<String> = (1..)
            .zip(&ports)
            .map(|(id, port)| format!("{id}: \"127.0.0.1:{port}\""))
            .collect();
        let peers = format!("store.peers={{{}}}", peers.join(", "));
        let more = ["--set", &peers, "--set", "store.bootstrap=true"];
        for (id, port) in (1..).zip(ports) {
            let node = cluster.node(id, port, &more);
            cluster.nodes.push(node);
        }
        for node in &cluster.nodes {
            ready(&node.role.at("http"));
        }
        cluster
    }

    /// Starts a node beside the others.
    pub(super) fn node(&self, id: u64, port: u16, more: &[&str]) -> Node {
        let address = format!("127.0.0.1:{port}");
        let data = self.folder.path().join(format!("node-{id}"));
        let data = data.to_str().expect("UTF-8");
        let (id_text, http) = (id.to_string(), format!("127.0.0.1:{}", free_port()));
        let args = [
            "store",
            "--node-id",
            &id_text,
            "--listen",
            &address,
            "--http",
            &http,
            "--data",
            data,
        ];
        Node {
            role: self.start(&[&args, more].concat()),
            id,
            address,
        }
    }

    fn start(&self, args: &[&str]) -> Role {
        let extra: Vec<&str> = self.extra.iter().map(String::as_str).collect();
        Role::start(&[args, &extra].concat())
    }

    /// An ingestor; where engines connect stays the same when it is restarted.
    pub(super) fn ingestor(&self, more: &[&str]) -> Role {
        let (bind, http) = (
            format!("tcp://127.0.0.1:{}", free_port()),
            format!("127.0.0.1:{}", free_port()),
        );
        let args = ["ingestor", "--bind", &bind, "--http", &http];
        let stores = self.addresses();
        self.start(&[&args, &stores[..], more].concat())
    }

    /// A scorer, with the model's tokenizer.
    pub(super) fn scorer(&self, more: &[&str]) -> Role {
        let model = format!("{MODEL}={}", recordings().join("model").display());
        let (grpc, http) = (
            format!("127.0.0.1:{}", free_port()),
            format!("127.0.0.1:{}", free_port()),
        );
        let args = [
            "scorer", "--grpc", &grpc, "--http", &http, "--model", &model,
        ];
        let stores = self.addresses();
        self.start(&[&args, &stores[..], more].concat())
    }

    fn addresses(&self) -> Vec<&str> {
        let nodes = self.nodes.iter();
        nodes.flat_map(|node| ["--store", &node.address]).collect()
    }

    /// Runs `kvatlas store ACTION` at the given node.
    pub(super) fn command(&self, at: &str, action: &[&str]) -> std::process::Output {
        let extra = self.extra.iter().map(String::as_str);
        let args: Vec<&str> = ["store", action[0], "--at", at]
            .into_iter()
            .chain(action[1..].iter().copied())
            .chain(extra)
            .collect();
        run(&args)
    }

    /// What `kvatlas store status` says at a node.
    pub(super) fn status(&self, at: &str) -> Value {
        parsed(&self.command(at, &["status", "--json"]))
    }

    /// The place of the leader among the nodes, once somebody other than `not`
    /// leads.
    pub(super) fn leader(&self, not: Option<usize>) -> usize {
        wait_for("leader", || {
            let (_, asked) = self
                .nodes
                .iter()
                .enumerate()
                .find(|(at, _)| Some(*at) != not)?;
            let output = self.command(&asked.address, &["status", "--json"]);
            let status: Value = serde_json::from_str(&text(&output.stdout)).ok()?;
            let leader = status["leader_id"].as_u64()?;
            let at = self.nodes.iter().position(|node| node.id == leader)?;
            (Some(at) != not).then_some(at)
        })
    }
}

/// An engine that publishes to one or several ingestors as it is told.
pub(super) fn engine(ingestors: &[&Role], address: &str, more: &[&str]) -> Engine {
    let events = recordings().join(format!("traces/{TAG}.events.jsonl"));
    let to: Vec<String> = ingestors.iter().map(|role| role.at("events")).collect();
    let topic = format!("kv@{address}@{MODEL}");
    Engine::connect(&to, &events, &topic, &[&["--step"], more].concat())
}

/// The recording's last request, whose prompt is cached at the end.
pub(super) fn last_prompt() -> (Vec<u32>, u64) {
    let requests = recordings().join(format!("traces/{TAG}.requests.jsonl"));
    let requests = std::fs::read_to_string(requests).expect("requests");
    let last = requests.lines().last().expect("a line");
    let last: Value = serde_json::from_str(last).expect("JSON");
    let ids = last["prompt_token_ids"].as_array().expect("ids");
    let ids: Vec<u32> = ids
        .iter()
        .map(|id| u32::try_from(id.as_u64().expect("a number")).expect("a token"))
        .collect();
    let tokens = last["prompt_tokens"].as_u64().expect("tokens");
    (ids, (tokens - 1) / 32 * 32)
}

/// How many messages the recording has.
pub(super) fn recorded() -> u64 {
    let events = recordings().join(format!("traces/{TAG}.events.jsonl"));
    let events = std::fs::read_to_string(events).expect("events");
    events
        .lines()
        .filter(|line| line.contains("payload_b64"))
        .count() as u64
}

/// The one endpoint as a scorer lists it, once it has seen everything that was
/// published.
pub(super) fn settled(scorer: &Role, engine: &Engine) -> Value {
    wait_for("the whole index", || {
        let list = run(&["endpoints", "--server", &scorer.at("grpc"), "--json"]);
        let list: Value = serde_json::from_str(&text(&list.stdout)).ok()?;
        let endpoint = list.get(0)?.clone();
        (endpoint["next_sequence"] == engine.published).then_some(endpoint)
    })
}

/// How many tokens of the recording's last prompt an endpoint holds.
pub(super) fn reusable(scorer: &Role) -> u64 {
    let (ids, _) = last_prompt();
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    let args = [
        "score",
        "--server",
        &scorer.at("grpc"),
        "--json",
        "--model",
        MODEL,
        "--tokens",
        &ids.join(","),
    ];
    let answer = parsed(&run(&args));
    answer["endpoints"].get(0).map_or(0, |endpoint| {
        endpoint["reusable_tokens"].as_u64().expect("a number")
    })
}
