//! One call at a time: Score and the echo in turns, call by call.

use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;
use proto_api::v1::ScoreRequest;
use serde::Serialize;

use crate::args::Args;
use crate::echo::EMPTY;
use crate::grpc::{self, Caller};
use crate::quantiles::Quantiles;
use crate::world::World;

/// Calls before the first timed one.
const WARM: usize = 200;

/// Score beside the echo.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) score: Quantiles,
    /// An answer as long as Score's.
    pub(crate) echo: Quantiles,
    /// An empty answer.
    pub(crate) echo_empty: Quantiles,
    /// Score's median over the echo's.
    pub(crate) p50_ratio: f64,
    pub(crate) p99_ratio: f64,
    /// Score's median over that of the echo that answers nothing.
    pub(crate) p50_ratio_empty: f64,
}

pub(crate) async fn measure(args: &Args, world: &World) -> Result<Latency> {
    let requests = grpc::requests(&world.asked);
    let mut score = Caller::connect(world.kvatlas.grpc).await?;
    let mut echo = Caller::connect(world.echo.port).await?;
    let mut empty = Caller::connect(world.echo.port).await?;
    let mut times = [const { Vec::new() }; 3];
    let progress = ProgressBar::new((WARM + args.calls) as u64).with_message("echo");
    for call in 0..WARM + args.calls {
        let request = &requests[call % requests.len()];
        let unanswered = ScoreRequest {
            request_id: EMPTY.to_owned(),
            ..request.clone()
        };
        let took = [
            timed(&mut score, request.clone()).await?,
            timed(&mut echo, request.clone()).await?,
            timed(&mut empty, unanswered).await?,
        ];
        if call >= WARM {
            for (times, took) in times.iter_mut().zip(took) {
                times.push(took);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let [score, echo, echo_empty] = times.map(Quantiles::of);
    Ok(Latency {
        p50_ratio: score.p50_us / echo.p50_us,
        p99_ratio: score.p99_us / echo.p99_us,
        p50_ratio_empty: score.p50_us / echo_empty.p50_us,
        score,
        echo,
        echo_empty,
    })
}

/// Nanoseconds that a call took. Requests are copied before the clock starts.
pub(crate) async fn timed(caller: &mut Caller, request: ScoreRequest) -> Result<u64> {
    let started = Instant::now();
    let answer = caller.score(request).await?;
    let took = started.elapsed();
    drop(answer);
    Ok(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
}
