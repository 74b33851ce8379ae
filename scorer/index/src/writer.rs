//! The one writer: turns deltas into stores that readers may see at any time.
//!
//! Rules that keep readers right without a lock:
//!
//! 1. A block's key is written before its set, its set before its table entry.
//! 2. A slot, a set record or a holder slot that is given up rests until the
//!    epoch has moved.
//! 3. Whatever must move (a table piece, a directory) is built anew and published
//!    in a new core; a block that moves is in its new place before it leaves the
//!    old one.

mod ahead;
mod blocks;
mod changes;
mod compact;
mod groups;
mod sweep;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proto_model::{Delta, Holder};

use crate::arena::Arena;
use crate::intern::Interner;
use crate::page::{PAGE, Page};
use crate::roster::Roster;
use crate::shared::{Core, Shared, directory};
use crate::table::{SUB_TABLES, SubTable};
use crate::{IndexLimits, IndexStats};
use sweep::Round;

/// Keys handled between two looks at the books.
const CHUNK: usize = 64;

/// Slots of the sweep's round visited per key applied.
const SWEEP_PER_KEY: usize = 1;

/// Per key stored, another one for each quarter of all blocks that ended holders have
/// left as memberships, up to so many: the more is left, the sooner a round ends, or
/// memory would grow for want of idle time. Removals need not hurry: they take none.
const SWEEP_PER_STORE: usize = 4;

/// Resting slots or sets from which on it is worth to move the epoch: often
/// enough to waste little memory, seldom enough to disturb few lookups.
const REST_MIN: usize = 2048;

/// Free places in a directory that one chunk of work can need at most.
const SPARE_PAGES: usize = 16;
const SPARE_SET_PAGES: usize = 512;

/// See the module's words.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) limits: IndexLimits,
    pub(crate) shared: Arc<Shared>,
    core: Arc<Core>,
    /// Entries of every piece of the table.
    counts: Vec<u32>,
    table_bytes: usize,
    arena: Arena,
    sets: Interner,
    roster: Roster,
    round: Option<Round>,
    /// The page being emptied, and the next offset in it.
    victim: Option<(u32, usize)>,
    /// The group whose sets are being changed: its first slot.
    open: Option<u32>,
    blocks: usize,
    memberships: u64,
    unknown_holder: u64,
    /// Memberships of holders that have ended since the last round began.
    left: u64,
}

impl Writer {
    pub(crate) fn new(limits: IndexLimits) -> Self {
        let core = Arc::new(Core::new(RandomState::new().build_hasher().finish()));
        let mut writer = Self {
            limits,
            shared: Arc::new(Shared::new(Arc::clone(&core))),
            table_bytes: core.table.iter().map(SubTable::bytes).sum(),
            core,
            counts: vec![0; SUB_TABLES],
            arena: Arena::default(),
            sets: Interner::default(),
            roster: Roster::default(),
            round: None,
            victim: None,
            open: None,
            blocks: 0,
            memberships: 0,
            unknown_holder: 0,
            left: 0,
        };
        writer.sets.room = writer.room();
        writer
    }

