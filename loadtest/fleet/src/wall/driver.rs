//! The stages by the wall clock.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use loadtest_engine_sim::EngineSim;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;

use crate::figures::Gathered;
use crate::options::FleetOptions;
use crate::request::Request;
use crate::workload::{Stage, arrivals};

use super::Told;
use super::outcome::Outcome;
use super::predictions;
use super::send::{Answered, Sender};
use super::text::text;
use super::world::{World, mode};

/// Sends what the virtual fleet sends, when it sends it.
pub(super) struct Driver<'a> {
    fleet: &'a FleetOptions,
    world: &'a World,
    told: Told<'a>,
    began: Instant,
    arrivals: SmallRng,
    order: Vec<u32>,
    outcome: Outcome,
}

impl<'a> Driver<'a> {
    pub(super) fn new(fleet: &'a FleetOptions, world: &'a World, told: Told<'a>) -> Self {
        Self {
            fleet,
            world,
            told,
            began: Instant::now(),
            // As `Fleet::new` makes them.
            arrivals: SmallRng::seed_from_u64(fleet.seed ^ 2),
            order: fleet.workload.order(fleet.seed ^ 4),
            outcome: Outcome::default(),
        }
    }

    /// Warm-up, then every stage.
    pub(super) async fn run(mut self) -> Result<Outcome> {
        let workload = &self.fleet.workload;
        self.stage("warm-up", workload.warm_up).await?;
        for (number, stage) in workload.stages.iter().enumerate() {
            self.stage(&format!("stage-{}", number + 1), *stage).await?;
        }
        // The warm-up is not measured.
        self.outcome.stages.remove(0);
        Ok(self.outcome)
    }

    async fn stage(&mut self, name: &str, stage: Stage) -> Result<()> {
        let begin = Instant::now() + self.fleet.workload.pause;
        let moments = arrivals(stage, &mut self.arrivals);
        let users = self.order.iter().copied().cycle();
        let planned: Vec<_> = users
            .zip(moments.iter().map(|moment| begin + *moment))
            .collect();
        let ids: Vec<_> = (0..planned.len())
            .map(|number| format!("{name}-{number}"))
            .collect();
        let mut gathered = Gathered::default();
        let answers = self.answers(&planned, &ids, &mut gathered).await?;
        let mut requests = self.requests(&planned, &answers)?;
        self.predicted(&ids, &mut requests).await?;
        self.count(&requests);
        let (prompt, engines) = (self.fleet.workload.prompt_tokens(), self.fleet.engines);
        let figures = gathered.figures(stage.rate, prompt, engines, &requests);
        (self.told)(&format!(
            "{}: {name}, {} requests at {}/s in {:.1} s, hits {:.1} %, TTFT {:.3} s",
            self.world.strategy.name(),
            figures.requests,
            figures.rate,
            figures.seconds,
            figures.hit_rate * 100.0,
            figures.ttft.mean,
        ));
        self.outcome.stages.push(figures);
        Ok(())
    }

    /// Every request at its moment; the answers in the requests' order. Engines are
    /// looked at meanwhile, as often as pickers do.
    async fn answers(
        &self,
        planned: &[(u32, Instant)],
        ids: &[String],
        gathered: &mut Gathered,
    ) -> Result<Vec<Answered>> {
        let (sender, workload) = (Sender::new(self.world.address()), &self.fleet.workload);
        let mut asking = JoinSet::new();
        for (number, ((user, moment), id)) in planned.iter().zip(ids).enumerate() {
            let (user, moment, id) = (*user, *moment, id.clone());
            let (workload, tokens) = (workload.clone(), workload.reply_tokens);
            asking.spawn(async move {
                tokio::time::sleep_until(moment.into()).await;
                let prompt = text(&workload.prompt(user));
                let answered = sender.ask(&id, prompt, tokens).await;
                (number, answered.with_context(|| format!("request {id}")))
            });
        }
        let mut looks = tokio::time::interval(self.fleet.scrape);
        let mut answers = vec![None; planned.len()];
        loop {
            tokio::select! {
                joined = asking.join_next() => {
                    let Some(joined) = joined else { break };
                    let (number, answered) = joined?;
                    answers[number] = Some(answered?);
                }
                _ = looks.tick() => look(&self.world.engines, gathered),
            }
        }
        let all: Option<Vec<_>> = answers.into_iter().collect();
        all.context("a request was never answered")
    }

    /// As the virtual fleet notes them.
    fn requests(
        &mut self,
        planned: &[(u32, Instant)],
        answers: &[Answered],
    ) -> Result<Vec<Request>> {
        let (began, prompt) = (self.began, self.fleet.workload.prompt_tokens());
        let since = |moment: Instant| moment.saturating_duration_since(began);
        let mut requests = Vec::with_capacity(answers.len());
        for ((user, moment), answer) in planned.iter().zip(answers) {
            ensure!(
                answer.prompt == prompt,
                "a prompt of {prompt} words is {} tokens for the engine",
                answer.prompt
            );
            let late = answer.sent.saturating_duration_since(*moment);
            self.outcome.latest = self.outcome.latest.max(late.as_secs_f64());
            requests.push(Request {
                user: *user,
                sent: since(answer.sent),
                engine: answer.engine,
                cached: answer.cached,
                first: Some(since(answer.first)),
                last: since(answer.last),
                generated: answer.generated,
                ..Request::default()
            });
        }
        Ok(requests)
    }

    /// Adds what the picker expected; nothing, where it was not asked.
    async fn predicted(&mut self, ids: &[String], requests: &mut [Request]) -> Result<()> {
        let Some(mode) = mode(self.world.strategy) else {
            return Ok(());
        };
        let decided = predictions::of(self.world.picker.log(), ids).await?;
        for (request, decided) in requests.iter_mut().zip(decided) {
            request.predicted = decided.predicted;
            self.outcome.fallbacks += usize::from(decided.mode != mode);
            *self.outcome.reasons.entry(decided.reason).or_default() += 1;
        }
        Ok(())
    }

    fn count(&mut self, requests: &[Request]) {
        let totals = &mut self.outcome.totals;
        for request in requests {
            totals.requests += 1;
            totals.finished += 1;
            totals.mispredicted += u64::from(request.predicted != request.cached);
        }
    }
}

fn look(engines: &[EngineSim], gathered: &mut Gathered) {
    for engine in engines {
        let stats = engine.stats();
        let waiting = u32::try_from(stats.waiting).unwrap_or(u32::MAX);
        gathered.load(waiting, stats.kv_usage);
    }
}
