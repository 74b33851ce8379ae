//! What the picker costs: the same Envoy, the same engines, with and without it.
//!
//! Engines answer at once, so that everything that is measured is the way to them.
//! Prompts share nine tenths, a system message, with one seventh of the others; the
//! last tenth is new each time, as a conversation's next turn is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use loadtest_gateway::{
    EchoEngine, Load, MakeBody, Manifests, Metrics, Mode, Outcome, Pool, Programs, Report, machine,
    processor_seconds,
};
use serde_json::json;

use crate::world::{CHAT, HOST, MODEL, World, echoes, text};

/// How it is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tokens of a prompt, of the test model.
    #[arg(long, num_args = 1.., default_values_t = [1_000, 8_000, 32_000])]
    prompt_tokens: Vec<usize>,
    /// Connections, each with a request under way all the time.
    #[arg(long, num_args = 1.., default_values_t = [1, 16, 64])]
    connections: Vec<usize>,
    /// How long each figure is measured.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Envoy's worker threads.
    #[arg(long, default_value_t = 1)]
    envoy_threads: u32,
    /// How endpoints are picked.
    #[arg(long, num_args = 1.., default_values = ["load", "tracking"])]
    modes: Vec<Picking>,
    /// The picker sees of the response: everything, its headers, or nothing.
    #[arg(long, default_value = "everything")]
    response: Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Picking {
    Load,
    Tracking,
    Estimation,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shown {
    Everything,
    Headers,
    Nothing,
}

impl Picking {
    fn mode(self) -> Mode {
        match self {
            Self::Load => Mode::Load,
            Self::Tracking => Mode::Tracking,
            Self::Estimation => Mode::Estimation,
        }
    }

    /// As the picker's log has it.
    fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Tracking => "tracking",
            Self::Estimation => "estimated",
        }
    }
}

impl Shown {
    fn host(self) -> &'static str {
        match self {
            Self::Everything => HOST,
            Self::Headers => "headers.test",
            Self::Nothing => "requests.test",
        }
    }
}

/// Prompts that share most of their text with others.
const GROUPS: usize = 7;

const COLUMNS: &[&str] = &[
    "picked by",
    "tokens",
    "connections",
    "plain req/s",
    "picker req/s",
    "ratio",
    "plain p50 ms",
    "plain p99 ms",
    "picker p50 ms",
    "picker p99 ms",
    "added p50 ms",
    "added p99 ms",
    "fallbacks",
];

const PARTS: &[&str] = &[
    "picked by",
    "tokens",
    "connections",
    "decision ms",
    "of it scorer ms",
    "CPU ms/req plain: envoy",
    "suite",
    "CPU ms/req picker: envoy",
    "picker",
    "index",
    "suite",
];

pub(crate) async fn run(args: &Args, programs: &Programs) -> Result<Vec<Report>> {
    let world = World::start(programs, echoes(4).await?, Pool::OriginalDst, |setup| {
        setup.concurrency = args.envoy_threads;
    });
    let world = world.await?;
    let on = format!(
        "{}, Envoy with {} threads, {} s each",
        machine(),
        args.envoy_threads,
        args.seconds
    );
    let mut table = Report::new(format!("Cost of the picker ({on})"), COLUMNS);
    let mut parts = Report::new("Where the time goes, means", PARTS);
    for picking in &args.modes {
        choose(&world, *picking).await?;
        for tokens in &args.prompt_tokens {
            let prompts = prompts(*tokens);
            for connections in &args.connections {
                let bench = Bench {
                    world: &world,
                    args,
                    prompts: &prompts,
                    connections: *connections,
                };
                let plain = bench.measure(world.gateway.envoy.plain()).await?;
                let picked = bench.measure(world.gateway.envoy.inference()).await?;
                let what = [
                    picking.name().to_owned(),
                    tokens.to_string(),
                    connections.to_string(),
                ];
                table.check(
                    plain.outcome.failed() + picked.outcome.failed() == 0,
                    || {
                        format!(
                            "{what:?}: {:?}, {:?}",
                            plain.outcome.statuses, picked.outcome.statuses
                        )
                    },
                );
                table.row(what.clone().into_iter().chain(figures(&plain, &picked)));
                parts.row(what.into_iter().chain(shares(&plain, &picked)));
            }
        }
    }
    Ok(vec![table, parts])
}

/// The picker reads new manifests and decides by them.
async fn choose(world: &World, picking: Picking) -> Result<()> {
    let addresses: Vec<_> = world.engines.iter().map(EchoEngine::address).collect();
    let manifests = Manifests::new(&addresses, picking.mode());
    world.gateway.rewrite_manifests(&manifests.yaml())?;
    world.decides_by(picking.name()).await
}

