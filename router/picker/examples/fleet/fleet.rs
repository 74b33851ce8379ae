//! Arrivals, engines, scrapes and the picker's books, in the order of time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use router_picker::{Ask, Candidate, InFlight, Load, Policy, Reason, pick};

use crate::engine::{Engine, Request, Segment};

const ENGINES: usize = 8;
const CUSTOMERS: u32 = 150;
const USERS: u32 = 5;
const SHARED: u32 = 6_000;
const QUESTION: u32 = 1_200;
const OUTPUT: u32 = 225;
const SCRAPE: f64 = 0.2;
/// Requests/s, and for how many seconds.
const STAGES: [(u32, u32); 16] = [
    (3, 20),
    (10, 20),
    (15, 20),
    (20, 38),
    (22, 34),
    (25, 30),
    (30, 25),
    (35, 21),
    (40, 38),
    (43, 36),
    (46, 33),
    (49, 30),
    (52, 29),
    (55, 27),
    (57, 26),
    (60, 25),
];

/// What the requests are like.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    /// Every question is new, so that only contexts are found again.
    pub(crate) new_questions: bool,
    /// Share of the requests that one customer sends.
    pub(crate) hot: f64,
}

pub(crate) enum Strategy {
    Picker(Policy),
    Random,
}

pub(crate) struct Figures {
    /// Seconds to the first token, ascending.
    pub(crate) ttft: Vec<f64>,
    /// Requests that wait at an engine, on average over scrapes.
    pub(crate) queue: f64,
    /// Share of prompt tokens that were found.
    pub(crate) reused: f64,
    pub(crate) spilled: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival { user: u32, measured: bool },
    Step(usize),
    Scrape,
}

#[derive(Default)]
struct Books {
    load: Load,
    in_flight: InFlight,
    /// What is on its way there, and not in its cache yet.
    speculative: HashMap<Segment, u32>,
}

pub(crate) struct Fleet {
    workload: Workload,
    strategy: Strategy,
    engines: Vec<Engine>,
    books: Vec<Books>,
    /// By microsecond, then in the order they were made.
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    made: u64,
    stepping: [bool; ENGINES],
    random: u64,
    measured_from: f64,
    figures: Figures,
    scrapes: u32,
    open: u32,
    asked: u32,
}

impl Fleet {
    pub(crate) fn new(strategy: Strategy, workload: Workload) -> Self {
        let mut fleet = Self {
            workload,
            strategy,
            engines: (0..ENGINES).map(|_| Engine::default()).collect(),
            books: (0..ENGINES).map(|_| Books::default()).collect(),
            events: BinaryHeap::new(),
            made: 0,
            stepping: [false; ENGINES],
            random: 42,
            measured_from: 0.0,
            figures: Figures {
                ttft: Vec::new(),
                queue: 0.0,
                reused: 0.0,
                spilled: 0,
            },
            scrapes: 0,
            open: 0,
            asked: 0,
        };
        fleet.plan();
        fleet
    }

    fn plan(&mut self) {
        let mut now = 0.0;
        // Every user once, in an order that has nothing to do with customers.
        for nth in 0..CUSTOMERS * USERS {
            let user = nth * 331 % (CUSTOMERS * USERS);
            self.at(
                now,
                Event::Arrival {
                    user,
                    measured: false,
                },
            );
            now += 1.0 / 15.0;
        }
        self.measured_from = now;
        for (rate, seconds) in STAGES {
            let end = now + f64::from(seconds);
            loop {
                let gap = -(1.0 - self.drawn()).ln() / f64::from(rate);
                if now + gap > end {
                    break;
                }
                now += gap;
                let users = if self.drawn() < self.workload.hot {
                    USERS
                } else {
                    CUSTOMERS * USERS
                };
                let user = (self.drawn() * f64::from(users)) as u32;
                self.at(
                    now,
                    Event::Arrival {
                        user,
                        measured: true,
                    },
                );
            }
            now = end;
        }
        self.at(0.0, Event::Scrape);
    }

    pub(crate) fn run(mut self) -> Figures {
        while let Some(Reverse((micros, _, event))) = self.events.pop() {
            let now = micros as f64 / 1e6;
            match event {
                Event::Arrival { user, measured } => self.arrive(now, user, measured),
                Event::Step(engine) => self.step(now, engine),
                Event::Scrape => self.scrape(now),
            }
        }
        let (reused, asked) = self
            .engines
            .iter()
            .fold((0, 0), |sum, e| (sum.0 + e.reused, sum.1 + e.asked));
        self.figures.reused = reused as f64 / asked as f64;
        self.figures.queue /= f64::from(self.scrapes);
        self.figures.ttft.sort_by(f64::total_cmp);
        self.figures
    }

