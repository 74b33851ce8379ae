//! What churn leaves on the disk, and what starting over it takes.

use std::time::Instant;

use anyhow::Result;

use crate::deployment::Deployment;
use crate::fleet::Fleet;
use crate::report::{Disk, DiskSample, Restart};
use crate::scorer::ScorerView;
use crate::usage::disk_bytes;

/// Sends the events, looks at the folders so many times on the way, and starts
/// every process that has one again, twice. None if no process has one.
pub(crate) async fn measure(
    deployment: &mut Deployment,
    fleet: &mut Fleet,
    view: &mut ScorerView,
    events: u64,
    samples: u64,
) -> Result<Option<Disk>> {
    if deployment
        .members
        .iter()
        .all(|member| member.data.is_none())
    {
        return Ok(None);
    }
    let (started, mut sent) = (Instant::now(), 0);
    let mut curve = vec![sample(deployment, sent, started)?];
    while sent < events {
        sent += fleet.send(events.div_ceil(samples)).await?;
        curve.push(sample(deployment, sent, started)?);
    }
    view.caught_up(fleet).await?;
    view.check(fleet).await?;
    curve.push(sample(deployment, sent, started)?);
    let memberships = fleet.pool().shape().memberships();
    let mut restarts = Vec::new();
    for member in &mut deployment.members {
        let Some(data) = member.data.clone() else {
            continue;
        };
        let bytes = disk_bytes(&data)?;
        let mut ready_seconds = [0.0; 2];
        for (kill, seconds) in [false, true].into_iter().zip(&mut ready_seconds) {
            *seconds = member.restart(kill).await?.as_secs_f64();
        }
        restarts.push(Restart {
            process: member.name().to_owned(),
            bytes,
            bytes_per_membership: bytes as f64 / memberships as f64,
            ready_seconds,
        });
    }
    Ok(Some(Disk {
        memberships,
        curve,
        restarts,
    }))
}

fn sample(deployment: &Deployment, block_events: u64, started: Instant) -> Result<DiskSample> {
    let folders = deployment
        .members
        .iter()
        .filter_map(|member| member.data.as_ref());
    let bytes: Result<Vec<u64>> = folders.map(|folder| disk_bytes(folder)).collect();
    Ok(DiskSample {
        block_events,
        seconds: started.elapsed().as_secs_f64(),
        bytes: bytes?,
    })
}
