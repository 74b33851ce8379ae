//! Asks one scorer all the time, and holds every answer against what must be true
//! of it whatever has happened: I4, I8, and that answers make sense at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loadtest_engines::Engine;
use proto_api::v1::ScoreResponse;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tonic::Status;

use crate::client::Client;
use crate::findings::Findings;
use crate::fleet::{self, POPULATION, UNIQUE_PROMPTS, unique};
use crate::lives::{Lives, ProcessLives};
use crate::marks::{self, Marks};
use crate::member::Standing;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(4);

/// Lives before the present one that are asked about.
const EARLIER_LIVES: u32 = 4;

/// Everything a checker knows.
pub(crate) struct Checker {
    pub(crate) name: String,
    pub(crate) client: Client,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) engine_lives: Vec<Arc<AtomicU32>>,
    pub(crate) lives: Lives,
    pub(crate) marks: Vec<Marks>,
    pub(crate) findings: Findings,
    pub(crate) seed: u64,
}

/// What one process of the scorer has said so far.
struct Heard {
    starts: u64,
    revision: u64,
    lives: ProcessLives,
    /// Per engine: incarnation and next sequence.
    positions: std::collections::HashMap<String, (u64, u64)>,
}

impl Checker {
    /// Asks until aborted.
    pub(crate) async fn run(mut self) {
        let mut random = SmallRng::seed_from_u64(self.seed);
        let mut heard = self.nothing_heard();
        loop {
            tokio::time::sleep(PAUSE).await;
            let standing = *self.standing.borrow();
            if standing.starts != heard.starts {
                heard = self.nothing_heard();
            }
            let asked = match random.random_range(0..10) {
                0..3 => self.ask_prompt(&mut random, &mut heard).await,
                3..6 => self.ask_life(&mut random, &mut heard).await,
                6..9 => self.ask_mark(&mut random, &mut heard).await,
                _ => self.ask_list(&mut heard).await,
            };
            match asked {
                Ok(()) => self.findings.count("checks", 1),
                Err(status) => self.note(&status),
            }
        }
    }

    fn nothing_heard(&self) -> Heard {
        Heard {
            starts: self.standing.borrow().starts,
            revision: 0,
            lives: self.lives.process(),
            positions: std::collections::HashMap::new(),
        }
    }

    /// No answer is no violation here: the scorer may be down, starting or frozen.
    /// An answer that blames the question is.
    fn note(&self, status: &Status) {
        match status.code() {
            _ if is_of_the_connection(status) => self.findings.count("checks_unanswered", 1),
            tonic::Code::InvalidArgument | tonic::Code::Internal | tonic::Code::Unimplemented => {
                let what = format!("{}: {status}", self.name);
                self.findings.violation("answer", what);
            }
            _ => self.findings.count("checks_unanswered", 1),
        }
    }

    /// Whether the answer is from the process that `heard` is about, and I4's
    /// first half: the revision never goes back.
    fn same_process(&self, heard: &mut Heard, revision: u64) -> bool {
        if self.standing.borrow().starts != heard.starts {
            return false;
        }
        if revision < heard.revision {
            let what = format!(
                "{} reports revision {revision} after {}",
                self.name, heard.revision
            );
            self.findings.violation("I4", what);
        }
        heard.revision = heard.revision.max(revision);
        heard.lives.stands_at(revision);
        true
    }

    async fn ask_prompt(&mut self, random: &mut SmallRng, heard: &mut Heard) -> Result<(), Status> {
        let prompt = POPULATION.draw(random);
        let answer = self.client.score_tokens(fleet::MODEL, &prompt).await?;
        if !self.same_process(heard, answer.revision) {
            return Ok(());
        }
        for endpoint in &answer.endpoints {
            if endpoint.matched_blocks as usize > prompt.blocks() {
                let what = format!(
                    "{} matches {} blocks of a prompt that has {}",
                    self.name,
                    endpoint.matched_blocks,
                    prompt.blocks()
                );
                self.findings.violation("answer", what);
            }
        }
        let mut names: Vec<_> = answer
            .endpoints
            .iter()
            .map(|endpoint| &endpoint.address)
            .collect();
        names.sort();
        names.dedup();
        if names.len() != answer.endpoints.len() {
            let what = format!("{} lists an endpoint twice: {names:?}", self.name);
            self.findings.violation("I2", what);
        }
        Ok(())
    }

