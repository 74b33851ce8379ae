//! `kvatlas demo`: recorded vLLM servers, checked against their own figures.
//!
//! The recordings are played, byte for byte, over real sockets into a standalone
//! in this process. Before each recorded request exactly those messages have been
//! published that the recording received before it; then the scorer is asked over
//! gRPC, and its prediction must equal what vLLM reported for that request.

mod plan;
mod player;
mod report;

use anyhow::{Result, bail};
use loadtest_recordings::Recording;

use self::plan::Plan;
use self::player::Player;
use self::report::Report;
use crate::cli::DemoArgs;
use crate::standalone::Standalone;

/// Plays everything; an error if any prediction differs.
#[expect(clippy::print_stdout, reason = "the table is this command's output")]
pub(crate) async fn run(args: &DemoArgs) -> Result<()> {
    let plan = Plan::new(args)?;
    let standalone = Standalone::start(&plan.config()).await?;
    println!(
        "standalone: events {}  gRPC {}  HTTP {}  profile {}\n",
        standalone.events(),
        standalone.grpc_url(),
        standalone.http_url(),
        args.profile
    );
    let mut report = Report::default();
    for act in plan.acts() {
        let mut player = Player::start(&standalone, act).await?;
        let rows = player.play().await?;
        report.recording(act, &rows, args.all_rows);
    }
    standalone.stop().await?;
    report.finish();
    if report.differing() > 0 {
        bail!(
            "{} predictions differ from vLLM's own figures",
            report.differing()
        );
    }
    if report.compared() == 0 {
        bail!(
            "nothing was compared: no recording in {} matches",
            args.recordings.display()
        );
    }
    Ok(())
}

/// One recording and the part it plays.
pub(crate) struct Act {
    /// What is played.
    recording: Recording,
    /// The endpoint's address in the demo.
    address: String,
    /// The model's name in the demo.
    model: String,
}