    /// Goes on for readers of `shared`, which until now another writer served.
    pub(crate) fn take_over(&mut self, shared: &Arc<Shared>) {
        let refused = self.shared.overflowed.load(Ordering::Relaxed);
        self.shared = Arc::clone(shared);
        self.shared.overflowed.store(refused, Ordering::Relaxed);
        self.shared.publish(&self.core);
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::HolderBegan { holder, .. } => self.begin(*holder),
            Delta::HolderEnded { holder } => self.end(*holder),
            Delta::Stored {
                holder,
                medium,
                keys,
            } => match self.roster.slot(*holder) {
                Some(slot) => self.store(slot, *medium, keys),
                None => self.unknown_holder += 1,
            },
            Delta::Removed {
                holder,
                medium,
                keys,
            } => match self.roster.slot(*holder) {
                Some(slot) => self.remove(slot, *medium, keys),
                None => self.unknown_holder += 1,
            },
            Delta::Status(_) | Delta::Space(_) | Delta::PublisherRemoved { .. } => {}
        }
    }

    /// Does up to `budget` steps of deferred work; whether more is left.
    pub(crate) fn tidy(&mut self, budget: usize) -> bool {
        let mut left = budget;
        loop {
            let steps = left.min(CHUNK);
            left -= steps;
            self.keep_books(steps, steps);
            self.compact(steps.max(1), true);
            if left == 0 || !self.is_untidy() {
                break;
            }
        }
        if self.is_resting() {
            self.wake();
        }
        self.drop_empty_pages(true);
        self.fit_table(budget) || self.is_untidy()
    }

    pub(crate) fn stats(&self) -> IndexStats {
        IndexStats {
            blocks: self.blocks,
            memberships: self.memberships,
            holders: self.roster.len(),
            holder_sets: self.sets.len(),
            bytes: self.bytes(),
            pending_sweep: self.pending_sweep(),
            overflowed: self.shared.overflowed.load(Ordering::Relaxed),
            unknown_holder: self.unknown_holder,
            lookup_retries: self.shared.retries.load(Ordering::Relaxed),
        }
    }

    fn begin(&mut self, holder: Holder) {
        if self.roster.slot(holder).is_some() {
            return;
        }
        self.keep_books_for_stores(CHUNK);
        let Some(slot) = self.roster.begin(holder) else {
            self.refuse(1);
            return;
        };
        if slot as usize >= self.core.roster.len() {
            let mut core = (*self.core).clone();
            let known = core.roster.iter().map(|word| word.load(Ordering::Relaxed));
            let room = std::iter::repeat_n(0, core.roster.len());
            core.roster = known.chain(room).map(Into::into).collect();
            self.publish(core);
        }
        self.core.put_holder(slot, Some(holder));
    }

    /// From here on no lookup reports the holder; its memberships go bit by bit.
    fn end(&mut self, holder: Holder) {
        if let Some((slot, memberships)) = self.roster.end(holder) {
            self.core.put_holder(slot, None);
            self.memberships = self.memberships.saturating_sub(memberships);
            self.left += memberships;
        }
    }

    /// Before so many keys are stored: lets deferred work take its share.
    fn keep_books_for_stores(&mut self, keys: usize) {
        let left = self.left + self.round.as_ref().map_or(0, Round::left);
        let quarters = 4 * left / (self.blocks as u64).max(1);
        let more = usize::try_from(quarters).unwrap_or(usize::MAX);
        let per_key = SWEEP_PER_KEY.saturating_add(more).min(SWEEP_PER_STORE);
        self.keep_books(keys * per_key, keys);
    }

    /// The same before so many are removed.
    fn keep_books_for_removals(&mut self, keys: usize) {
        self.keep_books(keys * SWEEP_PER_KEY, keys);
    }

    /// Before each chunk of work: lets the sweep visit so many slots and compaction
    /// move so many blocks, and makes sure that directories have room.
    fn keep_books(&mut self, slots: usize, moves: usize) {
        let worth = REST_MIN.max(self.arena.present() * PAGE / 64);
        let resting = self.arena.resting() + self.sets.resting();
        let short = self.arena.usable() < CHUNK && self.room() < PAGE * 64;
        if resting >= worth || (short && resting > 0) {
            self.wake();
        }
        self.sweep(slots);
        self.compact(moves, false);
        self.widen_directories();
        self.sets.room = self.room();
    }

    /// Makes everything at rest usable again.
    fn wake(&mut self) {
        self.shared.bump();
        self.arena.wake();
        self.sets.wake(&self.core);
        self.roster.wake();
        self.drop_empty_pages(false);
    }

    fn is_resting(&self) -> bool {
        self.arena.resting() + self.sets.resting() + self.roster.resting() > 0
    }

    fn is_untidy(&self) -> bool {
        self.round.is_some()
            || self.roster.has_ended()
            || self.victim.is_some()
            || self.sets.is_sparse()
    }

    fn widen_directories(&mut self) {
        let pages = self.core.pages.len();
        let sets = self.core.set_pages.len();
        let more_pages = self.arena.span() + SPARE_PAGES > pages;
        let more_sets = self.sets.span() + SPARE_SET_PAGES > sets;
        if more_pages || more_sets {
            let mut core = (*self.core).clone();
            let wide = |len: usize, more: bool| if more { len * 2 } else { len };
            core.pages = directory(&core.pages, wide(pages, more_pages), |_| true);
            core.set_pages = directory(&core.set_pages, wide(sets, more_sets), |_| true);
            self.publish(core);
        }
    }

    fn drop_empty_pages(&mut self, idle: bool) {
        if self.arena.drop_empty_pages(idle) {
            let mut core = (*self.core).clone();
            let keep = |page: usize| page < self.arena.span() && self.arena.is_present(page);
            core.pages = directory(&core.pages, core.pages.len(), keep);
            self.publish(core);
        }
    }

    fn publish(&mut self, core: Core) {
        self.core = Arc::new(core);
        self.shared.publish(&self.core);
    }

    fn refuse(&self, memberships: u64) {
        self.shared
            .overflowed
            .fetch_add(memberships, Ordering::Relaxed);
    }

    pub(crate) fn set_limits(&mut self, limits: IndexLimits) {
        self.limits = limits;
        self.sets.room = self.room();
    }

    pub(crate) fn bytes(&self) -> usize {
        // An `Arc` has two counts, a directory's place a state and a pointer.
        let tables = self.table_bytes + SUB_TABLES * (16 + 4 + size_of::<SubTable>());
        tables
            + self.arena.present() * (size_of::<Page>() + 16)
            + self.arena.bytes()
            + self.sets.bytes()
            + (self.core.pages.len() + self.core.set_pages.len()) * 16
            + self.core.roster.len() * 8
            + self.roster.bytes()
            + self.round.as_ref().map_or(0, Round::bytes)
    }

    /// Bytes that may still be taken.
    fn room(&self) -> usize {
        self.limits.max_bytes.saturating_sub(self.bytes())
    }
}
