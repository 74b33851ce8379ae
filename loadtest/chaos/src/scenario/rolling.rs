//! Every process is restarted, one at a time, as an upgrade does it.

use std::time::Duration;

use anyhow::Result;

use super::Dice;
use crate::links::Who;
use crate::load::Load;
use crate::report::Measured;
use crate::settings::Backend;
use crate::world::World;

/// How long nodes may take to be level again.
const LEVEL_LIMIT: Duration = Duration::from_secs(60);

/// Callers beside the checkers.
const CALLERS: usize = 3;

/// SIGTERM and a new start for every process, under load. No call fails, and none
/// is answered without an index.
pub(super) async fn rolling_restart(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    // A Redis is restarted by its own means, and has no second one here.
    let raft = world.cluster.settings.backend == Backend::Raft;
    let members = world.cluster.members().map(|member| member.who);
    let mut order: Vec<_> = members
        .filter(|who| raft || !matches!(who, Who::Node(_)))
        .collect();
    dice.shuffle(&mut order);
    world.last_ack.begin_gap();
    let load = Load::start(&world.cluster.scorers, CALLERS, &world.findings)?;
    dice.wait(200..400).await;
    for who in order {
        world.check_ends();
        world.findings.step(format!("stop {who}"));
        world.cluster.member(who)?.terminate().await?;
        world.findings.step(format!("start {who}"));
        let member = world.cluster.member(who)?;
        member.start()?;
        member.ready().await?;
        if matches!(who, Who::Node(_)) {
            world.cluster.caught_up(LEVEL_LIMIT).await?;
        }
        dice.wait(100..300).await;
    }
    drop(load);
    Ok(Measured {
        resumed: None,
        longest_write_gap: raft.then(|| world.last_ack.longest_gap()),
    })
}