    async fn ask_life(&mut self, random: &mut SmallRng, heard: &mut Heard) -> Result<(), Status> {
        let engine = random.random_range(0..self.engine_lives.len());
        let present = self.engine_lives[engine].load(Ordering::Acquire);
        let life = present
            .saturating_sub(random.random_range(0..=EARLIER_LIVES))
            .max(1);
        let which = random.random_range(0..UNIQUE_PROMPTS);
        let prompt = unique(engine, life, which);
        let answer = self.client.score_prompt(fleet::MODEL, &prompt).await?;
        if !self.same_process(heard, answer.revision) {
            return Ok(());
        }
        let address = Engine::address_of(engine);
        for endpoint in answer.endpoints.iter().filter(|e| e.matched_blocks > 0) {
            if endpoint.address != address {
                let what = format!(
                    "{} scores {} for a prompt that only {address} ran",
                    self.name, endpoint.address
                );
                self.findings.violation("I9", what);
            } else if let Some(wrong) = heard.lives.scored(engine, life, answer.revision) {
                let what = format!("{}: {wrong}", self.name);
                self.findings.violation("I8", what);
            }
        }
        Ok(())
    }

    async fn ask_mark(&mut self, random: &mut SmallRng, heard: &mut Heard) -> Result<(), Status> {
        let Some(marks) = (!self.marks.is_empty())
            .then(|| self.marks[random.random_range(0..self.marks.len())].clone())
        else {
            return self.ask_prompt(random, heard).await;
        };
        let len = marks.len();
        if len == 0 {
            return Ok(());
        }
        // The newest are the interesting ones, and those about to be removed.
        let back = random.random_range(0..len.min(marks::WINDOW * 2));
        let number = len - 1 - back;
        let answer = self
            .client
            .score_rolling(marks::MODEL, marks.rolling(number))
            .await?;
        if !self.same_process(heard, answer.revision) {
            return Ok(());
        }
        let held = matched(&answer, &marks.address()) == marks::BLOCKS;
        let Some(mark) = marks.get(number) else {
            return Ok(());
        };
        self.findings.count("mark_checks", 1);
        if !mark.allows(answer.revision, held) {
            let what = format!(
                "{} at revision {} says that marker {number} of {} is {}, but it is {mark:?}",
                self.name,
                answer.revision,
                marks.address(),
                if held { "there" } else { "not there" },
            );
            self.findings.violation("I4", what);
        }
        Ok(())
    }

    async fn ask_list(&mut self, heard: &mut Heard) -> Result<(), Status> {
        let (endpoints, revision) = self.client.endpoints().await?;
        if !self.same_process(heard, revision) {
            return Ok(());
        }
        for endpoint in endpoints {
            let position = (endpoint.incarnation, endpoint.next_sequence);
            let before = heard.positions.insert(endpoint.address.clone(), position);
            let fell = before.is_some_and(|before| before > position);
            if fell && !self.findings.is_history_lost() {
                let what = format!(
                    "{} lists {} at incarnation and sequence {position:?} after {before:?}",
                    self.name, endpoint.address
                );
                self.findings.violation("I4", what);
            }
        }
        Ok(())
    }
}

/// Whether it is not the scorer that says so, but our side of a connection that
/// ended: a scorer that stops closes them, and a question may cross that.
pub(crate) fn is_of_the_connection(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// Blocks matched by the endpoint with this address.
pub(crate) fn matched(answer: &ScoreResponse, address: &str) -> u32 {
    let mut endpoints = answer.endpoints.iter();
    let found = endpoints.find(|endpoint| endpoint.address == address);
    found.map_or(0, |endpoint| endpoint.matched_blocks)
}

/// The most blocks that any endpoint matches.
pub(crate) fn best(answer: &ScoreResponse) -> u32 {
    let matched = answer.endpoints.iter().map(|e| e.matched_blocks);
    matched.max().unwrap_or(0)
}
