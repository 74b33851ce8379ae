//! The blocks of one publisher: engine hash, key, and counts of copies.
//!
//! ```text
//!  by_hash: hash ─┐              slots: [hash|key|meta] [hash|key|meta] ...
//!                 ├─▶ slot index ──▶ 24 bytes each, reused through a free list
//!  by_key:  key ──┘
//!  shared:  key ──▶ counts, for the keys that more than one hash has
//! ```
//!
//! Several engine hashes may have one key (extras that the engine hashes but
//! does not publish, an adapter loaded again), and the membership must last as
//! long as the last of them. Counting that for every key would cost another 16
//! bytes per block; so `by_key` only finds the *first* hash of a key, and when a
//! second one comes the key moves to `shared`, which counts. A key in `shared`
//! is not in `by_key`, and stays in `shared` until no hash has it.

mod meta;

use hashbrown::hash_table::Entry as TableEntry;
use hashbrown::{HashMap, HashTable};
use proto_model::Medium;

use meta::Meta;
pub(crate) use meta::{COPIES_MAX, GROUPS_MAX};

/// Ends the free list.
const NONE: u32 = u32::MAX;

/// Names a slot until it is freed.
pub(crate) type SlotId = u32;

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The engine hash, or the next free slot.
    hash: u64,
    key: u64,
    meta: Meta,
}

/// How many hashes have a key, and how many of them are members per medium.
#[derive(Debug, Clone, Copy, Default)]
struct Shared {
    slots: u32,
    present: [u32; 4],
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    free: u32,
    by_hash: HashTable<u32>,
    by_key: HashTable<u32>,
    shared: HashMap<u64, Shared, Mixing>,
    /// Copies of groups other than the first: (slot, group, medium) -> count.
    side: HashMap<u64, u32, Mixing>,
    members: [u64; 4],
    copies: [u64; 4],
}

impl Default for Table {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            by_hash: HashTable::new(),
            by_key: HashTable::new(),
            shared: HashMap::default(),
            side: HashMap::default(),
            members: [0; 4],
            copies: [0; 4],
        }
    }
}

impl Table {
    /// Engine hashes held.
    pub(crate) fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Slots plus side counts: what the limit on blocks bounds.
    pub(crate) fn weight(&self) -> usize {
        self.by_hash.len() + self.side.len()
    }

    /// Keys that are members on `medium`.
    pub(crate) fn members(&self, medium: Medium) -> u64 {
        self.members[medium as usize]
    }

    /// Whether any key is a member on any medium.
    pub(crate) fn has_members(&self) -> bool {
        self.members.iter().any(|count| *count > 0)
    }

    /// Whether any copy lies elsewhere than on `medium`.
    pub(crate) fn has_copies_off(&self, medium: Medium) -> bool {
        Medium::ALL
            .iter()
            .any(|other| *other != medium && self.copies[*other as usize] > 0)
    }

