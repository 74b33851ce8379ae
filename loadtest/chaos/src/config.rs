//! Configuration files of the processes under test. JSON is YAML too.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::fleet::{Listed, MODEL};
use crate::settings::{Backend, Settings};

/// How a draining scorer goes on answering, so that callers can leave it.
const DRAIN_DELAY: &str = "600ms";

/// A store node of the first cluster, or one that is to join it.
pub(crate) fn node(
    settings: &Settings,
    id: u64,
    ports: (u16, u16),
    advertise: &str,
    data: &Path,
    peers: &[(u64, String)],
) -> Value {
    let (grpc, http) = ports;
    let (shortest, longest) = settings.election_timeouts;
    let peers = peers
        .iter()
        .map(|(id, address)| (id.to_string(), json!(address)))
        .collect::<serde_json::Map<_, _>>();
    let bootstrap = !peers.is_empty();
    json!({
        "telemetry": telemetry(),
        "drain_timeout": "20s",
        "store": {
            "node_id": id,
            "listen": format!("127.0.0.1:{grpc}"),
            "http": format!("127.0.0.1:{http}"),
            "advertise": advertise,
            "data": data,
            "peers": peers,
            "bootstrap": bootstrap,
            "raft": {
                "election_timeout_min": milliseconds(shortest),
                "election_timeout_max": milliseconds(longest),
                "heartbeat_interval": milliseconds(shortest / 4),
                "log_bytes": format!("{}KiB", settings.log_kib),
            },
        },
    })
}

/// An ingestor that connects to every engine.
pub(crate) fn ingestor<'a>(
    store: &Value,
    http: u16,
    engines: impl Iterator<Item = &'a Listed>,
) -> Value {
    let mut ingest = ingest(engines);
    ingest["http"] = json!(format!("127.0.0.1:{http}"));
    json!({
        "telemetry": telemetry(),
        "drain_timeout": "20s",
        "ingest": ingest,
        "store": store,
    })
}

pub(crate) fn scorer(store: &Value, grpc: u16, http: u16) -> Value {
    let mut answers = answers(grpc, http);
    answers["drain_delay"] = json!(DRAIN_DELAY);
    json!({
        "telemetry": telemetry(),
        "drain_timeout": "20s",
        "scorer": answers,
        "store": store,
    })
}

/// Everything in one process.
pub(crate) fn standalone<'a>(
    grpc: u16,
    http: u16,
    engines: impl Iterator<Item = &'a Listed>,
) -> Value {
    json!({
        "telemetry": telemetry(),
        "drain_timeout": "20s",
        "ingest": ingest(engines),
        "scorer": answers(grpc, http),
    })
}

/// The section `store` of ingestors and scorers.
pub(crate) fn store(backend: Backend, addresses: &[String]) -> Value {
    match backend {
        Backend::Standalone => json!({}),
        Backend::Raft => json!({"backend": "raft", "addresses": addresses}),
        Backend::Redis | Backend::RedisEverysec => json!({
            "backend": "redis",
            "redis": {"urls": [format!("redis://{}", addresses.join(","))]},
        }),
    }
}

/// Writes it where `--config` will find it.
pub(crate) fn write(path: &Path, config: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(config)?;
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn ingest<'a>(engines: impl Iterator<Item = &'a Listed>) -> Value {
    let connect: Vec<_> = engines
        .map(|engine| {
            json!({
                "address": format!("tcp://127.0.0.1:{}", engine.ports.events),
                "replay": format!("tcp://127.0.0.1:{}", engine.ports.replay),
                "endpoint": engine.address,
                "model": MODEL,
            })
        })
        .collect();
    json!({"bind": [], "connect": connect, "replay_timeout": "2s"})
}

fn answers(grpc: u16, http: u16) -> Value {
    json!({
        "grpc": format!("127.0.0.1:{grpc}"),
        "http": format!("127.0.0.1:{http}"),
        "index_memory": "256MiB",
    })
}

fn telemetry() -> Value {
    json!({"log_level": "info"})
}

fn milliseconds(duration: std::time::Duration) -> String {
    format!("{}ms", duration.as_millis())
}
