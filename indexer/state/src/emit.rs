//! Collects key changes into bounded deltas.

use proto_model::{BlockKey, Delta, Holder, Medium};

/// Most keys in one [`Delta::Stored`] or [`Delta::Removed`].
pub const KEYS_PER_DELTA: usize = 4096;

/// The most keys that room is made for because they may come.
const EXPECTED_KEYS: usize = 64;

/// Writes the deltas of one publisher, joining neighbouring keys.
pub(crate) struct Emit<'a> {
    out: &'a mut Vec<Delta>,
    holder: Holder,
    run: Option<Run>,
    expected: usize,
}

struct Run {
    kind: Kind,
    medium: Medium,
    keys: Vec<BlockKey>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stored,
    Removed,
}

impl<'a> Emit<'a> {
    pub(crate) fn new(out: &'a mut Vec<Delta>, holder: Holder) -> Self {
        Self {
            out,
            holder,
            run: None,
            expected: 0,
        }
    }

    /// Up to so many keys follow.
    pub(crate) fn expect(&mut self, keys: usize) {
        self.expected = keys.min(EXPECTED_KEYS);
    }

    /// A key that became available on `medium`.
    pub(crate) fn stored(&mut self, medium: Medium, key: u64) {
        self.key(Kind::Stored, medium, key);
    }

    /// A key that is gone from `medium`.
    pub(crate) fn removed(&mut self, medium: Medium, key: u64) {
        self.key(Kind::Removed, medium, key);
    }

    /// Any other delta, after the keys so far.
    pub(crate) fn other(&mut self, delta: Delta) {
        self.flush();
        self.out.push(delta);
    }

    /// Keys from now on belong to `holder`.
    pub(crate) fn switch(&mut self, holder: Holder) {
        self.flush();
        self.holder = holder;
    }

    /// Writes what is still collected. Must be called last.
    pub(crate) fn flush(&mut self) {
        let Some(run) = self.run.take() else { return };
        let (holder, medium, keys) = (self.holder, run.medium, run.keys);
        self.out.push(match run.kind {
            Kind::Stored => Delta::Stored {
                holder,
                medium,
                keys,
            },
            Kind::Removed => Delta::Removed {
                holder,
                medium,
                keys,
            },
        });
    }

    fn key(&mut self, kind: Kind, medium: Medium, key: u64) {
        let joins = self.run.as_ref().is_some_and(|run| {
            run.kind == kind && run.medium == medium && run.keys.len() < KEYS_PER_DELTA
        });
        if !joins {
            self.flush();
        }
        let expected = self.expected;
        let run = self.run.get_or_insert_with(|| Run {
            kind,
            medium,
            keys: Vec::with_capacity(expected),
        });
        run.keys.push(BlockKey(key));
    }
}