    /// Bytes allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.by_hash.allocation_size()
            + self.by_key.allocation_size()
            + self.shared.allocation_size()
            + self.side.allocation_size()
    }

    pub(crate) fn find(&self, hash: u64) -> Option<SlotId> {
        self.by_hash
            .find(mix(hash), |id| self.slots[*id as usize].hash == hash)
            .copied()
    }

    /// Looks hashes up side by side, so that what is then done to one after the
    /// other need not wait for memory each time. Changes nothing.
    pub(crate) fn bring_near(&self, hashes: impl Iterator<Item = u64>) {
        let mut found = 0_u32;
        for hash in hashes {
            let Some(id) = self.find(hash) else { continue };
            let key = self.slots[id as usize].key;
            let first = self.by_key.find(mix(key), |other| *other == id);
            found = found.wrapping_add(u32::from(first.is_some()));
        }
        // The lookups are the point; nobody wants their result.
        std::hint::black_box(found);
    }

    pub(crate) fn hash(&self, id: SlotId) -> u64 {
        self.slots[id as usize].hash
    }

    pub(crate) fn key(&self, id: SlotId) -> u64 {
        self.slots[id as usize].key
    }

    /// The index of the key space that the block was stored in.
    pub(crate) fn space(&self, id: SlotId) -> u16 {
        self.slots[id as usize].meta.space()
    }

    /// Whether the block is a member on `medium`.
    pub(crate) fn is_member(&self, id: SlotId, medium: Medium) -> bool {
        self.slots[id as usize].meta.member(medium)
    }

    /// Every slot in use, in no order that means anything.
    pub(crate) fn ids(&self) -> impl Iterator<Item = SlotId> + '_ {
        (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.meta != Meta::FREE)
            .map(|(id, _)| id)
    }

    /// Adds a block that is not in the table. It must be given a copy next, or
    /// be released.
    pub(crate) fn insert(&mut self, hash: u64, key: u64, space: u16) -> SlotId {
        let id = self.take_slot(Slot {
            hash,
            key,
            meta: Meta::new(space),
        });
        let slots = &self.slots;
        self.by_hash
            .insert_unique(mix(hash), id, |id| mix(slots[*id as usize].hash));
        self.link_key(id, key);
        id
    }

    /// Frees the slot if no copy is left; says whether it did.
    pub(crate) fn release(&mut self, id: SlotId) -> bool {
        let slot = self.slots[id as usize];
        if slot.meta == Meta::FREE || !slot.meta.has_no_copies() {
            return false;
        }
        if let Ok(found) = self
            .by_hash
            .find_entry(mix(slot.hash), |other| *other == id)
        {
            found.remove();
        }
        self.unlink_key(id, slot);
        self.slots[id as usize] = Slot {
            hash: u64::from(self.free),
            key: 0,
            meta: Meta::FREE,
        };
        self.free = id;
        true
    }

    /// Copies of the block on `medium` in the group at index `group`.
    pub(crate) fn copies(&self, id: SlotId, group: usize, medium: Medium) -> u32 {
        if group == 0 {
            return self.slots[id as usize].meta.copies(medium);
        }
        self.side
            .get(&side_key(id, group, medium))
            .copied()
            .unwrap_or(0)
    }

    /// Counts one more copy; false if the count is at its end.
    pub(crate) fn add_copy(&mut self, id: SlotId, group: usize, medium: Medium) -> bool {
        let held = self.copies(id, group, medium);
        if held < COPIES_MAX {
            self.set_copies(id, group, medium, held + 1);
        }
        held < COPIES_MAX
    }

    /// Takes one copy away; false if there is none.
    pub(crate) fn take_copy(&mut self, id: SlotId, group: usize, medium: Medium) -> bool {
        let held = self.copies(id, group, medium);
        if held > 0 {
            self.set_copies(id, group, medium, held - 1);
        }
        held > 0
    }

    pub(crate) fn set_copies(&mut self, id: SlotId, group: usize, medium: Medium, count: u32) {
        let held = self.copies(id, group, medium);
        let total = &mut self.copies[medium as usize];
        *total = *total - u64::from(held) + u64::from(count);
        let meta = &mut self.slots[id as usize].meta;
        if group == 0 {
            meta.set_copies(medium, count);
            return;
        }
        let key = side_key(id, group, medium);
        if count == 0 {
            if self.side.remove(&key).is_some() {
                meta.add_side(-1);
            }
        } else if self.side.insert(key, count).is_none() {
            meta.add_side(1);
        }
    }

    /// Makes the block a member on `medium`, or not. True if that changed
    /// whether the *key* is one.
    pub(crate) fn set_member(&mut self, id: SlotId, medium: Medium, member: bool) -> bool {
        let slot = &mut self.slots[id as usize];
        if slot.meta.member(medium) == member {
            return false;
        }
        slot.meta.set_member(medium, member);
        let mut changed = true;
        if slot.meta.shared()
            && let Some(shared) = self.shared.get_mut(&slot.key)
        {
            let present = &mut shared.present[medium as usize];
            let before = *present;
            *present = if member { before + 1 } else { before - 1 };
            changed = (before == 0) != (*present == 0);
        }
        if changed {
            let count = &mut self.members[medium as usize];
            *count = if member { *count + 1 } else { *count - 1 };
        }
        changed
    }

    fn take_slot(&mut self, slot: Slot) -> SlotId {
        if self.free != NONE {
            let id = self.free;
            // A free slot's hash was written from a slot number.
            #[expect(clippy::cast_possible_truncation, reason = "written from a u32")]
            let next = self.slots[id as usize].hash as u32;
            self.free = next;
            self.slots[id as usize] = slot;
            return id;
        }
        if self.slots.len() == self.slots.capacity() {
            // An eighth at a time: doubling would waste half of a large table.
            self.slots.reserve_exact(self.slots.len() / 8 + 16);
        }
        let id = u32::try_from(self.slots.len()).unwrap_or(NONE);
        self.slots.push(slot);
        id
    }

    fn link_key(&mut self, id: SlotId, key: u64) {
        if let Some(shared) = self.shared.get_mut(&key) {
            shared.slots += 1;
            self.slots[id as usize].meta.set_shared();
            return;
        }
        let slots = &mut self.slots;
        let same = |other: &u32| slots[*other as usize].key == key;
        let rehash = |other: &u32| mix(slots[*other as usize].key);
        match self.by_key.entry(mix(key), same, rehash) {
            TableEntry::Vacant(place) => {
                place.insert(id);
            }
            TableEntry::Occupied(found) => {
                let (first, _) = found.remove();
                let mut shared = Shared {
                    slots: 2,
                    present: [0; 4],
                };
                for medium in Medium::ALL {
                    let member = slots[first as usize].meta.member(medium);
                    shared.present[medium as usize] = u32::from(member);
                }
                slots[first as usize].meta.set_shared();
                slots[id as usize].meta.set_shared();
                self.shared.insert(key, shared);
            }
        }
    }

    fn unlink_key(&mut self, id: SlotId, slot: Slot) {
        if !slot.meta.shared() {
            if let Ok(found) = self.by_key.find_entry(mix(slot.key), |other| *other == id) {
                found.remove();
            }
        } else if let Some(shared) = self.shared.get_mut(&slot.key) {
            shared.slots -= 1;
            if shared.slots == 0 {
                self.shared.remove(&slot.key);
            }
        }
    }
}

fn side_key(id: SlotId, group: usize, medium: Medium) -> u64 {
    u64::from(id) << 8 | (group as u64) << 2 | medium as u64
}

/// Spreads hashes and keys over a table. They are hashes already, but not all
/// engines' are good ones; the order of a table is never observable.
pub(crate) fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "both halves are folded together"
    )]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded
}

/// Hashes one u64 with [`mix`].
#[derive(Debug, Clone, Copy, Default)]
struct Mixing;

/// The hasher of [`Mixing`].
#[derive(Debug, Default)]
struct MixHasher(u64);

impl std::hash::BuildHasher for Mixing {
    type Hasher = MixHasher;

    fn build_hasher(&self) -> MixHasher {
        MixHasher(0)
    }
}

impl std::hash::Hasher for MixHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0 ^ value);
    }
}
