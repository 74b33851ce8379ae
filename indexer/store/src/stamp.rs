//! The times of routes, by the store's clock.
//!
//! Routes are recorded and swept by many processes, whose clocks differ: one that
//! is an hour fast would end what all others have recorded. So they leave times
//! to the store, which gives them when it takes a batch, before the batch becomes
//! part of the history: what is applied carries them, and needs no clock.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use proto_model::{Batch, Command, RouteRecorded, Timestamp};

/// Whether the batch leaves a time to the store.
#[must_use]
pub fn leaves_times(batch: &Batch) -> bool {
    batch.commands.iter().any(|command| match command {
        Command::RouteRecorded(route) => route.recorded_at == RouteRecorded::BY_STORE,
        Command::Expire { until } => *until == RouteRecorded::BY_STORE,
        _ => false,
    })
}

/// The batch with `now` in the place of times that it leaves to the store, and
/// expiries counted from there. Every store does this with what it is given,
/// once, by the one clock that all its writers share as nearly as it can have
/// one; `now` is asked only if there is something to do.
pub fn stamped(batch: &Batch, now: impl FnOnce() -> Timestamp) -> Cow<'_, Batch> {
    if !leaves_times(batch) {
        return Cow::Borrowed(batch);
    }
    let now = now();
    let commands = batch.commands.iter().cloned();
    let commands = commands.map(|command| stamp(command, now)).collect();
    Cow::Owned(Batch { commands })
}

fn stamp(command: Command, now: Timestamp) -> Command {
    match command {
        Command::RouteRecorded(route) if route.recorded_at == RouteRecorded::BY_STORE => {
            let after = |lifetime: Timestamp| Timestamp(now.0.saturating_add(lifetime.0));
            Command::RouteRecorded(RouteRecorded {
                recorded_at: now,
                expires_at: route.expires_at.map(after),
                ..route
            })
        }
        Command::Expire { until } if until == RouteRecorded::BY_STORE => {
            Command::Expire { until: now }
        }
        other => other,
    }
}

/// The time by this process's clock.
#[must_use]
pub fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.unwrap_or_default().as_micros();
    Timestamp(u64::try_from(micros).unwrap_or(u64::MAX))
}
