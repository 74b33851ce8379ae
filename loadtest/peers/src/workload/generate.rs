//! Plays a fleet: users come back or are new, are sent to an endpoint, and the
//! endpoint's cache changes.

use super::corpus::{ChainSpec, Corpus};
use super::engine::Engine;
use super::naive::Naive;
use super::random::{Random, Zipf};
use super::scenario::{Evictions, Scenario};
use super::trace::{Act, Checkpoint, Event, Query, Trace};

/// Share of requests that come from somebody new.
const NEW_USERS: f64 = 0.3;
/// Share of requests that go where the user, or the context, has been before.
const LOYAL: f64 = 0.9;
/// Steps that the naive model may take for one checkpoint's answers, at worst.
const CHECK_STEPS: u64 = 400_000_000;
/// Answers of one checkpoint, at most.
const CHECKS: u64 = 300;

#[derive(Debug, Clone, Copy)]
struct User {
    chain: u32,
    context: u32,
    /// Blocks of the user's own part so far.
    tail: u32,
    home: u32,
}

struct Fleet<'a> {
    scenario: &'a Scenario,
    random: Random,
    chains: Vec<ChainSpec>,
    corpus: Corpus,
    engines: Vec<Engine>,
    naive: Naive,
    /// Those who may come back.
    users: Vec<User>,
    most_users: usize,
    by_user: Zipf,
    by_context: Zipf,
    now: u64,
}

/// Plays out a scenario. The same scenario gives the same trace.
pub(crate) fn generate(scenario: &Scenario) -> Trace {
    let mut fleet = Fleet::new(scenario);
    let load = fleet.fill();
    let loaded = fleet.checkpoint();
    let churn = fleet.churn(scenario.churn_events);
    let churned = fleet.checkpoint();
    let beside = fleet.churn(scenario.beside_events);
    let restarts = fleet.restarts();
    let drain = fleet.drain();
    let ended = fleet.checkpoint();
    Trace {
        scenario: scenario.clone(),
        chains: fleet.chains,
        load,
        loaded,
        churn,
        churned,
        beside,
        restarts,
        drain,
        ended,
    }
}

