//! The run: users come, ask and go.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Answer, Client, ClientError};
use crate::history::{History, introduction, question, warm_up};
use crate::options::{Options, OptionsError};
use crate::plan::{Plan, Start};
use crate::record::Record;
use crate::sharegpt::Conversations;
use crate::tally::{Summary, Tally};

/// Requests that go ahead, and tokens of their answers.
const WARM_UP: (u32, u32) = (10, 100);

/// Records between users and the file.
const RECORDS: usize = 1_024;

/// Users that may be there at a time, for each that is meant, and a few more: when
/// the server is too slow, users stay longer than planned, and others still join.
const CROWD: usize = 2;
const FEW: usize = 16;

/// How the run stands, told after every request.
pub type Progress<'a> = &'a mut dyn FnMut(&Tally, u64, u64);

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nothing can be made of the options.
    #[error("the options are wrong")]
    Options(#[from] OptionsError),
    /// The server does not answer.
    #[error("the first requests were not answered")]
    WarmUp(#[source] ClientError),
    /// The file of requests.
    #[error("a request cannot be written to --output")]
    Output(#[source] io::Error),
}

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Over the whole run.
    pub summary: Summary,
    /// The last error, where there was one.
    pub last_error: Option<ClientError>,
    /// Users that had to wait for another one to go.
    pub held_back: u64,
}

/// What all users share.
struct Shared {
    client: Client,
    options: Options,
    plan: Plan,
    conversations: Option<Conversations>,
    on_the_fly: AtomicU64,
}

type Told = Result<Record, ClientError>;

/// Runs until `end` comes to pass, be it in the requests that go ahead. Every finished request is written to `output`.
///
/// # Errors
/// If the options are wrong, the server does not answer at all, or `output` does not
/// take what is written.
pub async fn run(
    client: Client,
    options: Options,
    conversations: Option<Conversations>,
    end: impl Future<Output = ()>,
    output: &mut impl Write,
    progress: Progress<'_>,
) -> Result<Outcome, RunError> {
    options.validate()?;
    Record::heading(output).map_err(RunError::Output)?;
    tokio::pin!(end);
    if options.warm_up {
        tokio::select! {
            biased;
            () = &mut end => return ended_early(&options, output),
            warm = warmed_up(&client, &options) => warm.map_err(RunError::WarmUp)?,
        }
    }
    let shared = Arc::new(Shared {
        client,
        plan: Plan::new(&options),
        options,
        conversations,
        on_the_fly: AtomicU64::new(0),
    });
    let (tell, mut told) = mpsc::channel(RECORDS);
    let begin = seconds(SystemTime::now());
    let mut crowd = Crowd::new(Arc::clone(&shared), tell);
    let (mut tally, mut failed, mut last_error) = (Tally::default(), 0, None);
    loop {
        tokio::select! {
            biased;
            () = &mut end => break,
            () = crowd.next() => {}
            Some(outcome) = told.recv() => {
                match outcome {
                    Ok(record) => {
                        record.write(output).map_err(RunError::Output)?;
                        tally.add(&record);
                    }
                    Err(error) => {
                        failed += 1;
                        last_error = Some(error);
                    }
                }
                progress(&tally, shared.on_the_fly.load(Ordering::Relaxed), failed);
            }
        }
    }
    output.flush().map_err(RunError::Output)?;
    let on_the_fly = shared.on_the_fly.load(Ordering::Relaxed);
    Ok(Outcome {
        summary: tally.summary(shared.options.qps, Some(begin), on_the_fly, failed),
        last_error,
        held_back: crowd.held_back,
    })
}

/// Before any request that counts.
fn ended_early(options: &Options, output: &mut impl Write) -> Result<Outcome, RunError> {
    output.flush().map_err(RunError::Output)?;
    Ok(Outcome {
        summary: Tally::default().summary(options.qps, None, 0, 0),
        last_error: None,
        held_back: 0,
    })
}

/// Requests that do not count; the first error says that there is no server.
async fn warmed_up(client: &Client, options: &Options) -> Result<(), ClientError> {
    let mut asked = JoinSet::new();
    for nth in 0..WARM_UP.0 {
        let mut history = History::default();
        history.ask(warm_up(nth));
        let body = history.body(&options.model, WARM_UP.1);
        let client = client.clone();
        asked.spawn(async move { client.ask(body, None).await });
    }
    while let Some(outcome) = asked.join_next().await {
        outcome.expect("requests do not panic")?;
    }
    Ok(())
}

/// The users that are there. Dropping it ends them.
struct Crowd {
    shared: Arc<Shared>,
    tell: mpsc::Sender<Told>,
    users: JoinSet<()>,
    places: Arc<Semaphore>,
    last_user: u32,
    next_joins: Instant,
    held_back: u64,
}

impl Crowd {
    /// Users at different rounds, and the next one at once.
    fn new(shared: Arc<Shared>, tell: mpsc::Sender<Told>) -> Self {
        let places = shared.options.users as usize * CROWD + FEW;
        let (plan, last_user) = (shared.plan, shared.options.first_user);
        let mut crowd = Self {
            shared,
            tell,
            users: JoinSet::new(),
            places: Arc::new(Semaphore::new(places)),
            last_user,
            next_joins: Instant::now(),
            held_back: 0,
        };
        for start in plan.first() {
            crowd.joins(start);
        }
        crowd
    }

    /// A user joins when it is time; those that went are forgotten.
    async fn next(&mut self) {
        tokio::time::sleep_until(self.next_joins).await;
        self.next_joins += self.shared.plan.join;
        while self.users.try_join_next().is_some() {}
        self.joins(Start {
            done: 0,
            wait: Duration::ZERO,
        });
    }

    fn joins(&mut self, start: Start) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.held_back += 1;
            return;
        };
        self.last_user = self.last_user.wrapping_add(1);
        let user = User {
            number: self.last_user,
            shared: Arc::clone(&self.shared),
            history: History::default(),
            asked: 0,
            _place: place,
        };
        self.users.spawn(user.lives(start, self.tell.clone()));
    }
}

