//! As many requests as are answered, and what each costs the server.
//!
//! The clients take their share of the same cores, so requests per second say
//! little; what they send was made beforehand. Requests per second of the
//! *server's* processor time do: what one core answers that has nothing else to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::asked::Asked;
use crate::grpc::{self, Caller};
use crate::http::{self, Connection};
use crate::usage::processor_seconds;
use crate::verify::{dynamo_body, mooncake_body};
use crate::world::World;

/// What one server does with one kind of request.
#[derive(Debug, Serialize)]
pub(crate) struct Rate {
    pub(crate) server: &'static str,
    pub(crate) wire: &'static str,
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
    /// Requests per second of the server's processor time.
    pub(crate) per_core: f64,
    /// The server's processor time for one request.
    pub(crate) server_us: f64,
    /// `per_core` over that of Dynamo's `/query`.
    pub(crate) of_dynamo: Option<f64>,
}

/// One kind of request to one server.
struct Target {
    server: &'static str,
    wire: &'static str,
    process: u32,
    port: u16,
    requests: Requests,
    answered: u64,
    wall: f64,
    processor: f64,
}

#[derive(Clone)]
enum Requests {
    Grpc(Arc<Vec<Bytes>>),
    Http(Arc<Vec<Vec<u8>>>),
}

pub(crate) async fn measure(args: &Args, world: &World) -> Result<Vec<Rate>> {
    let mut targets = targets(world);
    let time = Duration::from_secs_f64(args.seconds);
    let steps = args.turns * targets.len();
    let progress = ProgressBar::new(steps as u64).with_message("rate");
    for _ in 0..args.turns {
        for target in &mut targets {
            target.turn(args.callers, time).await?;
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let dynamo = targets.iter().find(|target| target.server == "dynamo");
    let dynamo = dynamo.map(Target::per_core);
    Ok(targets.iter().map(|target| target.rate(dynamo)).collect())
}

fn targets(world: &World) -> Vec<Target> {
    let bodies = |body: fn(&Asked) -> Value| {
        let requests = world
            .asked
            .iter()
            .map(|asked| http::request("POST", "/query", &body(asked).to_string()));
        Requests::Http(Arc::new(requests.collect()))
    };
    let target = |server, wire, process, port, requests| Target {
        server,
        wire,
        process,
        port,
        requests,
        answered: 0,
        wall: 0.0,
        processor: 0.0,
    };
    let (ours, echo) = (&world.kvatlas, &world.echo);
    let scores = grpc::requests(&world.asked);
    let scores = Requests::Grpc(grpc::encoded(&scores));
    let dense = grpc::dense_requests(&world.asked);
    let dense = Requests::Grpc(grpc::encoded(&dense));
    let mut targets = vec![
        target(
            "kvatlas",
            "HTTP, Dynamo's form",
            ours.id(),
            ours.http,
            bodies(dynamo_body),
        ),
        target(
            "kvatlas",
            "HTTP, Mooncake's form",
            ours.id(),
            ours.http,
            bodies(mooncake_body),
        ),
        target(
            "kvatlas",
            "gRPC Score",
            ours.id(),
            ours.grpc,
            scores.clone(),
        ),
        target("echo", "gRPC Score", echo.id(), echo.port, scores),
        target(
            "kvatlas",
            "gRPC Score, dense",
            ours.id(),
            ours.grpc,
            dense.clone(),
        ),
        target("echo", "gRPC Score, dense", echo.id(), echo.port, dense),
    ];
    if let Some(dynamo) = &world.dynamo {
        let body = bodies(dynamo_body);
        targets.push(target(
            "dynamo",
            "HTTP /query",
            dynamo.id(),
            dynamo.port,
            body,
        ));
    }
    targets
}

impl Target {
    async fn turn(&mut self, callers: usize, time: Duration) -> Result<()> {
        let before = processor_seconds(self.process)?;
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let (port, requests) = (self.port, self.requests.clone());
            tasks.spawn(requests.ask_until(port, caller, started + time));
        }
        while let Some(done) = tasks.join_next().await {
            self.answered += done??;
        }
        self.wall += started.elapsed().as_secs_f64();
        self.processor += processor_seconds(self.process)? - before;
        Ok(())
    }

    fn per_core(&self) -> f64 {
        self.answered as f64 / self.processor
    }

    fn rate(&self, dynamo: Option<f64>) -> Rate {
        Rate {
            server: self.server,
            wire: self.wire,
            requests: self.answered,
            per_second: self.answered as f64 / self.wall,
            per_core: self.per_core(),
            server_us: 1e6 / self.per_core(),
            of_dynamo: dynamo.map(|dynamo| self.per_core() / dynamo),
        }
    }
}

impl Requests {
    /// Asks one after another until then. Returns how many were answered.
    async fn ask_until(self, port: u16, first: usize, until: Instant) -> Result<u64> {
        let mut answered = 0;
        let mut next = first;
        match self {
            Self::Grpc(requests) => {
                let mut caller = Caller::connect(port).await?;
                while Instant::now() < until {
                    let request = requests[next % requests.len()].clone();
                    caller.score_encoded(request).await?;
                    (answered, next) = (answered + 1, next + 1);
                }
            }
            Self::Http(requests) => {
                let mut connection = Connection::open(port).await?;
                while Instant::now() < until {
                    let (status, _) = connection.ask(&requests[next % requests.len()]).await?;
                    anyhow::ensure!(status == 200, "status {status}");
                    (answered, next) = (answered + 1, next + 1);
                }
            }
        }
        Ok(answered)
    }
}
