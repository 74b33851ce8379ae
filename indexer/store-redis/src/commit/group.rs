//! One group: read what is needed, judge, commit, and again if another was faster.

use std::collections::BTreeSet;
use std::time::Duration;

use indexer_store::{AppendError, Appended};
use proto_model::{Endpoint, Outcome, Revision};
use redis::Value;

use super::script::{Answered, append};
use super::{TRIES_MAX, Task, Waiting};
use crate::error::LinkError;
use crate::headers::{EndpointHeaders, EndpointWrite};
use crate::judge::{Judge, endpoints};
use crate::link::{Fields, flat_pairs};
use crate::wire::encode_batch;

/// A group, judged: what the script is to do, and what the writers are told.
pub(super) struct Plan {
    pub(super) writes: Vec<EndpointWrite>,
    /// Publishers added, less those removed.
    pub(super) added: i64,
    /// Payloads that differ from what the batch's own would be, by place.
    pub(super) payloads: Vec<Option<Vec<u8>>>,
    outcomes: Vec<Vec<Outcome>>,
}

impl Task {
    pub(super) async fn commit(&mut self, group: &[Waiting]) -> Result<Vec<Appended>, AppendError> {
        for attempt in 0..TRIES_MAX {
            if attempt > 0 {
                self.metrics.conflicts.inc();
            }
            self.read_headers(group).await?;
            let plan = self.judge(group)?;
            match append(self, &plan, group).await? {
                Answered::Done(done) => {
                    self.acknowledge_by_replicas().await?;
                    self.publishers = done.publishers;
                    self.metrics.stream(done.total, done.checkpoint_total);
                    self.follower.if_overdue(
                        done.total,
                        done.checkpoint_total,
                        done.checkpoint_bytes,
                    );
                    return Ok(self.done(plan, done.revision));
                }
                Answered::AnotherEpoch => self.reopen().await?,
                Answered::Stale(stale) => self.take_stale(plan, stale)?,
                Answered::Full { publishers } => self.publishers = publishers,
                Answered::Capped { bytes, most } => return Err(capped(bytes, most)),
            }
            // Two writers that meet again and again do so by their rhythm.
            if attempt > 2 {
                let wait = rand::random_range(0..u64::from(attempt.min(20)));
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
        }
        Err(AppendError::Unavailable {
            reason: format!("other writers were faster {TRIES_MAX} times"),
        })
    }

    async fn read_headers(&mut self, group: &[Waiting]) -> Result<(), LinkError> {
        let named = group.iter().flat_map(|waiting| endpoints(&waiting.batch));
        let missing: BTreeSet<&Endpoint> = named
            .filter(|endpoint| !self.headers.knows(endpoint))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut commands = redis::pipe();
        for endpoint in &missing {
            commands.hgetall(self.keys.headers(endpoint));
        }
        let found: Vec<Fields> = self.link.commands(&commands).await?;
        for (endpoint, fields) in missing.into_iter().zip(found) {
            let headers = EndpointHeaders::read(fields)?;
            self.headers.put(endpoint.clone(), headers);
        }
        Ok(())
    }

    fn judge(&self, group: &[Waiting]) -> Result<Plan, LinkError> {
        let limits = &self.options.history.limits;
        let mut judge = Judge::new(&self.headers, limits, self.publishers);
        let (mut payloads, mut outcomes) = (Vec::new(), Vec::new());
        for waiting in group {
            let judged = judge.batch(&waiting.batch)?;
            outcomes.push(judged.outcomes);
            payloads.push(judged.instead.as_ref().map(encode_batch).transpose()?);
        }
        let writes = judge.writes()?;
        let added = writes.iter().map(|write| {
            let before = self.headers.get(&write.endpoint);
            before.map_or(0, |before| write.added(before))
        });
        Ok(Plan {
            added: added.sum(),
            writes,
            payloads,
            outcomes,
        })
    }

    fn take_stale(&mut self, plan: Plan, stale: Vec<(usize, Value)>) -> Result<(), LinkError> {
        for (at, fields) in stale {
            let write = plan.writes.get(at).ok_or(LinkError::Form {
                what: "the number of an endpoint",
            })?;
            let headers = EndpointHeaders::read(flat_pairs(fields)?)?;
            self.headers.put(write.endpoint.clone(), headers);
        }
        Ok(())
    }

    /// Waits until enough replicas have what was just written.
    async fn acknowledge_by_replicas(&self) -> Result<(), AppendError> {
        let wanted = self.options.replicas_min;
        if wanted == 0 {
            return Ok(());
        }
        let mut wait = redis::cmd("WAIT");
        let limit = self.options.command_timeout.as_millis();
        wait.arg(wanted)
            .arg(u64::try_from(limit).unwrap_or(u64::MAX));
        let have: u32 = self.link.command(&wait).await?;
        if have >= wanted {
            return Ok(());
        }
        let reason = format!("{have} of {wanted} replicas (replicas_min) have the commit");
        Err(AppendError::Unavailable { reason })
    }

    fn done(&mut self, plan: Plan, last: u64) -> Vec<Appended> {
        let version = last.to_string();
        for write in plan.writes {
            let (endpoint, headers) = write.committed(&version);
            self.headers.put(endpoint, headers);
        }
        let first = last + 1 - plan.outcomes.len() as u64;
        let appended = |(revision, outcomes)| Appended {
            revision: Revision(revision),
            outcomes,
        };
        (first..).zip(plan.outcomes).map(appended).collect()
    }
}

fn capped(bytes: u64, most: u64) -> AppendError {
    AppendError::Unavailable {
        reason: format!(
            "the stream holds {bytes} bytes beyond the last checkpoint, at most {most} are allowed (checkpoint.stream_bytes_max); a scorer must be running to write the next checkpoint"
        ),
    }
}
