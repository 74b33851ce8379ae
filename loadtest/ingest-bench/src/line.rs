//! The whole line at saturation: engines on sockets of their own, and another
//! process with ingestor, store and index.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use loadtest_engines::{Feed, Form};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::messages::{Messages, Scale, Step};
use crate::serve::MODEL;

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LineReport {
    pub(crate) publishers: usize,
    /// Cores that the line may use; the engines share them.
    pub(crate) cores: usize,
    pub(crate) block_events: u64,
    pub(crate) block_events_per_second: f64,
    /// Processor seconds of the line per million block events.
    pub(crate) line_seconds_per_million: f64,
    /// Of the engines' process.
    pub(crate) engines_seconds_per_million: f64,
    /// What one core of the line's own would take in; unknown if the run took less
    /// processor time than Linux counts.
    pub(crate) block_events_per_core_second: Option<f64>,
}

impl LineReport {
    fn of(plan: Plan, taken: Duration, own: f64, done: &Done) -> Self {
        let block_events = done.messages * plan.step.block_events();
        let million = block_events as f64 / 1e6;
        let per_core = block_events as f64 / done.processor_seconds;
        Self {
            publishers: plan.publishers,
            cores: plan.cores,
            block_events,
            block_events_per_second: block_events as f64 / taken.as_secs_f64(),
            line_seconds_per_million: done.processor_seconds / million,
            engines_seconds_per_million: own / million,
            block_events_per_core_second: per_core.is_finite().then_some(per_core),
        }
    }
}

/// What the line says when it has taken in everything.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Processor seconds that it has used since it began.
    pub(crate) processor_seconds: f64,
    /// Messages that the store has applied.
    pub(crate) messages: u64,
    /// Memberships that the index lists.
    pub(crate) memberships: u64,
}

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) step: Step,
    pub(crate) form: Form,
    pub(crate) publishers: usize,
    pub(crate) block_events: u64,
    pub(crate) cores: usize,
}

impl Plan {
    /// Messages of each publisher.
    fn messages(&self) -> u64 {
        let messages = self.block_events.div_ceil(self.step.block_events());
        messages.div_ceil(self.publishers as u64)
    }
}

/// Sends as fast as messages are taken, until the last one is in the index. The index
/// must then list what the engines hold, or the figures are those of something else.
pub(crate) fn measure(plan: Plan) -> Result<LineReport> {
    let Scale {
        groups,
        cache_blocks,
        ..
    } = Scale::FULL;
    let (each, publishers) = (plan.messages(), plan.publishers as u64);
    let mut line = Line::start(plan)?;
    let address = format!("tcp://127.0.0.1:{}", line.next_line()?.trim());
    let groups = groups.min(plan.publishers);
    let messages = Messages::new(plan.step, plan.form, groups, cache_blocks)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (taken, own) = runtime.block_on(async {
        let mut feeds = Vec::new();
        for number in 0..plan.publishers {
            feeds.push(Feed::connect(&address, number, MODEL).await?);
        }
        line.ask(each * publishers)?;
        let (started, own) = (Instant::now(), processor_seconds(std::process::id())?);
        send(feeds, messages, each, &mut line).await?;
        let own = processor_seconds(std::process::id())? - own;
        anyhow::Ok((started.elapsed(), own))
    })?;
    let done = line.done.take().context("the line has said nothing")?;
    let expected = publishers * plan.step.held(cache_blocks, each);
    ensure!(
        done.memberships == expected,
        "the line's index lists {} memberships, the engines hold {expected}",
        done.memberships
    );
    Ok(LineReport::of(plan, taken, own, &done))
}

/// Every engine sends on a task of its own; returns when the line has all.
async fn send(feeds: Vec<Feed>, messages: Messages, each: u64, line: &mut Line) -> Result<()> {
    let messages = std::sync::Arc::new(messages);
    let mut tasks = JoinSet::new();
    for (engine, mut feed) in feeds.into_iter().enumerate() {
        let messages = std::sync::Arc::clone(&messages);
        tasks.spawn(async move {
            for sequence in 0..each {
                let payload = messages.payload(engine, sequence, now());
                feed.publish(payload).await?;
            }
            anyhow::Ok(feed)
        });
    }
    // Connections stay open until everything has been read from them.
    let mut feeds = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        feeds.push(ended??);
    }
    let said = line.next_line()?;
    drop(feeds);
    line.done = Some(serde_json::from_str(&said).context("read the line's report")?);
    Ok(())
}

/// The process with the line in it; killed when dropped.
struct Line {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    done: Option<Done>,
}

impl Line {
    fn start(plan: Plan) -> Result<Self> {
        let own = std::env::current_exe()?;
        let cores = format!("0-{}", plan.cores - 1);
        let mut child = Command::new("taskset")
            .args(["-c", &cores])
            .arg(own)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the line under taskset")?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self {
            child,
            output: BufReader::new(output),
            done: None,
        })
    }

    /// Says how many messages will come.
    fn ask(&mut self, messages: u64) -> Result<()> {
        let input = self.child.stdin.as_mut().context("no input")?;
        Ok(writeln!(input, "{messages}")?)
    }

    fn next_line(&mut self) -> Result<String> {
        let mut text = String::new();
        self.output.read_line(&mut text)?;
        anyhow::ensure!(!text.is_empty(), "the line has ended");
        Ok(text)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that a process has used.
pub(crate) fn processor_seconds(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').context("no name")?.1;
    let mut times = fields.split_whitespace().skip(11);
    let mut time = || -> Result<u64> { Ok(times.next().context("no time")?.parse()?) };
    // Linux counts in hundredths.
    Ok((time()? + time()?) as f64 / 100.0)
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        step: Step::Prefill,
        form: Form::Maps,
        publishers: 1000,
        block_events: 4_000_000,
        cores: 2,
    };

    #[test]
    fn at_least_as_many_block_events_are_sent_as_asked_for() {
        assert_eq!(PLAN.messages(), 32);
        for (publishers, block_events, each) in [
            (1, 1, 1),
            (1, 128, 1),
            (1, 129, 2),
            (2, 129, 1),
            (2, 257, 2),
            (8, 128 * 8, 1),
        ] {
            let plan = Plan {
                publishers,
                block_events,
                ..PLAN
            };
            assert_eq!(plan.messages(), each, "{publishers} {block_events}");
        }
    }

    #[test]
    fn figures_are_those_of_what_was_applied() {
        let done = Done {
            processor_seconds: 2.0,
            messages: 31_250,
            memberships: 0,
        };
        let report = LineReport::of(PLAN, Duration::from_secs(8), 1.0, &done);
        assert_eq!(report.block_events, 4_000_000);
        assert_eq!(report.block_events_per_second, 500_000.0);
        assert_eq!(report.line_seconds_per_million, 0.5);
        assert_eq!(report.engines_seconds_per_million, 0.25);
        assert_eq!(report.block_events_per_core_second, Some(2_000_000.0));
        let too_short = Done {
            processor_seconds: 0.0,
            ..done
        };
        let report = LineReport::of(PLAN, Duration::from_secs(8), 1.0, &too_short);
        assert_eq!(report.block_events_per_core_second, None);
    }

    #[test]
    fn processor_time_is_read_for_living_processes_only() {
        assert!(processor_seconds(std::process::id()).unwrap() >= 0.0);
        // Beyond the largest number that Linux gives.
        assert!(processor_seconds(u32::MAX).is_err());
    }
}
