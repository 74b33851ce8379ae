//! Hostile clients and dying engines, beside streams that must go on.
//!
//! Every case has the statuses that it may end with. Afterwards the picker must
//! stand where it stood: no stream open, no file more, no memory kept.

mod bodies;
mod clients;
mod streams;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use loadtest_gateway::{Pool, Programs, Report, eventually, open_files};

use self::streams::Streams;
use crate::world::{World, echoes, raw, said};

/// How it is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Streams that go on beside everything.
    #[arg(long, default_value_t = 8)]
    streams: usize,
    /// How long these streams last at least.
    #[arg(long, default_value_t = 120)]
    stream_seconds: u64,
    /// Requests that are given up.
    #[arg(long, default_value_t = 3_000)]
    aborted: usize,
    /// Connections that send a byte now and then.
    #[arg(long, default_value_t = 200)]
    slow: usize,
    /// Answers whose engine dies.
    #[arg(long, default_value_t = 200)]
    dying: usize,
}

/// Memory that allocators may keep after a load, in bytes.
const MEMORY_KEPT: u64 = 256 << 20;

/// Files that may be open for other reasons: connections to scorers and engines.
const FILES_KEPT: usize = 16;

/// No request of any case may take longer.
const BOUND: Duration = Duration::from_secs(60);

/// What came of one case: how often each status, 0 for a broken connection.
pub(crate) type Statuses = BTreeMap<u16, usize>;

pub(crate) async fn run(args: &Args, programs: &Programs) -> Result<Vec<Report>> {
    let mut world = World::start(programs, echoes(3).await?, Pool::OriginalDst, |_| {}).await?;
    world.decides_by("tracking").await?;
    for _ in 0..200 {
        world.gateway.ask(raw(said("warm").to_string())).await?;
    }
    let before = Standing::of(&world).await?;
    let title = "Hostile requests beside streams that go on";
    let report = Report::new(title, &["case", "answers", "took ms"]);
    let streams = Streams::start(&world, args.streams).await?;
    let mut cases = Cases { report, streams };
    for case in bodies::all() {
        cases
            .run(case.name, case.allowed, case.send(&world))
            .await?;
    }
    cases.clients(args, &world).await?;
    let Cases {
        mut report,
        streams,
    } = cases;
    match streams.end(Duration::from_secs(args.stream_seconds)).await {
        Ok(events) => report.row([
            "streams beside it".to_owned(),
            format!("{events} events"),
            String::new(),
        ]),
        Err(error) => report.finding(format!("a stream beside it did not go on: {error:#}")),
    }
    let answer = world.gateway.ask(raw(said("after").to_string())).await?;
    report.check(answer.status == 200, || {
        format!("afterwards: {}", answer.status)
    });
    after(&world, before, &mut report).await?;
    if !report.is_clean() {
        let logs = world.gateway.keep_logs().display().to_string();
        report.finding(format!("logs are in {logs}"));
    }
    Ok(vec![report])
}

/// One case after the other, each beside the streams.
struct Cases {
    report: Report,
    streams: Streams,
}

impl Cases {
    async fn run(
        &mut self,
        name: &str,
        allowed: &[u16],
        case: impl Future<Output = Result<Statuses>>,
    ) -> Result<()> {
        let began = Instant::now();
        let statuses = case.await?;
        judge(&mut self.report, name, &statuses, allowed, began.elapsed());
        if let Some(error) = self.streams.broken() {
            self.report
                .finding(format!("{name}: a stream beside it ended: {error:#}"));
        }
        Ok(())
    }

    /// Everything that is not about what a body says.
    async fn clients(&mut self, args: &Args, world: &World) -> Result<()> {
        let clients = clients::Clients::new(world);
        let slow = clients.slow(args.slow);
        self.run("bytes now and then, then gone", &[0], slow)
            .await?;
        let aborted = clients.aborted(args.aborted);
        self.run("given up anywhere", &[0], aborted).await?;
        let half_closed = clients.half_closed(100);
        self.run("half closed", &[0, 200], half_closed).await?;
        let dying = clients.dying(args.dying);
        self.run("engine dies in mid-answer", &[0], dying).await?;
        let tiny = clients.tiny_chunks(8);
        self.run("a body byte by byte", &[200], tiny).await
    }
}

fn judge(report: &mut Report, name: &str, statuses: &Statuses, allowed: &[u16], took: Duration) {
    for (status, count) in statuses {
        report.check(allowed.contains(status), || {
            format!("{name}: {count} answers {status}; documented: {allowed:?}")
        });
    }
    report.check(!statuses.is_empty(), || format!("{name}: no answer"));
    report.check(took < BOUND * 4, || format!("{name}: {took:?}"));
    let answers = statuses.iter().map(|(status, count)| match status {
        0 => format!("cut: {count}"),
        status => format!("{status}: {count}"),
    });
    let answers: Vec<_> = answers.collect();
    let took = took.as_millis().to_string();
    report.row([name.to_owned(), answers.join(", "), took]);
}

/// What a picker has taken of the machine.
#[derive(Debug, Clone, Copy)]
struct Standing {
    memory: u64,
    files: usize,
    streams: f64,
    buffered: f64,
}

impl Standing {
    async fn of(world: &World) -> Result<Self> {
        let picker = &world.gateway.picker;
        let metrics = picker.metrics().await?;
        Ok(Self {
            memory: picker.process().resident_bytes()?,
            files: open_files(picker.process().id())?,
            streams: metrics.sum("kvatlas_epp_streams_open", &[]),
            buffered: metrics.sum("kvatlas_epp_buffered_bytes", &[]),
        })
    }
}

/// Waits until the picker stands where it stood; a finding if it never does.
async fn after(world: &World, before: Standing, report: &mut Report) -> Result<()> {
    let mut last = before;
    let back = eventually("the picker's own again", async || {
        last = Standing::of(world).await?;
        let files = last.files <= before.files + FILES_KEPT;
        let idle = last.streams == 0.0 && last.buffered == 0.0;
        let memory = last.memory <= before.memory + MEMORY_KEPT;
        Ok((files && idle && memory).then_some(()))
    })
    .await;
    report.check(back.is_ok(), || {
        format!("the picker keeps what it took: before {before:?}, after {last:?}")
    });
    let mebibytes = |bytes: u64| (bytes >> 20).to_string();
    report.row([
        "picker before, after".to_owned(),
        format!(
            "{} -> {} MiB, {} -> {} files, {} streams",
            mebibytes(before.memory),
            mebibytes(last.memory),
            before.files,
            last.files,
            last.streams
        ),
        String::new(),
    ]);
    Ok(())
}
