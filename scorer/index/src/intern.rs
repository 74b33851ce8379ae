//! Every distinct holder set once, and the way from one to the next.
//!
//! Sets of one holder live in their id. All others have a record in the set
//! pages, found again by content, counted by the blocks that refer to it. A
//! record that nothing refers to rests until the epoch has moved, and is then
//! used again.

mod edits;
mod space;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use proto_model::MediumSet;

use crate::lanes;
use crate::set_id::{SetId, SetView};
use crate::shared::{Core, SET_PAGE, SetPage};
use edits::EditCache;
use space::Space;

pub(crate) use edits::Edit;

/// One reference in a record's header.
const REFERENCE: u64 = 1 << 16;

/// There is no memory for another record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetsFull;

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    by_content: HashTable<u32>,
    space: Space,
    /// Records that may have no reference.
    resting: Vec<u32>,
    edits: EditCache,
    /// Lanes of the set in the making.
    making: Vec<u64>,
    /// Bytes that new pages may take. Set by the owner, used up here.
    pub(crate) room: usize,
}

impl Interner {
    /// Bytes of the books and the pages.
    pub(crate) fn bytes(&self) -> usize {
        self.by_content.allocation_size()
            + self.space.bytes()
            + (self.resting.capacity() * 4)
            + self.making.capacity() * 8
            + self.edits.bytes()
    }

    /// Records.
    pub(crate) fn len(&self) -> usize {
        self.by_content.len()
    }

    /// Records that may have to be given back.
    pub(crate) fn resting(&self) -> usize {
        self.resting.len()
    }

    /// Set pages ever used.
    pub(crate) fn span(&self) -> usize {
        self.space.span()
    }

    /// The set after an edit. A record that is new has no reference yet.
    #[inline]
    pub(crate) fn edit(&mut self, core: &Core, set: SetId, edit: Edit) -> Result<SetId, SetsFull> {
        match (set.view(), edit) {
            (SetView::Empty, Edit::Add { slot, medium }) => {
                return Ok(SetId::one(slot, MediumSet::EMPTY.with(medium)));
            }
            (
                SetView::One {
                    slot: theirs,
                    media,
                },
                Edit::Add { slot, medium },
            ) if theirs == slot => {
                return Ok(SetId::one(slot, media.with(medium)));
            }
            (
                SetView::One {
                    slot: theirs,
                    media,
                },
                Edit::Take { slot, medium },
            ) => {
                return Ok(if theirs == slot {
                    SetId::one(slot, media.without(medium))
                } else {
                    set
                });
            }
            _ => {}
        }
        if let Some(known) = self.edits.get(set, edit) {
            return Ok(known);
        }
        self.load(core, set);
        // A set that is being moved would come back under another name, and the
        // edit would seem to have changed something.
        let after = if edit.apply(&mut self.making) {
            self.intern(core)?
        } else {
            set
        };
        self.edits.put(set, edit, after);
        Ok(after)
    }

    /// The set without the slots in `gone` (a word for each span), and out of every
    /// page that is being emptied.
    pub(crate) fn clean(
        &mut self,
        core: &Core,
        set: SetId,
        gone: &[u64],
    ) -> Result<SetId, SetsFull> {
        let gone_at = |span: u32| gone.get(span as usize).copied().unwrap_or(0);
        match set.view() {
            SetView::Empty => return Ok(set),
            SetView::One { slot, .. } => {
                let (span, bit) = lanes::place(slot);
                let is_gone = gone_at(span) & bit != 0;
                return Ok(if is_gone { SetId::EMPTY } else { set });
            }
            SetView::Record(_) => {}
        }
        if let Some(known) = self.edits.get(set, Edit::Clean) {
            return Ok(known);
        }
        self.load(core, set);
        for lane in &mut self.making {
            *lane &= !gone_at(lanes::span(*lane));
        }
        self.making.retain(|lane| lane & lanes::SLOTS != 0);
        let after = self.intern(core)?;
        self.edits.put(set, Edit::Clean, after);
        Ok(after)
    }

    /// Notes that `count` more blocks refer to the set.
    pub(crate) fn refer(&mut self, core: &Core, set: SetId, count: u32) {
        if let SetView::Record(record) = set.view() {
            let header = word(core, record);
            let now = header.load(Ordering::Relaxed) + REFERENCE * u64::from(count);
            header.store(now, Ordering::Relaxed);
        }
    }

    /// Notes that `count` fewer blocks refer to the set.
    pub(crate) fn release(&mut self, core: &Core, set: SetId, count: u32) {
        if let SetView::Record(record) = set.view() {
            let header = word(core, record);
            let now = header.load(Ordering::Relaxed) - REFERENCE * u64::from(count);
            header.store(now, Ordering::Relaxed);
            if now < REFERENCE {
                self.resting.push(record);
            }
        }
    }