impl<'a> Fleet<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let prompts = scenario.capacity() / scenario.blocks() as usize;
        let most_users = (prompts * 2 * scenario.endpoints as usize).max(64);
        let mut fleet = Self {
            scenario,
            random: Random::new(scenario.seed),
            chains: Vec::new(),
            corpus: Corpus::default(),
            engines: (0..scenario.endpoints).map(|_| Engine::default()).collect(),
            naive: Naive::new(scenario.endpoints),
            users: Vec::new(),
            most_users,
            by_user: Zipf::new(most_users, 0.8),
            by_context: Zipf::new(scenario.contexts(), 1.0),
            now: 0,
        };
        for _ in 0..scenario.contexts() {
            fleet.chain(None, scenario.context_blocks());
        }
        fleet
    }

    fn chain(&mut self, parent: Option<u32>, blocks: u32) -> u32 {
        let spec = ChainSpec { parent, blocks };
        self.chains.push(spec);
        self.corpus.push(spec);
        self.chains.len() as u32 - 1
    }

    /// Stores only: a request goes elsewhere rather than evict something.
    fn fill(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let room = self.scenario.capacity() - self.scenario.blocks() as usize;
        let mut next = 0;
        loop {
            let user = self.user();
            let has_room = |engine: &Engine| engine.used <= room;
            let mut endpoint = user.home as usize;
            if !has_room(&self.engines[endpoint]) {
                while self.engines.get(next).is_some_and(|e| !has_room(e)) {
                    next += 1;
                }
                endpoint = next;
            }
            if endpoint == self.engines.len() {
                return events;
            }
            self.serve(endpoint as u32, user, &mut events);
        }
    }

    fn churn(&mut self, block_events: u64) -> Vec<Event> {
        let mut events = Vec::new();
        let mut left = i64::try_from(block_events).unwrap_or(i64::MAX);
        while left > 0 {
            let before = events.len();
            let user = self.user();
            if self.random.chance(self.scenario.restart_chance()) {
                self.restart(user.home, &mut events);
            }
            self.serve(user.home, user, &mut events);
            let blocks: u64 = events[before..].iter().map(Event::blocks).sum();
            left -= blocks as i64;
        }
        events
    }

    fn restarts(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let count = self.engines.len().div_ceil(4).min(16);
        for _ in 0..count {
            let endpoint = self.random.below(self.engines.len());
            self.restart(endpoint as u32, &mut events);
        }
        events
    }

    /// Evicts all that an eighth of the endpoints hold.
    fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let step = self.engines.len().div_ceil(512).max(8);
        for endpoint in (0..self.engines.len()).step_by(step) {
            let all = self.engines[endpoint].used;
            let acts = self.engines[endpoint].evict(all, Evictions::Lru, &mut self.random);
            self.note(endpoint as u32, acts, &mut events);
        }
        events
    }

    fn restart(&mut self, endpoint: u32, events: &mut Vec<Event>) {
        self.engines[endpoint as usize] = Engine::default();
        self.note(endpoint, vec![Act::Restarted], events);
    }

    fn serve(&mut self, endpoint: u32, user: User, events: &mut Vec<Event>) {
        self.now += 1;
        let scenario = self.scenario;
        let prompt = [
            (user.context, scenario.context_blocks()),
            (user.chain, user.tail),
        ];
        let how = (self.now, scenario.capacity(), scenario.evictions);
        let acts = self.engines[endpoint as usize].serve(&prompt, how, &mut self.random);
        self.note(endpoint, acts, events);
    }

    fn note(&mut self, endpoint: u32, acts: Vec<Act>, events: &mut Vec<Event>) {
        for act in acts {
            let event = Event { endpoint, act };
            self.naive.apply(&self.corpus, &event);
            events.push(event);
        }
    }

    /// Who asks next, one turn further than before, and where that turn goes.
    fn user(&mut self) -> User {
        let full = self.scenario.tail_blocks();
        let is_new = self.users.len() < self.most_users.min(64) || self.random.chance(NEW_USERS);
        let at = self.by_user.draw(&mut self.random);
        let grown = self.users.get(at).is_none_or(|user| user.tail >= full);
        if is_new || grown {
            let user = self.new_user();
            match self.users.get_mut(at) {
                Some(place) => *place = user,
                None => self.users.push(user),
            }
            return user;
        }
        let stray = !self.random.chance(LOYAL);
        let elsewhere = self.random.below(self.engines.len()) as u32;
        let turn = self.scenario.turn_blocks();
        let user = &mut self.users[at];
        user.tail = (user.tail + turn).min(full);
        if stray {
            user.home = elsewhere;
        }
        *user
    }

    fn new_user(&mut self) -> User {
        let context = self.by_context.draw(&mut self.random);
        // A context has its own endpoints, more of them the more popular it is.
        let endpoints = self.engines.len();
        let share = self.by_context.share(context) * endpoints as f64;
        let own = (share.ceil() as usize).clamp(2, endpoints);
        let home = if self.random.chance(LOYAL) {
            (context * 7919 + self.random.below(own)) % endpoints
        } else {
            self.random.below(endpoints)
        };
        User {
            chain: self.chain(Some(context as u32), self.scenario.tail_blocks()),
            context: context as u32,
            tail: self.scenario.turn_blocks(),
            home: home as u32,
        }
    }

    /// What is asked now, by the same people, and what is true.
    fn checkpoint(&mut self) -> Checkpoint {
        let queries: Vec<Query> = (0..self.scenario.queries).map(|_| self.query()).collect();
        let steps = u64::from(self.scenario.endpoints) * u64::from(self.scenario.blocks());
        let checks = (CHECK_STEPS / steps).clamp(16, CHECKS) as usize;
        let answers = queries.iter().take(checks);
        let answers = answers.map(|&query| self.naive.answer(&self.corpus, query));
        Checkpoint {
            answers: answers.collect(),
            queries,
            memberships: self.naive.memberships(),
            distinct: self.naive.distinct(),
        }
    }

    fn query(&mut self) -> Query {
        let full = self.scenario.tail_blocks();
        let turn = self.scenario.turn_blocks();
        let at = self.by_user.draw(&mut self.random) % self.users.len();
        let known = self.users[at];
        let user = if self.random.chance(NEW_USERS) {
            self.new_user()
        } else {
            let tail = (known.tail + turn).min(full);
            User { tail, ..known }
        };
        Query {
            chain: user.chain,
            blocks: self.scenario.context_blocks() + user.tail,
        }
    }
}
