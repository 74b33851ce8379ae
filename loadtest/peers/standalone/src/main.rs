//! NVIDIA Dynamo's standalone KV indexer, as the crate `dynamo-kv-router` ships it.
//!
//! Nothing but a command line around the crate's own server: routes, listeners
//! and index are the crate's. The port is the only difference from its defaults.

use clap::Parser;
use dynamo_kv_router::services::indexer::{IndexerConfig, run_server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves Dynamo's standalone indexer.
#[derive(Debug, Parser)]
struct Args {
    /// HTTP port.
    #[arg(long)]
    port: u16,
    /// Threads of the index: 1 is the single-threaded radix tree behind a queue,
    /// more are the concurrent tree, read in place.
    #[arg(long, default_value_t = 4)]
    threads: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    run_server(IndexerConfig {
        block_size: None,
        port: args.port,
        threads: args.threads,
        workers: None,
        model_name: String::new(),
        routing_group: "default".to_owned(),
        peers: None,
        access_log: None,
        trace_id_header: "x-request-id".parse()?,
        access_log_local_time: false,
    })
    .await
}