/// One user and the conversation.
struct User {
    number: u32,
    shared: Arc<Shared>,
    history: History,
    /// Of this run.
    asked: u32,
    _place: OwnedSemaphorePermit,
}

impl User {
    /// Asks one question after the other, `gap` apart or when the last one is
    /// answered.
    async fn lives(mut self, start: Start, tell: mpsc::Sender<Told>) {
        let rounds = self.shared.options.rounds;
        let mut due = Instant::now() + start.wait;
        for round in start.done + 1..=rounds {
            tokio::time::sleep_until(due).await;
            due = Instant::now() + self.shared.plan.gap;
            let outcome = self.asks(round).await;
            if tell.send(outcome).await.is_err() {
                return;
            }
        }
    }

    async fn asks(&mut self, round: u32) -> Told {
        let options = &self.shared.options;
        let (mut text, answer_tokens) = match &self.shared.conversations {
            Some(all) => {
                let (text, tokens) = all.question(self.number, round);
                (text.to_owned(), tokens.min(options.answer_tokens))
            }
            None => (question(round), options.answer_tokens),
        };
        if self.history.is_empty() {
            let (system, history) = (options.system_words, options.history_words);
            text.insert_str(0, &introduction(self.number, system, history));
        }
        self.history.ask(text);
        self.asked += 1;
        let body = self.history.body(&options.model, answer_tokens);
        let header = options.user_header.then_some(self.number);
        let answer = {
            let _on_the_fly = OnTheFly::new(&self.shared.on_the_fly);
            self.shared.client.ask(body, header).await
        };
        match answer {
            Ok(answer) => {
                let record = self.record(&answer);
                self.history.answered(answer.text);
                Ok(record)
            }
            Err(error) => {
                self.history.take_back();
                Err(error)
            }
        }
    }

    fn record(&self, answer: &Answer) -> Record {
        let launch_time = seconds(answer.launched);
        let (first, rest) = (answer.first.as_secs_f64(), answer.rest.as_secs_f64());
        let details = answer.usage.prompt_tokens_details;
        Record {
            prompt_tokens: answer.usage.prompt_tokens,
            generation_tokens: answer.usage.completion_tokens,
            ttft: first,
            generation_time: rest,
            user_id: self.number,
            question_id: self.asked,
            launch_time,
            finish_time: launch_time + first + rest,
            cached_tokens: details.and_then(|details| details.cached_tokens),
        }
    }
}

/// Counts a request for as long as it lives, also when its user is ended.
struct OnTheFly<'a>(&'a AtomicU64);

impl<'a> OnTheFly<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for OnTheFly<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
