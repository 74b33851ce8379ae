//! Engines, router and clients, in the order of time.

use std::time::Duration;

use loadtest_engine_sim::engine::{
    Engine, Extras, Generated, StepOutcome, Submission, SubmitError,
};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use router_picker::Load;

use crate::decisions::Costs;
use crate::figures::{Gathered, StageFigures, Totals};
use crate::options::{FleetOptions, OptionError};
use crate::path::Path;
use crate::queue::{Happening, Queue};
use crate::request::Request;
use crate::router::Router;
use crate::strategy::Strategy;
use crate::workload::{Stage, arrivals};

/// After a request, before the next one, where they come one by one.
const BETWEEN: Duration = Duration::from_secs(1);

/// Told after every stage: stages done, of how many, moments of virtual time.
pub type Progress<'a> = &'a (dyn Fn(usize, usize, Duration) + Sync);

/// Why a run ends early.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Nothing can be made of the options.
    #[error("the study's options are wrong")]
    Options(#[from] OptionError),
    /// An engine does not take a request.
    #[error("a simulated engine refuses a request")]
    Submit(#[from] SubmitError),
}

impl FleetError {
    /// The same options always end the same.
    #[must_use]
    pub fn retryable(&self) -> bool {
        false
    }
}

/// What a run gives.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetOutcome {
    /// Each measured stage.
    pub stages: Vec<StageFigures>,
    /// Counts, with the warm-up.
    pub totals: Totals,
    /// If they were measured.
    pub costs: Option<Costs>,
}

/// One run of one strategy.
pub struct Fleet<'a> {
    options: &'a FleetOptions,
    scrape: Duration,
    now: Duration,
    queue: Queue,
    engines: Vec<Engine>,
    /// The step that each engine is in, and when it began.
    steps: Vec<Option<(Duration, StepOutcome)>>,
    /// What each engine's metrics say: as of its last finished step.
    loads: Vec<Load>,
    router: Router,
    path: Option<Path>,
    arrivals: SmallRng,
    ways: SmallRng,
    askers: SmallRng,
    order: Vec<u32>,
    /// Of the running stage.
    requests: Vec<Request>,
    /// The number of the stage's first request.
    base: u64,
    open: usize,
    in_flight: usize,
    gathered: Gathered,
    totals: Totals,
}

impl<'a> Fleet<'a> {
    /// A fleet with empty caches.
    ///
    /// # Errors
    /// If the options contradict each other.
    pub fn new(options: &'a FleetOptions, strategy: Strategy) -> Result<Self, FleetError> {
        options.validate()?;
        let config = options.engine();
        let made = (0..options.engines).map(|_| Engine::new(&config));
        let engines: Vec<_> = made.collect::<Result<_, _>>().map_err(OptionError::from)?;
        let count = engines.len();
        let router = Router::new(strategy, options);
        let mut queue = Queue::default();
        queue.at(Duration::ZERO, Happening::Scrape);
        Ok(Self {
            scrape: strategy.scrape(options.scrape),
            now: Duration::ZERO,
            queue,
            engines,
            steps: vec![None; count],
            loads: vec![Load::default(); count],
            router,
            path: Path::new(options.calibration.path),
            arrivals: SmallRng::seed_from_u64(options.seed ^ 2),
            ways: SmallRng::seed_from_u64(options.seed ^ 3),
            askers: SmallRng::seed_from_u64(options.seed ^ 5),
            order: options.workload.order(options.seed ^ 4),
            requests: Vec::new(),
            base: 0,
            open: 0,
            in_flight: 0,
            gathered: Gathered::default(),
            totals: Totals::default(),
            options,
        })
    }

    /// Warm-up, then every stage; gives the measured stages.
    ///
    /// # Errors
    /// If an engine does not take a request.
    pub fn run(mut self, progress: Progress<'_>) -> Result<FleetOutcome, FleetError> {
        let workload = &self.options.workload;
        let all = workload.stages.len() + 1;
        self.stage(workload.warm_up)?;
        progress(1, all, self.now);
        let mut stages = Vec::new();
        for (done, stage) in workload.stages.iter().enumerate() {
            stages.push(self.stage(*stage)?);
            progress(done + 2, all, self.now);
        }
        for engine in &self.engines {
            let totals = engine.totals();
            self.totals.engine_output_tokens += totals.generated_tokens;
            self.totals.preemptions += totals.preemptions;
        }
        Ok(FleetOutcome {
            stages,
            totals: self.totals,
            costs: self.router.costs(),
        })
    }

    /// Sends a stage's requests and lets all of them end.
    fn stage(&mut self, stage: Stage) -> Result<StageFigures, FleetError> {
        self.begin(stage);
        while self.open > 0 {
            let (now, happening) = self
                .queue
                .next()
                .expect("open requests have something ahead");
            self.now = now;
            self.happens(happening)?;
        }
        let workload = &self.options.workload;
        let gathered = std::mem::take(&mut self.gathered);
        let (prompt, engines) = (workload.prompt_tokens(), self.engines.len());
        let figures = gathered.figures(stage.rate, prompt, engines, &self.requests);
        self.count();
        Ok(figures)
    }

    fn begin(&mut self, stage: Stage) {
        let workload = &self.options.workload;
        let begin = self.now + workload.pause;
        let moments = arrivals(stage, &mut self.arrivals);
        let users = self.order.iter().copied().cycle();
        self.base += self.requests.len() as u64;
        self.requests = users
            .zip(&moments)
            .map(|(user, moment)| Request {
                user: workload.asks(user, &mut self.askers),
                sent: begin + *moment,
                ..Request::default()
            })
            .collect();
        self.open = self.requests.len();
        let sent = if self.options.workload.one_by_one {
            1
        } else {
            self.open
        };
        (0..sent).for_each(|request| self.send(request));
    }

