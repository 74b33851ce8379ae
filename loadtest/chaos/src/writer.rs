//! Appends marker messages through the store's own API, one after another, and
//! notes what is acknowledged.
//!
//! A writer does what any writer of a replicated store must: it goes where the
//! leader is said to be, and sends the same batch again until it is acknowledged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use proto_api::v1::AppendResponse;
use proto_api::v1::store_client::StoreClient;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::findings::Findings;
use crate::marks::Marks;

/// One attempt at one node.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(1);

/// Between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Between two acknowledged messages.
const PACE: Duration = Duration::from_millis(3);

/// The metadata in which a node names the leader.
const LEADER_HINT: &str = "kvatlas-leader";

/// The acknowledgements of all writers.
#[derive(Clone, Default)]
pub(crate) struct LastAck {
    inner: Arc<Mutex<Acks>>,
}

#[derive(Default)]
struct Acks {
    /// Of the newest: when it was sent, and when it was answered.
    newest: Option<(Instant, Instant)>,
    answered: Option<Instant>,
    longest_gap: Duration,
}

impl LastAck {
    fn note(&self, sent: Instant) {
        let now = Instant::now();
        let mut acks = self.lock();
        if let Some(before) = acks.answered.replace(now) {
            acks.longest_gap = acks.longest_gap.max(now - before);
        }
        if acks.newest.is_none_or(|(before, _)| before < sent) {
            acks.newest = Some((sent, now));
        }
    }

    /// Gaps count from now on.
    pub(crate) fn begin_gap(&self) {
        let mut acks = self.lock();
        acks.answered = Some(Instant::now());
        acks.longest_gap = Duration::ZERO;
    }

    /// The longest time between two answers.
    pub(crate) fn longest_gap(&self) -> Duration {
        self.lock().longest_gap
    }

    /// Waits for the acknowledgement of something sent after `when`, and says how
    /// long after `when` it came.
    pub(crate) async fn after(&self, when: Instant) -> Duration {
        loop {
            let newest = self.lock().newest;
            if let Some((sent, answered)) = newest
                && sent > when
            {
                return answered - when;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Acks> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes one publisher's markers.
pub(crate) struct Writer {
    pub(crate) marks: Marks,
    /// `host:port` of every node.
    pub(crate) addresses: Vec<String>,
    pub(crate) working: watch::Receiver<bool>,
    /// Whether a message is under way.
    pub(crate) busy: watch::Sender<bool>,
    pub(crate) last: LastAck,
    pub(crate) findings: Findings,
    /// Whether the store may lose what it has acknowledged, in some faults.
    pub(crate) may_lose: bool,
}

struct Connections {
    addresses: Vec<String>,
    open: HashMap<String, StoreClient<Channel>>,
    /// The one to ask next.
    present: String,
    turn: usize,
}

impl Writer {
    /// Writes until aborted.
    pub(crate) async fn run(mut self) {
        let mut connections = Connections::new(self.addresses.clone());
        let mut number = self.marks.len();
        loop {
            let _ = self.busy.send_replace(false);
            if self.working.wait_for(|working| *working).await.is_err() {
                return;
            }
            let _ = self.busy.send_replace(true);
            if !*self.working.borrow() {
                continue;
            }
            number = self.write(number, &mut connections).await;
            tokio::time::sleep(PACE).await;
        }
    }

    /// Writes one message until it is acknowledged. Returns the next number.
    async fn write(&self, number: u64, connections: &mut Connections) -> u64 {
        let request = self.marks.begin(number);
        let mut retried = false;
        loop {
            let sent = Instant::now();
            match connections.append(&request).await {
                Ok(response) => {
                    let next = self.take(number, &response);
                    self.last.note(sent);
                    return next;
                }
                Err(status) => {
                    if status.code() == Code::InvalidArgument {
                        self.findings.violation("append", status.to_string());
                        return number;
                    }
                    if !std::mem::replace(&mut retried, true) {
                        let said = format!("append: {:?} {}", status.code(), status.message());
                        self.findings.say(&said);
                    }
                    self.findings.count("append_retries", 1);
                    connections.go_on(&status);
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// I7, as early as it shows: the store must know every message before this
    /// one, for they were acknowledged.
    fn take(&self, number: u64, response: &AppendResponse) -> u64 {
        let outcome = response.outcomes.first();
        let gap = outcome.and_then(|outcome| outcome.gap.as_ref());
        if let Some(gap) = gap {
            let lost = self.marks.lost_from(gap.expected);
            if self.may_lose {
                self.findings.count("acknowledged_lost", lost);
            } else {
                let what = format!(
                    "the store has lost {lost} acknowledged messages of {}: it expects {}, \
                     and {number} is due",
                    self.marks.address(),
                    gap.expected
                );
                self.findings.violation("I7", what);
            }
            return gap.expected;
        }
        let cursor = outcome.and_then(|outcome| outcome.cursor.as_ref());
        let next = cursor.map(|cursor| cursor.next);
        if next != Some(number + 1) {
            let what = format!(
                "message {number} of {} was acknowledged, but the store expects {next:?} next: \
                 {outcome:?}",
                self.marks.address()
            );
            self.findings.violation("I2", what);
        }
        self.marks.acknowledged(number, response.revision);
        self.findings.count("acknowledged", 1);
        number + 1
    }
}

impl Connections {
    fn new(addresses: Vec<String>) -> Self {
        let present = addresses.first().cloned().unwrap_or_default();
        Self {
            addresses,
            open: HashMap::new(),
            present,
            turn: 0,
        }
    }

    async fn append(
        &mut self,
        request: &proto_api::AppendRequest,
    ) -> Result<AppendResponse, Status> {
        if !self.open.contains_key(&self.present) {
            let client =
                connect(&self.present).map_err(|error| Status::internal(error.to_string()))?;
            self.open.insert(self.present.clone(), client);
        }
        let client = self
            .open
            .get_mut(&self.present)
            .ok_or_else(|| Status::internal("no connection"))?;
        let mut request = Request::new(request.clone());
        request.set_timeout(ATTEMPT_LIMIT);
        Ok(client.append(request).await?.into_inner())
    }

    /// To the leader, if it was named and is another; else to the next node.
    fn go_on(&mut self, status: &Status) {
        let hint = status.metadata().get(LEADER_HINT);
        let hint = hint.and_then(|hint| hint.to_str().ok());
        match hint {
            Some(leader) if leader != self.present => self.present = leader.to_owned(),
            _ => {
                self.turn = (self.turn + 1) % self.addresses.len();
                self.present = self.addresses[self.turn].clone();
            }
        }
    }
}

fn connect(address: &str) -> Result<StoreClient<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).context("address")?;
    let channel = endpoint.connect_timeout(ATTEMPT_LIMIT).connect_lazy();
    Ok(StoreClient::new(channel))
}
