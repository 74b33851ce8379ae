//! One fault after the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use http::HeaderValue;
use loadtest_gateway::{
    EchoEngine, GatewaySetup, MakeRequest, Manifests, Mode, Pool, Programs, Proxy, Report, Steady,
    eventually, get, post,
};

use super::judge::Expected;
use crate::world::{CHAT, HOST, World, echoes, index, said, text};

const ENGINES: usize = 4;

/// Between two requests of one connection.
const PAUSE: Duration = Duration::from_millis(5);

/// What everything is judged by while a fault begins or ends.
const CHANGING: &[u16] = &[200, 503];

pub(crate) struct Phases {
    world: World,
    link: Proxy,
    steady: Steady,
    report: Report,
    hold: Duration,
    bound: Duration,
}

impl Phases {
    pub(crate) async fn start(
        programs: &Programs,
        connections: usize,
        hold: Duration,
        bound: Duration,
    ) -> Result<Self> {
        let engines = echoes(ENGINES).await?;
        // The scorer is reached through a link that can be made slow.
        let index = index(programs).await?;
        let link = Proxy::start(index.0.grpc()).await?;
        let address = link.address();
        let through = |setup: &mut GatewaySetup| setup.scorers = vec![address];
        let pool = Pool::OriginalDst;
        let world = World::before(index, programs, engines, pool, through).await?;
        world.decides_by("tracking").await?;
        let make = requests(&world.engines);
        let steady = Steady::start(world.gateway.envoy.inference(), connections, PAUSE, &make);
        Ok(Self {
            world,
            link,
            steady,
            report: Report::new(
                "Faults under steady load",
                &["state", "requests", "answers", "longest ms", "broken rules"],
            ),
            hold,
            bound,
        })
    }

    pub(crate) async fn all(&mut self) -> Result<()> {
        self.held("calm", &[200], &[0, 1, 2, 3]).await;
        self.scorer().await?;
        self.pool().await?;
        self.engines().await?;
        self.picker().await?;
        self.held("calm at the end", &[200], &[0, 1, 2, 3]).await;
        Ok(())
    }

    pub(crate) async fn end(mut self) -> Report {
        let observed = self.steady.end().await;
        let expected = expected("the last", &[200], &[0, 1, 2, 3], self.bound);
        expected.judge(&observed, Instant::now(), &mut self.report);
        self.report
    }

    /// The index is frozen, slow, killed, and empty.
    async fn scorer(&mut self) -> Result<()> {
        let all = [0, 1, 2, 3];
        self.world.index.freeze().await?;
        self.held("scorer frozen", &[200], &all).await;
        self.world.index.thaw().await?;
        self.world.decides_by("tracking").await?;
        self.held("scorer thawed", &[200], &all).await;

        for (name, delay) in [("scorer 50 ms away", 50), ("scorer 2 s away", 2_000)] {
            self.link.set_delay(Duration::from_millis(delay));
            self.held(name, &[200], &all).await;
        }
        self.link.set_delay(Duration::ZERO);
        self.world.decides_by("tracking").await?;
        self.held("scorer near again", &[200], &all).await;

        self.world.index.kill().await?;
        self.held("scorer killed", &[200], &all).await;
        self.world.index.start_again().await?;
        self.held("scorer empty", &[200], &all).await;
        self.world.decides_by("tracking").await
    }

    /// The manifests change: fewer engines, other engines, broken, none, and back.
    async fn pool(&mut self) -> Result<()> {
        for (name, engines) in [
            ("manifests: two engines", &[0_usize, 1][..]),
            ("manifests: two others", &[2, 3]),
            ("manifests: one engine", &[1]),
            ("manifests: all engines", &[0, 1, 2, 3]),
        ] {
            self.manifests(engines)?;
            self.settled(engines).await?;
            self.held(name, CHANGING, engines).await;
        }
        self.world.gateway.rewrite_manifests("kind: [broken")?;
        self.held("manifests: broken", &[200], &[0, 1, 2, 3]).await;

        self.manifests(&[])?;
        self.answers(503).await?;
        self.held("manifests: no engine", &[503], &[]).await;
        self.manifests(&[0, 1, 2, 3])?;
        self.settled(&[0, 1, 2, 3]).await?;
        self.world.decides_by("tracking").await?;
        self.held("manifests: all again", &[200], &[0, 1, 2, 3])
            .await;

        let nobody = hinted("10.9.8.7:1");
        let answer = self.world.gateway.ask(nobody).await?;
        let status = answer.status;
        self.report.check(status == 503, || {
            format!("a subset with nobody ready: {status}")
        });
        Ok(())
    }

