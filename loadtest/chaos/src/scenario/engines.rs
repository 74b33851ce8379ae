//! Faults of the engines themselves.

use anyhow::Result;

use super::Dice;
use crate::report::Measured;
use crate::world::World;

/// Engines restart, some of them again before they were heard, some with their
/// clocks set forward or back.
pub(super) async fn restarts(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    for _ in 0..4 {
        let engine = dice.of(world.fleet.restartable());
        if dice.of(4) == 0 {
            let hours = if dice.coin() { 1.0 } else { -1.0 };
            world
                .findings
                .step(format!("set the clock of engine {engine} by {hours} h"));
            world.fleet.engine(engine).await.clock_offset += hours * 3600.0;
        }
        world.findings.step(format!("restart engine {engine}"));
        let down = dice.milliseconds(0..300);
        world.restart_engine(engine, down).await?;
        dice.wait(0..400).await;
    }
    Ok(Measured::default())
}
