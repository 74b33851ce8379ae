//! Whatever can be away is taken away, under steady load.
//!
//! Rules, whatever happens: a request is served only by an endpoint of the pool as
//! it stands and of the subset that was hinted at; every request is answered
//! within the bound; the status is one that is documented for what is away; and
//! scores are used again by the same picker when what was away is back.

mod judge;
mod phases;

use std::time::Duration;

use anyhow::Result;
use loadtest_gateway::{Programs, Report};

use self::phases::Phases;

/// How it is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each state is held and judged.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections that ask all the time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// A request that takes longer hangs.
    #[arg(long, default_value_t = 15)]
    bound_seconds: u64,
}

pub(crate) async fn run(args: &Args, programs: &Programs) -> Result<Vec<Report>> {
    let hold = Duration::from_secs(args.seconds);
    let bound = Duration::from_secs(args.bound_seconds);
    let mut phases = Phases::start(programs, args.connections, hold, bound).await?;
    phases.all().await?;
    Ok(vec![phases.end().await])
}
