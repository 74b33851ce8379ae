//! Processes that stop for a while and do not know it, and clocks that jump.

use std::fs;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::Dice;
use crate::report::Measured;
use crate::settings::Backend;
use crate::world::World;

/// SIGSTOP of any process; later it goes on as if nothing had been. Leaders twice in
/// a row: one that comes back, perhaps by a snapshot, may have to lead again.
pub(super) async fn freeze(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    let raft = world.cluster.settings.backend == Backend::Raft;
    if !raft || dice.coin() {
        freeze_any(world, dice).await?;
        return Ok(Measured::default());
    }
    let mut slowest = None;
    for _ in 0..2 {
        let leader = world.cluster.leader().await?;
        let step = format!("freeze the leader, node {leader}");
        world.findings.step(step);
        let began = Instant::now();
        world.cluster.node(leader)?.member.freeze().await?;
        let Some(resumed) = world.writes_resume(began).await else {
            break;
        };
        slowest = slowest.max(Some(resumed));
        dice.wait(500..3000).await;
        thaw(world).await?;
        dice.wait(100..1000).await;
    }
    Ok(Measured::resumed(slowest))
}

async fn freeze_any(world: &mut World, dice: &mut Dice) -> Result<()> {
    let count = world.cluster.members().count();
    let chosen = dice.of(count);
    if let Some(member) = world.cluster.members().nth(chosen) {
        let step = format!("freeze {}", member.who);
        member.freeze().await?;
        world.findings.step(step);
    }
    dice.wait(500..3000).await;
    thaw(world).await?;
    dice.wait(100..500).await;
    Ok(())
}

async fn thaw(world: &mut World) -> Result<()> {
    world.findings.step("thaw");
    for member in world.cluster.members() {
        member.thaw().await?;
    }
    Ok(())
}

/// Every process's clock jumps, by hours, back or forth, each its own way; engines
/// restart meanwhile. The machine's own clock, and timeouts, are as they were.
pub(super) async fn clock_jump(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    for _ in 0..3 {
        let count = world.cluster.members().count();
        let chosen = dice.of(count);
        let hours = dice.of(9) as i64 - 4;
        if let Some(member) = world.cluster.members().nth(chosen) {
            let step = format!("set the clock of {} by {hours} h", member.who);
            let clock = member.clock().context("no false clock")?;
            fs::write(clock, format!("{:+}", hours * 3600))?;
            world.findings.step(step);
        }
        let engine = dice.of(world.fleet.restartable());
        let down = dice.milliseconds(0..100);
        world.restart_engine(engine, down).await?;
        dice.wait(200..600).await;
    }
    // Some start with a false time, too.
    let count = world.cluster.members().count();
    let chosen = dice.of(count);
    if let Some(member) = world.cluster.members().nth(chosen) {
        let step = format!("restart {}", member.who);
        member.kill().await?;
        member.start()?;
        member.ready().await?;
        world.findings.step(step);
    }
    Ok(Measured::default())
}
