//! `kvatlas endpoints`: who is known, how fresh, how far to be trusted.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use proto_api::v1::EndpointInfo;

use crate::cli::ClientArgs;
use crate::client::{self, trust_word};
use crate::table::Table;

/// Asks, and prints the list.
#[expect(clippy::print_stdout, reason = "the list is this command's output")]
pub(crate) async fn run(args: ClientArgs) -> Result<()> {
    let channel = client::connect(&args.server).await?;
    let endpoints = client::endpoints(&mut client::index(channel)).await?;
    if args.json {
        let list: Vec<_> = endpoints.iter().map(as_json).collect();
        println!("{}", serde_json::Value::Array(list));
    } else if endpoints.is_empty() {
        println!("no endpoint has published anything yet");
    } else {
        print!("{}", as_table(&endpoints));
    }
    Ok(())
}

fn as_table(endpoints: &[EndpointInfo]) -> String {
    let mut table = Table::new([
        "endpoint",
        "rank",
        "model",
        "trust",
        "gpu",
        "cpu",
        "disk",
        "remote",
        "block",
        "next",
        "lost",
        "last event",
    ]);
    for endpoint in endpoints {
        let blocks = endpoint.blocks.unwrap_or_default();
        let mut sizes: Vec<u32> = endpoint
            .spaces
            .iter()
            .map(|space| space.block_size)
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        table.row([
            format!("{}/{}", endpoint.cluster, endpoint.address),
            endpoint.rank.to_string(),
            endpoint.model.clone(),
            trust_word(endpoint.trust).to_owned(),
            blocks.gpu.to_string(),
            blocks.cpu.to_string(),
            blocks.disk.to_string(),
            blocks.remote.to_string(),
            sizes
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join("/"),
            endpoint.next_sequence.to_string(),
            endpoint.lost.to_string(),
            age(endpoint.last_event_us),
        ]);
    }
    table.render()
}

fn as_json(endpoint: &EndpointInfo) -> serde_json::Value {
    let blocks = endpoint.blocks.unwrap_or_default();
    let spaces: Vec<_> = endpoint
        .spaces
        .iter()
        .map(|space| {
            serde_json::json!({
                "model": space.model, "lora": space.lora, "block_size": space.block_size,
                "extras_hidden": space.extras_hidden,
            })
        })
        .collect();
    serde_json::json!({
        "cluster": endpoint.cluster,
        "address": endpoint.address,
        "rank": endpoint.rank,
        "model": endpoint.model,
        "trust": trust_word(endpoint.trust),
        "incarnation": endpoint.incarnation,
        "next_sequence": endpoint.next_sequence,
        "last_event_us": endpoint.last_event_us,
        "blocks": {
            "gpu": blocks.gpu, "cpu": blocks.cpu, "disk": blocks.disk, "remote": blocks.remote,
        },
        "parked": endpoint.parked,
        "lost": endpoint.lost,
        "spaces": spaces,
    })
}

/// How long ago, by this machine's clock and the engine's.
fn age(event_us: u64) -> String {
    if event_us == 0 {
        return "never".to_owned();
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    match now.saturating_sub(event_us / 1_000_000) {
        seconds @ 0..=119 => format!("{seconds} s ago"),
        seconds @ 120..=7199 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}
