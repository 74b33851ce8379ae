//! How many block events per second go through, drain included.

use std::time::Instant;

use anyhow::Result;

use crate::deployment::Deployment;
use crate::fleet::Fleet;
use crate::meter::Meter;
use crate::report::Throughput;
use crate::scorer::ScorerView;

/// Sends the events as fast as they are taken, and waits until the scorer has the
/// last one. Fails unless it then holds exactly what the engines hold.
pub(crate) async fn measure(
    deployment: &Deployment,
    fleet: &mut Fleet,
    view: &mut ScorerView,
    events: u64,
) -> Result<Throughput> {
    let meter = Meter::start(deployment)?;
    let started = Instant::now();
    let sent = fleet.send(events).await?;
    let sending = started.elapsed();
    view.caught_up(fleet).await?;
    let seconds = started.elapsed().as_secs_f64();
    let processes = meter.stop(deployment, sent)?;
    view.check(fleet).await?;
    Ok(Throughput {
        block_events: sent,
        seconds,
        drain_seconds: seconds - sending.as_secs_f64(),
        events_per_second: sent as f64 / seconds,
        of_embedded: None,
        processes,
    })
}