    fn arrive(&mut self, now: f64, user: u32, measured: bool) {
        let context = user / USERS;
        let question = CUSTOMERS
            + if self.workload.new_questions {
                self.asked += 1;
                self.asked
            } else {
                user
            };
        let segments = [(context, SHARED), (question, QUESTION)];
        let mut request = Request::new(segments, OUTPUT, now);
        let chosen = self.choose(&request, measured);
        let books = &mut self.books[chosen];
        let booked = request.prompt() - reusable(&self.engines[chosen], books, &request);
        request.booked = u64::from(booked);
        books.in_flight.requests += 1;
        books.in_flight.since_scrape += 1;
        books.in_flight.prefill_tokens += request.booked;
        for (segment, _) in segments {
            *books.speculative.entry(segment).or_default() += 1;
        }
        self.open += 1;
        self.engines[chosen].waiting.push_back(request);
        if !self.stepping[chosen] {
            self.step(now, chosen);
        }
    }

    fn choose(&mut self, request: &Request, measured: bool) -> usize {
        let seed = self.next();
        let policy = match &self.strategy {
            Strategy::Picker(policy) => policy,
            Strategy::Random => return (seed % ENGINES as u64) as usize,
        };
        let candidates: Vec<Candidate> = self
            .engines
            .iter()
            .zip(&self.books)
            .map(|(engine, books)| {
                let tokens = reusable(engine, books, request);
                Candidate {
                    load: Some(books.load),
                    in_flight: books.in_flight,
                    reusable_tokens: tokens,
                    prefix: f64::from(tokens) / f64::from(request.prompt()),
                }
            })
            .collect();
        let ask = Ask {
            prompt_tokens: request.prompt(),
            priority: 0,
            seed,
            choices: 1,
        };
        let Ok(picked) = pick(policy, &ask, &candidates) else {
            return 0;
        };
        if measured && matches!(picked.reason, Reason::Spill { .. }) {
            self.figures.spilled += 1;
        }
        picked.ranked[0]
    }

    fn step(&mut self, now: f64, at: usize) {
        let step = self.engines[at].step(now);
        self.stepping[at] = step.is_some();
        let Some(step) = step else {
            return;
        };
        let end = now + step.seconds;
        let books = &mut self.books[at];
        books.in_flight.requests -= step.finished;
        self.open -= step.finished;
        for first in step.first {
            books.in_flight.prefill_tokens -= first.booked;
            for (segment, _) in first.segments {
                books.speculative.entry(segment).and_modify(|n| *n -= 1);
            }
            books.speculative.retain(|_, n| *n > 0);
            if first.arrived >= self.measured_from {
                self.figures.ttft.push(end - first.arrived);
            }
        }
        self.at(end, Event::Step(at));
    }

    fn scrape(&mut self, now: f64) {
        for (engine, books) in self.engines.iter().zip(&mut self.books) {
            books.load = Load {
                waiting: engine.waiting.len() as u32,
                running: engine.running.len() as u32,
                kv_usage: engine.kv_usage(),
            };
            books.in_flight.since_scrape = 0;
            if now >= self.measured_from {
                self.figures.queue += f64::from(books.load.waiting);
                self.scrapes += 1;
            }
        }
        if self.open > 0 || !self.events.is_empty() {
            self.at(now + SCRAPE, Event::Scrape);
        }
    }

    fn at(&mut self, time: f64, event: Event) {
        self.made += 1;
        self.events
            .push(Reverse(((time * 1e6) as u64, self.made, event)));
    }

    fn next(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random ^ (self.random >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11
    }

    fn drawn(&mut self) -> f64 {
        (self.next() % (1 << 53)) as f64 / (1u64 << 53) as f64
    }
}

/// Tokens that the picker believes an engine has.
fn reusable(engine: &Engine, books: &Books, request: &Request) -> u32 {
    request
        .segments
        .iter()
        .take_while(|(segment, _)| {
            engine.holds(*segment) || books.speculative.contains_key(segment)
        })
        .map(|(_, tokens)| tokens)
        .sum()
}
