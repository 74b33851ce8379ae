//! A Redis that comes back without what it had.

use std::fs;

use anyhow::{Context, Result};

use super::Dice;
use crate::report::Measured;
use crate::world::World;

/// SIGKILL, and a start with an empty folder. The index is built anew from the
/// engines' replays, and is complete again.
pub(super) async fn store_lost(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    world.findings.step("kill Redis and delete its data");
    world.findings.history_is_lost();
    let node = world.cluster.nodes.first_mut().context("no Redis")?;
    node.member.kill().await?;
    fs::remove_dir_all(&node.data)?;
    fs::create_dir_all(&node.data)?;
    dice.wait(0..300).await;
    world.findings.step("start Redis with nothing");
    let node = world.cluster.nodes.first_mut().context("no Redis")?;
    node.member.start()?;
    node.member.ready().await?;
    // An engine that says nothing more cannot be missed: nobody asks Redis for it.
    // With its next message it is.
    world.fleet.speak().await?;
    dice.wait(500..1000).await;
    Ok(Measured::default())
}