    /// Every engine's process is gone, while the manifests still name them.
    async fn engines(&mut self) -> Result<()> {
        let addresses: Vec<_> = self.world.engines.iter().map(EchoEngine::address).collect();
        self.world.engines.clear();
        self.answers(503).await?;
        self.held("engines dead", &[503], &[]).await;
        for (index, address) in addresses.into_iter().enumerate() {
            let name = format!("engine-{index}");
            let engine = EchoEngine::forgetful(&name, address).await?;
            self.world.engines.push(engine);
        }
        self.answers(200).await?;
        self.held("engines back", CHANGING, &[0, 1, 2, 3]).await;
        self.world.decides_by("tracking").await
    }

    /// The picker is killed and started again: fail-closed in between.
    async fn picker(&mut self) -> Result<()> {
        self.world.gateway.picker.process_mut().kill().await?;
        self.held("picker killed", &[500, 503], &[]).await;
        self.world.gateway.picker.restart().await?;
        self.answers(200).await?;
        self.world.decides_by("tracking").await?;
        self.held("picker back", &[200], &[0, 1, 2, 3]).await;
        Ok(())
    }

    /// Holds a state, then judges what was sent since it has been held.
    async fn held(&mut self, name: &'static str, statuses: &'static [u16], engines: &[usize]) {
        let before = self.steady.take();
        let expected = expected(name, statuses, engines, self.bound);
        let since = Instant::now();
        tokio::time::sleep(self.hold).await;
        let mut observed = self.steady.take();
        // What was under way when the state began is held against the bound.
        observed.extend(before.into_iter().filter(|seen| seen.took > self.bound));
        expected.judge(&observed, since, &mut self.report);
        said_so(name);
    }

    fn manifests(&self, engines: &[usize]) -> Result<()> {
        let addresses = engines
            .iter()
            .map(|index| self.world.engines[*index].address());
        let manifests = Manifests::new(&addresses.collect::<Vec<_>>(), Mode::Tracking);
        self.world.gateway.rewrite_manifests(&manifests.yaml())
    }

    /// Returns when only these serve, for a second on end.
    async fn settled(&self, engines: &[usize]) -> Result<()> {
        let names = names(engines);
        let mut quiet = Instant::now();
        eventually("the manifests' effect", async || {
            let strangers = self
                .steady
                .take()
                .into_iter()
                .any(|seen| !seen.engine.is_empty() && !names.contains(&seen.engine));
            if strangers {
                quiet = Instant::now();
            }
            Ok((quiet.elapsed() > Duration::from_secs(2)).then_some(()))
        })
        .await
    }

    /// Returns when requests are answered with this status.
    async fn answers(&self, status: u16) -> Result<()> {
        eventually(&format!("answers with {status}"), async || {
            let answer = self.world.gateway.ask(get(HOST, "/v1/models")).await?;
            Ok((answer.status == status).then_some(()))
        })
        .await
    }
}

fn expected(
    name: &'static str,
    statuses: &'static [u16],
    engines: &[usize],
    bound: Duration,
) -> Expected {
    Expected {
        name,
        statuses,
        engines: names(engines),
        bound,
    }
}

fn names(engines: &[usize]) -> BTreeSet<String> {
    engines
        .iter()
        .map(|index| format!("engine-{index}"))
        .collect()
}

/// Conversations of some users; every third request may go to one engine only.
fn requests(engines: &[EchoEngine]) -> MakeRequest {
    let engines: Vec<_> = engines
        .iter()
        .map(|engine| (engine.address().to_string(), engine.name().to_owned()))
        .collect();
    let prompts: Vec<String> = (0..8).map(|user| text(400, user)).collect();
    Arc::new(move |number| {
        let prompt = &prompts[number % prompts.len()];
        let request = post(HOST, CHAT, &said(prompt));
        if number % 3 != 0 {
            return (request, None);
        }
        let (address, name) = &engines[number / 3 % engines.len()];
        (with_hint(request, address), Some(name.clone()))
    })
}

fn hinted(subset: &str) -> http::Request<loadtest_gateway::Body> {
    with_hint(post(HOST, CHAT, &said("hello")), subset)
}

fn with_hint(
    mut request: http::Request<loadtest_gateway::Body>,
    subset: &str,
) -> http::Request<loadtest_gateway::Body> {
    if let Ok(value) = HeaderValue::from_str(subset) {
        request.headers_mut().insert("x-test-subset", value);
    }
    request
}

#[expect(clippy::print_stderr, reason = "says how far it is")]
fn said_so(name: &str) {
    eprintln!("{name}: done");
}
