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
    let world = World::start(programs, echoes(3).await?, Pool::OriginalDst, |_| {}).await?;
    world.decides_by("tracking").await?;
    for _ in 0..200 {
        world.gateway.ask(raw(said("warm").to_string())).await?;
    }
    let before = Standing::of(&world).await?;
    let title = "Hostile requests beside streams that go on";
    let mut report = Report::new(title, &["case", "answers", "longest ms"]);
    let streams = Streams::start(&world, args.streams).await?;

    for case in bodies::all() {
        let began = Instant::now();
        let statuses = case.run(&world).await?;
        judge(
            &mut report,
            case.name,
            &statuses,
            case.allowed,
            began.elapsed(),
        );
    }
    let clients = clients::Clients::new(&world);
    let began = Instant::now();
    let statuses = clients.slow(args.slow).await?;
    judge(
        &mut report,
        "bytes now and then, then gone",
        &statuses,
        &[0],
        began.elapsed(),
    );
    let began = Instant::now();
    let statuses = clients.aborted(args.aborted).await?;
    judge(
        &mut report,
        "given up anywhere",
        &statuses,
        &[0],
        began.elapsed(),
    );
    let began = Instant::now();
    let statuses = clients.half_closed(100).await?;
    judge(
        &mut report,
        "half closed",
        &statuses,
        &[0, 200],
        began.elapsed(),
    );
    let began = Instant::now();
    let statuses = clients.dying(args.dying).await?;
    judge(
        &mut report,
        "engine dies in mid-answer",
        &statuses,
        &[0],
        began.elapsed(),
    );
    let began = Instant::now();
    let statuses = clients.tiny_chunks(8).await?;
    judge(
        &mut report,
        "a body byte by byte",
        &statuses,
        &[200],
        began.elapsed(),
    );

    let lasted = streams.end(Duration::from_secs(args.stream_seconds)).await;
    match lasted {
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
    Ok(vec![report])
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
