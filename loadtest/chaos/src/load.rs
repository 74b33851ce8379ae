//! Callers that must never be left without an answer.
//!
//! A caller does what callers of a replicated service do: it uses those scorers
//! that say that they are ready, and tries the next one if a call fails.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::checker::{best, is_of_the_connection};
use crate::client::Client;
use crate::cluster::Scorer;
use crate::findings::Findings;
use crate::fleet::{ANCHOR_BLOCKS, MODEL, anchor};
use crate::member::Probe;

/// Between two probes of readiness.
const PROBE_PAUSE: Duration = Duration::from_millis(100);

/// Between two calls of one caller.
const PACE: Duration = Duration::from_millis(2);

/// A call takes microseconds; this is for a machine that is busy with other
/// things.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Calls until dropped.
pub(crate) struct Load {
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts so many callers.
    pub(crate) fn start(
        scorers: &[Scorer],
        callers: usize,
        findings: &Findings,
    ) -> anyhow::Result<Self> {
        let mut tasks = Vec::new();
        let mut ready = Vec::new();
        for scorer in scorers {
            let (sender, receiver) = watch::channel(true);
            tasks.push(tokio::spawn(probe(scorer.member.probe(), sender)));
            ready.push(receiver);
        }
        for turn in 0..callers {
            let clients = scorers
                .iter()
                .map(|scorer| Client::with_limit(scorer.grpc, CALL_LIMIT))
                .collect::<Result<_, _>>()?;
            let caller = Caller {
                clients,
                ready: ready.clone(),
                turn,
                findings: findings.clone(),
            };
            tasks.push(tokio::spawn(caller.run()));
        }
        Ok(Self { tasks })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn probe(probe: Probe, ready: watch::Sender<bool>) {
    loop {
        let answer = probe.ask().await;
        ready.send_replace(answer.is_ok_and(|answer| answer.ready));
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

struct Caller {
    clients: Vec<Client>,
    ready: Vec<watch::Receiver<bool>>,
    turn: usize,
    findings: Findings,
}

impl Caller {
    async fn run(mut self) {
        loop {
            self.findings.count("scores", 1);
            if let Err(tried) = self.call().await {
                self.findings.count("scores_failed", 1);
                let what = format!("no scorer answers a call: {}", tried.join("; "));
                self.findings.violation("availability", what);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Asks each scorer at most once, ready ones first.
    async fn call(&mut self) -> Result<(), Vec<String>> {
        self.turn += 1;
        let count = self.clients.len();
        let mut order: Vec<_> = (0..count).map(|step| (self.turn + step) % count).collect();
        order.sort_by_key(|index| !*self.ready[*index].borrow());
        let mut tried = Vec::new();
        for index in order {
            match self.ask(index).await {
                Ok(()) => return Ok(()),
                Err(status) => {
                    let code = status.code();
                    tried.push(format!("scorer {index}: {code:?} {}", status.message()));
                    let is_passing =
                        matches!(code, Code::Unavailable | Code::Unknown | Code::Cancelled);
                    if !is_passing && !is_of_the_connection(&status) {
                        break;
                    }
                    self.findings.count("scores_retried", 1);
                }
            }
        }
        Err(tried)
    }

    /// The anchor holds this prompt from the beginning to the end: an answer
    /// without it is a decision without an index.
    async fn ask(&mut self, index: usize) -> Result<(), Status> {
        let answer = self.clients[index].score_tokens(MODEL, &anchor()).await?;
        let best = best(&answer);
        if best != ANCHOR_BLOCKS {
            let what = format!(
                "scorer {index} answers without an index: the best endpoint has {best} of \
                 {ANCHOR_BLOCKS} blocks ({:?}, revision {}, age {} ms)",
                answer.state(),
                answer.revision,
                answer.age_ms
            );
            self.findings.violation("decision without an index", what);
        }
        Ok(())
    }
}
