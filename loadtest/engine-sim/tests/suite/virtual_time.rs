//! The engine under a virtual clock: hours in moments, the same every time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use loadtest_engine_sim::engine::{Engine, EngineConfig, Extras, First, StepOutcome, Submission};

/// What happens next.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Request(u64),
    StepEnds { engine: usize },
    Arrival { engine: usize },
}

struct Simulation {
    now: Duration,
    queue: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    scheduled: u64,
    engines: Vec<Engine>,
    /// The step that each engine is in.
    steps: Vec<Option<StepOutcome>>,
    firsts: Vec<First>,
    finished: usize,
    blocks_told: usize,
}

impl Simulation {
    fn new(engines: usize) -> Self {
        let config = EngineConfig::default();
        Self {
            now: Duration::ZERO,
            queue: BinaryHeap::new(),
            scheduled: 0,
            engines: (0..engines)
                .map(|_| Engine::new(&config).unwrap())
                .collect(),
            steps: vec![None; engines],
            firsts: Vec::new(),
            finished: 0,
            blocks_told: 0,
        }
    }

    fn at(&mut self, time: Duration, happening: Happening) {
        self.scheduled += 1;
        self.queue.push(Reverse((time, self.scheduled, happening)));
    }

    fn run(&mut self) {
        while let Some(Reverse((time, _, happening))) = self.queue.pop() {
            self.now = time;
            match happening {
                Happening::Request(number) => self.request(number),
                Happening::StepEnds { engine } => self.step_ends(engine),
                Happening::Arrival { engine } => self.step(engine),
            }
        }
    }

    /// 40 customers with 6,000 tokens each, of which each engine serves half.
    fn request(&mut self, number: u64) {
        let customer = u32::try_from(number * 7 % 40).unwrap();
        let engine = customer as usize % self.engines.len();
        let question = 1_000_000 + u32::try_from(number).unwrap() * 1_200;
        let context = (0..6_000).map(|token| customer * 10_000 + token);
        let submission = Submission {
            id: number,
            prompt: context.chain(question..question + 1_200).collect(),
            reply: vec![1; 100],
            extras: Extras::default(),
        };
        self.engines[engine].submit(self.now, submission).unwrap();
        self.step(engine);
    }

    fn step(&mut self, engine: usize) {
        if self.steps[engine].is_some() {
            return;
        }
        match self.engines[engine].step(self.now) {
            Some(outcome) => {
                self.at(self.now + outcome.duration, Happening::StepEnds { engine });
                self.steps[engine] = Some(outcome);
            }
            None => {
                if let Some(arrival) = self.engines[engine].next_arrival() {
                    self.at(arrival, Happening::Arrival { engine });
                }
            }
        }
    }

    fn step_ends(&mut self, engine: usize) {
        let outcome = self.steps[engine].take().expect("it was in a step");
        self.blocks_told += outcome.events.len();
        for token in outcome.tokens {
            self.firsts.extend(token.first);
            self.finished += usize::from(token.last);
        }
        self.step(engine);
    }
}

fn three_hours() -> Simulation {
    let mut simulation = Simulation::new(2);
    for number in 0..1_080 {
        simulation.at(Duration::from_secs(number * 10), Happening::Request(number));
    }
    simulation.run();
    simulation
}

#[test]
fn three_hours_of_two_engines_are_the_same_every_time() {
    let (one, two) = (three_hours(), three_hours());
    assert!(one.now > Duration::from_secs(10_000));
    assert_eq!(one.finished, 1_080);
    assert_eq!((one.now, one.blocks_told), (two.now, two.blocks_told));
    assert_eq!(one.firsts, two.firsts);
    // Whole blocks of 64 of the context, for all but each customer's first request.
    let warm = one
        .firsts
        .iter()
        .filter(|first| first.cached_tokens == 93 * 64);
    assert_eq!(warm.count(), 1_080 - 40);
}

#[test]
fn the_calibration_gives_the_published_times_to_the_first_token() {
    let mut engine = Engine::new(&EngineConfig::default()).unwrap();
    let mut first_token = |id: u64, now: Duration| {
        let submission = Submission {
            id,
            prompt: (0..10_000).collect(),
            reply: vec![1],
            extras: Extras::default(),
        };
        engine.submit(now, submission).unwrap();
        let mut now = engine.next_arrival().unwrap();
        loop {
            let outcome = engine.step(now).unwrap();
            now += outcome.duration;
            if let Some(first) = outcome.tokens.first().and_then(|token| token.first) {
                return (first.after.as_secs_f64(), first.cached_tokens);
            }
        }
    };
    let (cold, nothing) = first_token(1, Duration::ZERO);
    let (warm, cached) = first_token(2, Duration::from_secs(60));
    assert_eq!((nothing, cached), (0, 9_984));
    assert!((cold - 4.3).abs() < 0.02, "published 4.3 s, here {cold}");
    assert!((warm - 0.6).abs() < 0.01, "published 0.6 s, here {warm}");
}