    /// Gives back the records at rest that nothing refers to. The epoch has moved
    /// since they came to rest.
    pub(crate) fn wake(&mut self, core: &Core) {
        let mut resting = std::mem::take(&mut self.resting);
        let mut given = false;
        for record in resting.drain(..) {
            let header = word(core, record);
            let lanes = header.load(Ordering::Relaxed);
            // A record may be listed twice; the second time its header is 0.
            if lanes >= REFERENCE || lanes == 0 {
                continue;
            }
            let hash = content_hash(core, record);
            if let Ok(known) = self.by_content.find_entry(hash, |known| *known == record) {
                known.remove();
            }
            header.store(0, Ordering::Relaxed);
            self.space.give(record, lanes as usize + 1);
            given = true;
        }
        self.resting = resting;
        if given {
            self.edits.clear();
            self.shrink(core);
        }
    }

    /// Whether much of the set pages is unused.
    pub(crate) fn is_sparse(&self) -> bool {
        self.space.is_sparse()
    }

    /// If much of the set pages is unused, begins to empty them: no set in the
    /// pages of now is found again, so that [`Interner::clean`] moves them all.
    pub(crate) fn condemn_if_sparse(&mut self) -> bool {
        let sparse = self.space.condemn_if_sparse();
        if sparse {
            self.by_content
                .retain(|record| !self.space.is_condemned(*record));
        }
        self.edits.clear();
        sparse
    }

    /// Forgets what was remembered about [`Edit::Clean`].
    pub(crate) fn forget_edits(&mut self) {
        self.edits.clear();
    }

    /// The pages that have been emptied, to be dropped by the owner. Call only
    /// when nothing rests.
    pub(crate) fn take_emptied(&mut self) -> Vec<u32> {
        self.space.take_condemned()
    }

    fn shrink(&mut self, core: &Core) {
        if self.by_content.capacity() > 1024
            && self.by_content.len() < self.by_content.capacity() / 8
        {
            self.by_content
                .shrink_to(0, |record| content_hash(core, *record));
        }
    }

    /// Puts the set's lanes into `making`.
    fn load(&mut self, core: &Core, set: SetId) {
        self.making.clear();
        match set.view() {
            SetView::Empty => {}
            SetView::One { slot, media } => self.making.extend(lanes::lone(slot, media)),
            SetView::Record(record) => {
                let lanes = core.lanes(record).unwrap_or_default();
                self.making
                    .extend(lanes.iter().map(|lane| lane.load(Ordering::Relaxed)));
            }
        }
    }

    /// The id of the set in `making`.
    fn intern(&mut self, core: &Core) -> Result<SetId, SetsFull> {
        if self.making.is_empty() {
            return Ok(SetId::EMPTY);
        }
        if let Some((slot, media)) = lanes::only(&self.making) {
            return Ok(SetId::one(slot, media));
        }
        let (making, space) = (&self.making, &mut self.space);
        let is_same = |record: &u32| {
            let lanes = core.lanes(*record).unwrap_or_default();
            lanes.len() == making.len()
                && lanes
                    .iter()
                    .zip(making)
                    .all(|(a, b)| a.load(Ordering::Relaxed) == *b)
        };
        if self.by_content.len() == self.by_content.capacity() {
            let growth = self.by_content.allocation_size() * 2;
            self.room = self.room.checked_sub(growth).ok_or(SetsFull)?;
        }
        let hash = fold(making.iter().copied(), core.seed);
        match self
            .by_content
            .entry(hash, is_same, |record| content_hash(core, *record))
        {
            Entry::Occupied(known) => Ok(SetId(*known.get())),
            Entry::Vacant(place) => {
                let record = space.take(making.len() + 1, &mut self.room, |page| {
                    let Some(place) = core.set_pages.get(page as usize) else {
                        return false;
                    };
                    place.set(Arc::new(SetPage::new())).is_ok()
                });
                let record = record.ok_or(SetsFull)?;
                write(core, record, making);
                place.insert(record);
                // Nothing refers to it yet, and perhaps nothing ever will.
                self.resting.push(record);
                Ok(SetId(record))
            }
        }
    }
}

/// A word of the set pages. The writer's core has all of them.
fn word(core: &Core, at: u32) -> &AtomicU64 {
    static NOWHERE: AtomicU64 = AtomicU64::new(0);
    let page = core
        .set_pages
        .get(at as usize / SET_PAGE)
        .and_then(std::sync::OnceLock::get);
    debug_assert!(page.is_some(), "set record {at} lies in no page");
    page.map_or(&NOWHERE, |page| &page.0[at as usize % SET_PAGE])
}

fn write(core: &Core, record: u32, lanes: &[u64]) {
    for (at, lane) in (record + 1..).zip(lanes) {
        word(core, at).store(*lane, Ordering::Relaxed);
    }
    // The block that will name this record is stored later, with release.
    word(core, record).store(lanes.len() as u64, Ordering::Release);
}

fn content_hash(core: &Core, record: u32) -> u64 {
    let lanes = core.lanes(record).unwrap_or_default();
    fold(
        lanes.iter().map(|lane| lane.load(Ordering::Relaxed)),
        core.seed,
    )
}

fn fold(lanes: impl Iterator<Item = u64>, seed: u64) -> u64 {
    lanes.fold(seed, |hash, lane| {
        let product = u128::from(hash ^ lane) * 0x9e37_79b9_7f4a_7c15_u128;
        (product >> 64) as u64 ^ (product as u64).rotate_left(23)
    })
}