/// Bodies of about so many tokens.
fn prompts(tokens: usize) -> MakeBody {
    let shared: Vec<String> = (0..GROUPS)
        .map(|group| text(tokens * 9 / 10, group as u64))
        .collect();
    Arc::new(move |connection, number| {
        let seed = (connection as u64) << 32 | number;
        let shared = &shared[(connection + number as usize) % GROUPS];
        let last = text(tokens / 10, seed + 1_000_000);
        let body = json!({
            "model": MODEL, "max_tokens": 1, "messages": [
                {"role": "system", "content": shared},
                {"role": "user", "content": format!("{seed} {last}")},
            ],
        });
        Bytes::from(body.to_string())
    })
}

struct Bench<'a> {
    world: &'a World,
    args: &'a Args,
    prompts: &'a MakeBody,
    connections: usize,
}

/// One measured way.
struct Measured {
    outcome: Outcome,
    /// Processor seconds: Envoy, picker, index, this process.
    processors: [f64; 4],
    /// What the picker counted meanwhile.
    metrics: [Metrics; 2],
}

impl Bench<'_> {
    async fn measure(&self, address: SocketAddr) -> Result<Measured> {
        let mut load = Load {
            address,
            host: self.args.response.host().to_owned(),
            path: CHAT.to_owned(),
            connections: self.connections,
            time: Duration::from_millis(1_000),
            body: Arc::clone(self.prompts),
        };
        // Connections and caches warm up.
        load.run().await?;
        load.time = Duration::from_secs(self.args.seconds);
        let before = (
            self.processors()?,
            self.world.gateway.picker.metrics().await?,
        );
        let outcome = load.run().await?;
        let after = (
            self.processors()?,
            self.world.gateway.picker.metrics().await?,
        );
        ensure!(outcome.requests() > 0, "nothing was answered");
        Ok(Measured {
            outcome,
            processors: std::array::from_fn(|at| after.0[at] - before.0[at]),
            metrics: [before.1, after.1],
        })
    }

    fn processors(&self) -> Result<[f64; 4]> {
        let World { gateway, index, .. } = self.world;
        let processes = [
            gateway.envoy.process().id(),
            gateway.picker.process().id(),
            index.process().id(),
            std::process::id(),
        ];
        let mut seconds = [0.0; 4];
        for (seconds, process) in seconds.iter_mut().zip(processes) {
            *seconds = processor_seconds(process)?;
        }
        Ok(seconds)
    }
}

impl Measured {
    fn grown(&self, name: &str) -> f64 {
        let [before, after] = &self.metrics;
        after.sum(name, &[]) - before.sum(name, &[])
    }

    /// The mean of a histogram of seconds, in milliseconds.
    fn mean_ms(&self, histogram: &str) -> String {
        let count = self.grown(&format!("{histogram}_count"));
        let sum = self.grown(&format!("{histogram}_sum"));
        if count == 0.0 {
            "-".to_owned()
        } else {
            format!("{:.2}", sum / count * 1e3)
        }
    }

    fn cpu_ms(&self, at: usize) -> String {
        format!(
            "{:.2}",
            self.processors[at] / self.outcome.requests() as f64 * 1e3
        )
    }
}

fn figures(plain: &Measured, picked: &Measured) -> [String; 10] {
    let (without, with) = (&plain.outcome, &picked.outcome);
    let ms = |value: f64| format!("{value:.2}");
    let added = |share| ms(with.quantile(share) - without.quantile(share));
    [
        format!("{:.0}", without.rate()),
        format!("{:.0}", with.rate()),
        ms(with.rate() / without.rate()),
        ms(without.quantile(0.5)),
        ms(without.quantile(0.99)),
        ms(with.quantile(0.5)),
        ms(with.quantile(0.99)),
        added(0.5),
        added(0.99),
        format!("{:.0}", picked.grown("kvatlas_epp_fallbacks_total")),
    ]
}

fn shares(plain: &Measured, picked: &Measured) -> [String; 8] {
    [
        picked.mean_ms("kvatlas_epp_decision_seconds"),
        picked.mean_ms("kvatlas_epp_scorer_seconds"),
        plain.cpu_ms(0),
        plain.cpu_ms(3),
        picked.cpu_ms(0),
        picked.cpu_ms(1),
        picked.cpu_ms(2),
        picked.cpu_ms(3),
    ]
}
