//! One call at a time, while events are applied and while none are.
//!
//! The echo is called under the same load: what it loses is the machine's doing,
//! as it has no index and applies nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::args::Args;
use crate::grpc::{self, Caller};
use crate::latency::timed;
use crate::quantiles::Quantiles;
use crate::usage::{MachineTime, processor_seconds};
use crate::world::World;

/// How long the index may take to work off what was sent.
const DRAIN: Duration = Duration::from_secs(1);

/// Calls under one kind of load.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    /// What is sent meanwhile.
    pub(crate) load: &'static str,
    pub(crate) events_per_second: f64,
    pub(crate) score: Quantiles,
    pub(crate) echo: Quantiles,
    /// Cores that kvatlas used.
    pub(crate) server_cores: f64,
    /// Cores that this process, which calls and publishes, used.
    pub(crate) bench_cores: f64,
    /// Cores that everything on this machine used.
    pub(crate) all_cores: f64,
    /// Cores that the host of a virtual machine gave to others meanwhile.
    pub(crate) stolen_cores: f64,
    /// p99 of a turn over that of the idle turn of its round; of all rounds, the
    /// one in the middle. What a shared host takes for a second or two is in the
    /// quantiles of all calls, but does not decide the ratio.
    pub(crate) p99_ratio: f64,
    pub(crate) echo_p99_ratio: f64,
}

#[derive(Clone, Copy)]
enum Sent {
    Nothing,
    At(f64),
    All,
}

#[derive(Default)]
struct Sums {
    events: u64,
    wall: f64,
    score: Vec<u64>,
    echo: Vec<u64>,
    /// p99 of each turn's calls.
    score_p99: Vec<f64>,
    echo_p99: Vec<f64>,
    server: f64,
    bench: f64,
    machine: MachineTime,
}

pub(crate) async fn measure(args: &Args, world: &mut World) -> Result<Vec<Phase>> {
    let phases = [
        ("none", Sent::Nothing),
        ("at the rate", Sent::At(args.rate)),
        ("as fast as taken", Sent::All),
    ];
    let mut sums = phases.map(|_| Sums::default());
    // The first round stores only: from then on as much is removed.
    world.fleet.churn(Some(args.rate), DRAIN).await?;
    let progress = ProgressBar::new((args.turns * phases.len()) as u64).with_message("load");
    for _ in 0..args.turns {
        for ((_, sent), sums) in phases.iter().zip(&mut sums) {
            turn(args, world, *sent, sums).await?;
            tokio::time::sleep(DRAIN).await;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let idle = (sums[0].score_p99.clone(), sums[0].echo_p99.clone());
    let each = phases.into_iter().zip(sums);
    Ok(each
        .map(|((load, _), sums)| sums.into_phase(load, &idle))
        .collect())
}

async fn turn(args: &Args, world: &mut World, sent: Sent, sums: &mut Sums) -> Result<()> {
    let time = Duration::from_secs_f64(args.seconds);
    let (server, own) = (world.kvatlas.id(), std::process::id());
    let stop = Arc::new(AtomicBool::new(false));
    let caller = caller(world, Arc::clone(&stop))?;
    let started = Instant::now();
    let before = (
        processor_seconds(server)?,
        processor_seconds(own)?,
        MachineTime::now()?,
    );
    sums.events += match sent {
        Sent::Nothing => {
            tokio::time::sleep(time).await;
            0
        }
        Sent::At(rate) => world.fleet.churn(Some(rate), time).await?,
        Sent::All => world.fleet.churn(None, time).await?,
    };
    sums.wall += started.elapsed().as_secs_f64();
    sums.server += processor_seconds(server)? - before.0;
    sums.bench += processor_seconds(own)? - before.1;
    sums.machine += MachineTime::now()? - before.2;
    stop.store(true, Ordering::Relaxed);
    let done = tokio::task::spawn_blocking(move || caller.join()).await?;
    let (score, echo) = done.map_err(|_| anyhow!("the caller ended early"))??;
    sums.score_p99.push(Quantiles::of(score.clone()).p99_us);
    sums.echo_p99.push(Quantiles::of(echo.clone()).p99_us);
    sums.score.extend(score);
    sums.echo.extend(echo);
    Ok(())
}

type Times = (Vec<u64>, Vec<u64>);

/// Calls from a thread of its own, so that what publishes does not delay it.
fn caller(world: &World, stop: Arc<AtomicBool>) -> Result<std::thread::JoinHandle<Result<Times>>> {
    let requests = grpc::requests(&world.asked);
    let (grpc, echo) = (world.kvatlas.grpc, world.echo.port);
    let work = async move {
        let mut score = Caller::connect(grpc).await?;
        let mut echo = Caller::connect(echo).await?;
        let mut times = Times::default();
        for request in requests.iter().cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            times.0.push(timed(&mut score, request.clone()).await?);
            times.1.push(timed(&mut echo, request.clone()).await?);
        }
        Ok(times)
    };
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.context("start a runtime")?.block_on(work)
    };
    Ok(std::thread::Builder::new()
        .name("caller".to_owned())
        .spawn(run)?)
}

impl Sums {
    /// `idle`: the p99 of Score and of the echo in each turn without events.
    fn into_phase(self, load: &'static str, idle: &(Vec<f64>, Vec<f64>)) -> Phase {
        Phase {
            load,
            events_per_second: self.events as f64 / self.wall,
            score: Quantiles::of(self.score),
            echo: Quantiles::of(self.echo),
            server_cores: self.server / self.wall,
            bench_cores: self.bench / self.wall,
            all_cores: self.machine.used / self.wall,
            stolen_cores: self.machine.stolen / self.wall,
            p99_ratio: middle_ratio(&self.score_p99, &idle.0),
            echo_p99_ratio: middle_ratio(&self.echo_p99, &idle.1),
        }
    }
}

/// The median of the ratios of values that belong together.
fn middle_ratio(values: &[f64], bases: &[f64]) -> f64 {
    let pairs = values.iter().zip(bases);
    let mut ratios: Vec<f64> = pairs.map(|(value, base)| value / base).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let half = ratios.len() / 2;
    match ratios.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => ratios[half],
        _ => f64::midpoint(ratios[half - 1], ratios[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_turn_that_was_disturbed_does_not_decide() {
        let idle = [10.0, 10.0, 20.0];
        assert_eq!(middle_ratio(&[15.0, 900.0, 40.0], &idle), 2.0);
        assert_eq!(middle_ratio(&[15.0, 30.0], &idle), 2.25);
        assert!(middle_ratio(&[], &idle).is_nan());
    }
}
