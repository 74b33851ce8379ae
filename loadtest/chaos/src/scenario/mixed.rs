//! Everything, as the seed has it.

use anyhow::Result;

use super::{Dice, Measured, engines, faults, nodes, roles};
use crate::settings::Backend;
use crate::world::World;

/// Some faults in a row; not all of them are over when the next begins.
pub(super) async fn mixed(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    let backend = world.cluster.settings.backend;
    for _ in 0..3 {
        match dice.of(8) {
            0 if backend != Backend::Standalone => drop(nodes::leader_kill(world, dice).await?),
            1 if backend != Backend::Standalone => drop(nodes::power_loss(world, dice).await?),
            2 if backend == Backend::Raft => drop(nodes::partition(world, dice).await?),
            3 if backend != Backend::Standalone => drop(roles::active_active(world, dice).await?),
            4 => drop(roles::cold_start(world, dice).await?),
            5 => drop(faults::freeze(world, dice).await?),
            6 => kill_any(world, dice).await?,
            _ => drop(engines::restarts(world, dice).await?),
        }
        dice.wait(0..300).await;
    }
    Ok(Measured::default())
}

/// Any process dies, and stays away until the end.
async fn kill_any(world: &mut World, dice: &mut Dice) -> Result<()> {
    let up: Vec<_> = world
        .cluster
        .members()
        .filter(|member| member.is_up())
        .collect();
    let chosen = dice.of(up.len().max(1));
    let Some(member) = up.into_iter().nth(chosen) else {
        return Ok(());
    };
    let step = format!("kill {}, for now", member.who);
    member.kill().await?;
    world.findings.step(step);
    dice.wait(200..600).await;
    Ok(())
}