    fn send(&mut self, request: usize) {
        let way = self.path.map(|path| path.draw(&mut self.ways));
        let at = self.requests[request].sent + way.unwrap_or_default();
        self.queue.at(at, Happening::Arrives { request });
    }

    fn happens(&mut self, happening: Happening) -> Result<(), FleetError> {
        match happening {
            Happening::Arrives { request } => self.arrives(request),
            Happening::Admitted { request } => self.admitted(request)?,
            Happening::StepEnds { engine } => self.step_ends(engine),
            Happening::Told { engine, events } => {
                self.router.map().told(engine, self.now, &events);
            }
            Happening::Scrape => self.scraped(),
        }
        Ok(())
    }

    /// The gateway's limit is behind the router: it decides, then is turned away.
    fn arrives(&mut self, number: usize) {
        let prompt = self.prompt(number);
        let customer = self.requests[number].user / self.options.workload.users;
        let chosen = self.router.route(self.now, customer, &prompt);
        let limit = self.options.in_flight_limit;
        if limit.is_some_and(|limit| self.in_flight >= limit) {
            self.router
                .book(chosen.picker, chosen.engine)
                .first_token(chosen.booked);
            self.requests[number].refused = true;
            self.ended(number, chosen.picker, chosen.engine);
            return;
        }
        self.in_flight += 1;
        let request = &mut self.requests[number];
        request.moments.arrived = self.now;
        (request.picker, request.engine) = (chosen.picker, chosen.engine);
        request.predicted = chosen.predicted;
        request.booked = chosen.booked;
        let admission = self.options.calibration.admission(prompt.len() as u32);
        let admitted = Happening::Admitted { request: number };
        self.queue.at(self.now + admission, admitted);
    }

    fn prompt(&self, number: usize) -> Vec<u32> {
        let user = self.requests[number].user;
        self.options.workload.asked(user, self.base + number as u64)
    }

    fn admitted(&mut self, number: usize) -> Result<(), FleetError> {
        let workload = &self.options.workload;
        let engine = self.requests[number].engine;
        let id = self.base + number as u64;
        let submission = Submission {
            id,
            prompt: self.prompt(number),
            reply: workload.reply(id),
            extras: Extras::default(),
        };
        self.engines[engine].submit(self.now, submission)?;
        let free = match &self.steps[engine] {
            Some((begun, outcome)) => *begun + outcome.duration,
            None => self.now,
        };
        let moments = &mut self.requests[number].moments;
        (moments.admitted, moments.free) = (self.now, free);
        self.step(engine);
        Ok(())
    }

    fn step(&mut self, engine: usize) {
        if self.steps[engine].is_some() {
            return;
        }
        let Some(mut outcome) = self.engines[engine].step(self.now) else {
            self.loads[engine] = load(&self.engines[engine].load());
            return;
        };
        self.totals.steps += 1;
        // vLLM 0.10 publishes a step's events when the step is scheduled.
        let events = std::mem::take(&mut outcome.events);
        if self.router.listens() && !events.is_empty() {
            let at = self.now + self.options.event_delay;
            self.queue.at(at, Happening::Told { engine, events });
        }
        let end = self.now + outcome.duration;
        self.queue.at(end, Happening::StepEnds { engine });
        self.steps[engine] = Some((self.now, outcome));
    }

    fn step_ends(&mut self, engine: usize) {
        let (begun, outcome) = self.steps[engine].take().expect("it was in a step");
        self.loads[engine] = load(&outcome.load);
        for token in outcome.tokens {
            self.token(engine, begun, token);
        }
        self.step(engine);
    }

    fn token(&mut self, engine: usize, begun: Duration, token: Generated) {
        let number = usize::try_from(token.id - self.base).expect("a request of this stage");
        let request = &mut self.requests[number];
        if let Some(first) = token.first {
            request.first = Some(self.now);
            request.cached = u32::try_from(first.cached_tokens).unwrap_or(u32::MAX);
            request.moments.begun = begun;
            let prompt = self.options.workload.prompt_tokens();
            request.moments.own = self.options.calibration.computed(prompt, request.cached);
            self.router
                .book(request.picker, engine)
                .first_token(request.booked);
        } else {
            self.gathered.gap(self.now - request.last);
        }
        request.last = self.now;
        request.generated += 1;
        if token.last {
            self.in_flight -= 1;
            let picker = request.picker;
            self.ended(number, picker, engine);
        }
    }

    fn ended(&mut self, number: usize, picker: usize, engine: usize) {
        self.router.book(picker, engine).finished();
        self.open -= 1;
        let next = number + 1;
        if self.options.workload.one_by_one && next < self.requests.len() {
            self.requests[next].sent = self.now + BETWEEN;
            self.send(next);
        }
    }

    fn scraped(&mut self) {
        self.router.scraped(self.now, self.loads.clone());
        for load in &self.loads {
            self.gathered.load(load.waiting, load.kv_usage);
        }
        self.queue.at(self.now + self.scrape, Happening::Scrape);
    }

    fn count(&mut self) {
        let totals = &mut self.totals;
        for request in &self.requests {
            totals.requests += 1;
            if request.refused {
                totals.refused += 1;
                continue;
            }
            totals.finished += 1;
            totals.prompt_tokens += u64::from(self.options.workload.prompt_tokens());
            totals.cached_tokens += u64::from(request.cached);
            totals.output_tokens += u64::from(request.generated);
            totals.mispredicted += u64::from(request.predicted != request.cached);
        }
    }
}

fn load(of: &loadtest_engine_sim::engine::Load) -> Load {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Load {
        waiting: count(of.waiting),
        running: count(of.running),
        kv_usage: of.kv_usage,
    }
}
