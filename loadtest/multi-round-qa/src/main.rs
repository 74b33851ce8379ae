//! `loadtest-multi-round-qa`: the documented multi-round QA check.

mod args;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser as _;
use indicatif::{ProgressBar, ProgressStyle};
use loadtest_multi_round_qa::{Client, Conversations, Outcome, Summary, Tally, read_csv, run};
use tokio::signal::unix::{SignalKind, signal};

use args::Args;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(file) = &args.process_summary {
        let named = || format!("--process-summary {}", file.display());
        let open = File::open(file).with_context(named)?;
        let tally = read_csv(BufReader::new(open)).with_context(named)?;
        // Not before the reading: it may be the same file.
        let json = created(args.json.as_deref())?;
        return said(&tally.summary(0.0, None, 0, 0), json);
    }
    let json = created(args.json.as_deref())?;
    let outcome = measured(&args).await?;
    if let Some(error) = outcome.last_error {
        let count = outcome.summary.failed;
        let error = anyhow::Error::from(error);
        complain(&format!("{count} requests failed, the last one: {error:#}"))?;
    }
    if outcome.summary.finished + outcome.summary.failed == 0 {
        complain("the run ended before any request that counts did: give a longer --time")?;
    }
    if outcome.held_back > 0 {
        let count = outcome.held_back;
        complain(&format!(
            "{count} users did not join: the server is too slow for --qps"
        ))?;
    }
    said(&outcome.summary, json)
}

async fn measured(args: &Args) -> Result<Outcome> {
    let options = args.options();
    options.validate()?;
    let base_url = args.base_url.as_deref().unwrap_or_default();
    let client = Client::new(base_url, &args.api_key)?;
    let conversations = match args.sharegpt {
        true => Some(Conversations::read(&args.sharegpt_file, options.rounds)?),
        false => None,
    };
    let bar = bar(args.time)?;
    // Whoever sees the file may send a signal.
    let end = ended(args.time, bar.clone())?;
    let named = || format!("--output {}", args.output.display());
    let mut output = BufWriter::new(File::create(&args.output).with_context(named)?);
    let (mut since, qps) = (Instant::now(), options.qps);
    let mut progress = |tally: &Tally, on_the_fly: u64, failed: u64| {
        bar.set_message(format!(
            "{} answered, {on_the_fly} on the fly, {failed} failed",
            tally.finished()
        ));
        if args.log_interval > 0 && since.elapsed().as_secs() >= args.log_interval {
            since = Instant::now();
            let summary = tally.summary(qps, None, on_the_fly, failed);
            bar.suspend(|| {
                // Nobody is there to be told.
                let _ = write!(std::io::stderr(), "so far:\n{summary}");
            });
        }
    };
    let outcome = run(
        client,
        options,
        conversations,
        end,
        &mut output,
        &mut progress,
    )
    .await;
    bar.finish_and_clear();
    Ok(outcome?)
}

/// Comes to pass when the time is over, or somebody says so. Signals count from now
/// on, the time from the first waiting.
fn ended(seconds: Option<u64>, bar: ProgressBar) -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let over = async move {
        let (begin, mut tick) = (
            Instant::now(),
            tokio::time::interval(Duration::from_millis(100)),
        );
        while seconds.is_none_or(|seconds| begin.elapsed().as_secs() < seconds) {
            tick.tick().await;
            bar.set_position(begin.elapsed().as_secs());
        }
    };
    Ok(async move {
        tokio::select! {
            () = over => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// On standard error, if that is a terminal.
fn bar(seconds: Option<u64>) -> Result<ProgressBar> {
    let (bar, template) = match seconds {
        Some(seconds) => (ProgressBar::new(seconds), "{bar:30} {pos}/{len} s, {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {elapsed}, {msg}"),
    };
    bar.set_style(ProgressStyle::with_template(template)?);
    Ok(bar)
}

/// The file of `--json`, before a run that may be long.
fn created(json: Option<&Path>) -> Result<Option<(&Path, File)>> {
    let Some(path) = json else {
        return Ok(None);
    };
    let file = File::create(path).with_context(|| format!("--json {}", path.display()))?;
    Ok(Some((path, file)))
}

/// The summary, and whether there is anything to sum up.
fn said(summary: &Summary, json: Option<(&Path, File)>) -> Result<ExitCode> {
    write!(std::io::stdout().lock(), "{summary}")?;
    if let Some((path, file)) = json {
        let named = || format!("--json {}", path.display());
        let mut out = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut out, summary).with_context(named)?;
        out.flush().with_context(named)?;
    }
    Ok(match summary.finished {
        0 => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn complain(text: &str) -> Result<()> {
    writeln!(std::io::stderr().lock(), "{text}")?;
    Ok(())
}
