//! Processes that stop for a while and do not know it, and clocks that jump.

use std::fs;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::Dice;
use crate::report::Measured;
use crate::settings::Backend;
use crate::world::World;

/// SIGSTOP of any process; later it goes on as if nothing had been.
pub(super) async fn freeze(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    let raft = world.cluster.settings.backend == Backend::Raft;
    let leader = if raft && dice.coin() {
        Some(world.cluster.leader().await?)
    } else {
        None
    };
    let began = Instant::now();
    let resumed = if let Some(leader) = leader {
        world
            .findings
            .step(format!("freeze the leader, node {leader}"));
        world.cluster.node(leader)?.member.freeze().await?;
        world.writes_resume(began).await
    } else {
        let count = world.cluster.members().count();
        let chosen = dice.of(count);
        if let Some(member) = world.cluster.members().nth(chosen) {
            let step = format!("freeze {}", member.who);
            member.freeze().await?;
            world.findings.step(step);
        }
        None
    };
    dice.wait(500..3000).await;
    world.findings.step("thaw");
    for member in world.cluster.members() {
        member.thaw().await?;
    }
    dice.wait(100..500).await;
    Ok(Measured::resumed(resumed))
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
