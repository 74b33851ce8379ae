//! Simulated vLLM engines as a process.

mod args;

use anyhow::Result;
use clap::Parser;
use loadtest_engine_sim::EngineSim;
use tokio::signal::unix::{SignalKind, signal};

use args::Args;

#[tokio::main]
async fn main() -> Result<()> {
    let configs = Args::parse().engines()?;
    let mut engines = Vec::with_capacity(configs.len());
    for config in configs {
        let name = config.name.clone();
        let engine = EngineSim::start(config).await?;
        report(&name, &engine);
        engines.push(engine);
    }
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    for engine in engines {
        engine.stop().await;
    }
    Ok(())
}

/// One line of JSON per engine, for whoever started this.
#[expect(clippy::print_stdout, reason = "what a caller reads")]
fn report(name: &str, engine: &EngineSim) {
    let line = serde_json::json!({
        "engine": name,
        "http": engine.address(),
        "events": engine.events_address(),
        "replay": engine.replay_address(),
    });
    println!("{line}");
}
