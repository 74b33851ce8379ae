//! The one script that commits.

use std::sync::LazyLock;

use redis::{Script, Value};

use super::group::Plan;
use super::{Task, Waiting};
use crate::error::LinkError;
use crate::link::Answer;

static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("../scripts/append.lua")));

/// What the script did.
pub(super) enum Answered {
    Done(Done),
    /// Another epoch, or a server that has not begun one.
    AnotherEpoch,
    /// Headers that were not what the batches were judged on: the number of the
    /// endpoint in the plan, and what they are.
    Stale(Vec<(usize, Value)>),
    /// There are too many publishers for those that were to be added.
    Full {
        publishers: u64,
    },
    /// The stream holds too much beyond the last checkpoint.
    Capped {
        bytes: u64,
        most: u64,
    },
}

/// A commit that was made.
pub(super) struct Done {
    /// The last batch's.
    pub(super) revision: u64,
    pub(super) publishers: u64,
    pub(super) total: u64,
    pub(super) checkpoint_total: u64,
    pub(super) checkpoint_bytes: u64,
}

pub(super) async fn append(
    task: &Task,
    plan: &Plan,
    group: &[Waiting],
) -> Result<Answered, LinkError> {
    let mut invocation = APPEND.prepare_invoke();
    invocation.key(task.keys.meta()).key(task.keys.stream());
    invocation.arg(task.epoch.as_str());
    invocation.arg(task.options.history.limits.publishers as u64);
    invocation.arg(task.options.checkpoint.stream_bytes_max);
    invocation.arg(plan.added);
    for write in &plan.writes {
        invocation.key(task.keys.headers(&write.endpoint));
        invocation.arg(write.version.as_str());
        invocation.arg(u8::from(write.gone));
        invocation.arg(write.fields.len());
        for (rank, header) in &write.fields {
            invocation.arg(*rank);
            invocation.arg(header.as_deref().unwrap_or_default());
        }
    }
    for (waiting, instead) in group.iter().zip(&plan.payloads) {
        invocation.arg(instead.as_deref().unwrap_or(&waiting.payload));
    }
    read(task.link.script(&invocation).await?)
}

fn read(mut answer: Answer) -> Result<Answered, LinkError> {
    match answer.text()?.as_str() {
        "done" => Ok(Answered::Done(Done {
            revision: answer.number()?,
            publishers: answer.number()?,
            total: answer.number()?,
            checkpoint_total: answer.number()?,
            checkpoint_bytes: answer.number()?,
        })),
        "server" | "epoch" => Ok(Answered::AnotherEpoch),
        "full" => Ok(Answered::Full {
            publishers: answer.number()?,
        }),
        "capped" => Ok(Answered::Capped {
            bytes: answer.number()?,
            most: answer.number()?,
        }),
        "stale" => {
            let mut stale = Vec::new();
            while let Some(Value::Int(number)) = answer.value() {
                let at = usize::try_from(number - 1).map_err(|_| LinkError::Form {
                    what: "the number of an endpoint",
                })?;
                stale.push((at, answer.value().unwrap_or_default()));
            }
            Ok(Answered::Stale(stale))
        }
        _ => Err(LinkError::Form {
            what: "the answer to an append",
        }),
    }
}
