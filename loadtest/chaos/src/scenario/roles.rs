//! Faults of ingestors and scorers.

use anyhow::Result;

use super::Dice;
use crate::checker::best;
use crate::client::Client;
use crate::fleet::{ANCHOR_BLOCKS, MODEL, anchor};
use crate::report::Measured;
use crate::world::World;

/// Two ingestors on the same engines: each dies in its turn, engines restart
/// meanwhile.
pub(super) async fn active_active(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    for _ in 0..2 {
        let count = world.cluster.ingestors.len();
        let chosen = dice.of(count);
        world.findings.step(format!("kill ingestor {chosen}"));
        world.cluster.ingestors[chosen].kill().await?;
        let engine = dice.of(world.fleet.restartable());
        let down = dice.milliseconds(0..200);
        world.restart_engine(engine, down).await?;
        dice.wait(100..400).await;
        world.findings.step(format!("start ingestor {chosen}"));
        world.cluster.ingestors[chosen].start()?;
        if dice.coin() {
            world.cluster.ingestors[chosen].ready().await?;
        }
        dice.wait(100..400).await;
    }
    Ok(Measured::default())
}

/// A scorer dies and starts with nothing. Its first ready answer is a full one.
pub(super) async fn cold_start(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    let chosen = dice.of(world.cluster.scorers.len());
    world.findings.step(format!("kill scorer {chosen}"));
    world.cluster.scorers[chosen].member.kill().await?;
    dice.wait(0..400).await;
    let engine = dice.of(world.fleet.restartable());
    world
        .restart_engine(engine, dice.milliseconds(0..100))
        .await?;
    world.findings.step(format!("start scorer {chosen}"));
    let scorer = &mut world.cluster.scorers[chosen];
    scorer.member.start()?;
    scorer.member.ready().await?;
    if world.cluster.settings.backend != crate::settings::Backend::Standalone {
        let mut client = Client::new(world.cluster.scorers[chosen].grpc)?;
        let answer = client.score_prompt(MODEL, &anchor()).await;
        let held = answer.map(|answer| best(&answer));
        if !matches!(held, Ok(ANCHOR_BLOCKS)) {
            let what =
                format!("scorer {chosen} is ready, but says {held:?} of the anchor's prompt");
            world.findings.violation("availability", what);
        }
    }
    Ok(Measured::default())
}
