//! What cannot be read now, since when, and what it means.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::kinds::Kind;
use crate::source::Trouble;

/// The kinds that cannot be read.
#[derive(Default)]
pub(super) struct Troubles {
    by_kind: BTreeMap<Kind, Trouble>,
    /// The API server does not know any InferencePools.
    no_pools: Option<Trouble>,
}

impl Troubles {
    pub(super) fn readable(&mut self, kind: Kind) {
        if self.by_kind.remove(&kind).is_some() {
            tracing::info!(%kind, "can be read again");
        }
    }

    pub(super) fn forbidden(&mut self, kind: Kind, reason: &str) {
        let other = match kind {
            Kind::Pool(_) => ", or name the pool's group",
            _ => "",
        };
        let mend = format!("{reason}; grant get, list and watch on {kind}{other}");
        self.unreadable(kind, mend);
    }

    pub(super) fn unreadable(&mut self, kind: Kind, reason: String) {
        let since = match self.by_kind.get(&kind) {
            Some(known) if known.reason == reason => return,
            Some(known) => known.since,
            None => Instant::now(),
        };
        tracing::warn!(%kind, reason, "cannot be read; what was read last stays in use");
        let trouble = Trouble {
            what: kind.to_string(),
            reason,
            since,
        };
        self.by_kind.insert(kind, trouble);
    }

    /// Whether InferencePools are unknown in every group that is followed.
    pub(super) fn pool_kinds(&mut self, absent: bool) {
        if !absent {
            self.no_pools = None;
        } else if self.no_pools.is_none() {
            let reason = "the API server does not know InferencePools; install the CRDs of the \
                          Gateway API Inference Extension, or name the other pool group";
            tracing::warn!("{reason}");
            self.no_pools = Some(Trouble {
                what: "inferencepools".to_owned(),
                reason: reason.to_owned(),
                since: Instant::now(),
            });
        }
    }

    /// What keeps the endpoints from being known as they are, for the longest.
    pub(super) fn stale(&self) -> Option<Trouble> {
        let lost = self.by_kind.iter();
        let lost = lost.filter(|(kind, _)| kind.decides_endpoints());
        let lost = lost.map(|(_, trouble)| trouble).chain(&self.no_pools);
        lost.min_by_key(|trouble| trouble.since).cloned()
    }

    /// What cannot be read beside that.
    pub(super) fn others(&self) -> Vec<Trouble> {
        let others = self.by_kind.iter();
        let others = others.filter(|(kind, _)| !kind.decides_endpoints());
        others.map(|(_, trouble)| trouble.clone()).collect()
    }
}
