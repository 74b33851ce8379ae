//! The fleet by the wall clock: engines with sockets, `kvatlas` processes and an
//! Envoy, under the load that the virtual clock had.
//!
//! ```text
//!  WallOptions ─▶ FleetOptions ─┬─▶ run(): virtual time ──────────────┐
//!                               └─▶ World, Driver: processes, sockets ─┴─▶ WallRun
//! ```
//! Both are given the same options: the same users in the same order, at the same
//! moments, before engines of the same caches and times. What differs is all that
//! the virtual fleet only models: decisions, events, loads and books as they pass
//! between processes. `docs/fleet.md` says how far the two agree.

mod driver;
mod options;
mod outcome;
mod predictions;
mod report;
mod send;
mod text;
mod world;

use anyhow::{Result, ensure};

use crate::options::FleetOptions;
use crate::report::run;
use crate::strategy::Strategy;

use driver::Driver;
use world::World;

pub use options::WallOptions;
pub use outcome::{Side, WallRun};
pub use report::{WallReport, wall_table};
pub use world::WallPrograms;

/// Is told a line now and then.
pub type Told<'a> = &'a (dyn Fn(&str) + Sync);

/// Runs one strategy in virtual time, and then by the wall clock.
///
/// # Errors
/// If the options contradict each other, the strategy is a model of another system
/// (only ours can be started), a process does not start, or a request breaks off.
pub async fn wall(
    options: &WallOptions,
    strategy: Strategy,
    programs: &WallPrograms,
    told: Told<'_>,
) -> Result<WallRun> {
    ensure!(
        Strategy::OURS.contains(&strategy),
        "strategy is {}; only precise, estimated, load-only and random can be started",
        strategy.name()
    );
    let fleet = options.fleet()?;
    let (of, repeats) = (fleet.clone(), options.repeats);
    let simulated = tokio::task::spawn_blocking(move || simulated(&of, strategy, repeats));
    let simulated = simulated.await??;
    told(&format!(
        "{}: starting engines and processes",
        strategy.name()
    ));
    let world = World::start(&fleet, strategy, options.score, programs).await?;
    let driver = Driver::new(&fleet, &world, told);
    let outcome = driver.run().await?;
    Ok(WallRun::new(strategy, simulated, outcome))
}

/// Under the same load several times: what chance alone changes between two runs is
/// part of the answer.
fn simulated(fleet: &FleetOptions, strategy: Strategy, repeats: u64) -> Result<Vec<Side>> {
    let one = |ties| {
        let fleet = FleetOptions {
            ties,
            ..fleet.clone()
        };
        let report = run(&fleet, &[strategy], 1, &|_, _, _, _| {})?;
        Ok(Side::simulated(&report.strategies[0]))
    };
    (0..repeats).map(one).collect()
}
