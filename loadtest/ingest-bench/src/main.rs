//! What each step of the ingest costs: `docs/ingestor.md` has the table.

mod allocations;
mod floor;
mod messages;
mod meter;
mod stages;

use clap::Parser;
use loadtest_engines::Form;
use messages::Step;

#[derive(Debug, Parser)]
struct Args {
    /// Rounds of which the fastest counts.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    for step in [Step::Prefill, Step::Decode] {
        for form in [Form::Arrays, Form::Maps] {
            let report = stages::measure(step, form, args.rounds)?;
            println!(
                "\n{}: {} block events a message, {:.0} bytes each",
                report.messages, report.block_events_per_message, report.bytes_per_block_event
            );
            for cost in &report.costs {
                println!(
                    "  {:<34} {:>8.1} ns {:>8.3} allocations",
                    cost.stage, cost.ns_per_block_event, cost.allocations_per_block_event
                );
            }
        }
    }
    Ok(())
}
