//! What can be done to a set, and a memory of what came out.

use proto_model::Medium;

use crate::lanes;
use crate::set_id::SetId;

/// Remembered results; a power of two.
const CACHE: usize = 2048;

/// One change to a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// The slot has the block on this medium, too.
    Add { slot: u32, medium: Medium },
    /// The slot has it on this medium no longer.
    Take { slot: u32, medium: Medium },
    /// The sweep's; what it does depends on the round.
    Clean,
}

impl Edit {
    /// Changes the lanes of a set; whether that changed anything.
    pub(super) fn apply(self, set: &mut Vec<u64>) -> bool {
        match self {
            Self::Add { slot, medium } => {
                let (span, bit) = lanes::place(slot);
                let lane = lanes::lane(span, medium, bit);
                match find(set, lane) {
                    Ok(at) if set[at] & bit != 0 => return false,
                    Ok(at) => set[at] |= bit,
                    Err(at) => set.insert(at, lane),
                }
                true
            }
            Self::Take { slot, medium } => {
                let (span, bit) = lanes::place(slot);
                let at = find(set, lanes::lane(span, medium, bit));
                let Some(at) = at.ok().filter(|at| set[*at] & bit != 0) else {
                    return false;
                };
                set[at] &= !bit;
                if set[at] & lanes::SLOTS == 0 {
                    set.remove(at);
                }
                true
            }
            Self::Clean => false,
        }
    }

    fn code(self) -> u32 {
        match self {
            Self::Add { slot, medium } => slot << 3 | (medium as u32) << 1,
            Self::Take { slot, medium } => slot << 3 | (medium as u32) << 1 | 1,
            Self::Clean => u32::MAX,
        }
    }
}

/// Where a set has the lane with the same span and medium, or would have it.
fn find(set: &[u64], lane: u64) -> Result<usize, usize> {
    set.binary_search_by_key(&lanes::head(lane), |lane| lanes::head(*lane))
}

/// Set and edit to set; one place per hash, the newest wins.
#[derive(Debug)]
pub(super) struct EditCache {
    places: Box<[(SetId, u32, SetId)]>,
    used: bool,
}

impl Default for EditCache {
    fn default() -> Self {
        Self {
            places: vec![(SetId::EMPTY, 0, SetId::EMPTY); CACHE].into(),
            used: false,
        }
    }
}

impl EditCache {
    pub(super) fn bytes(&self) -> usize {
        self.places.len() * size_of::<(SetId, u32, SetId)>()
    }

    /// The result remembered; the empty set is never asked about.
    pub(super) fn get(&self, set: SetId, edit: Edit) -> Option<SetId> {
        let (key, code, after) = self.places[place(set, edit.code())];
        (key == set && code == edit.code()).then_some(after)
    }

    pub(super) fn put(&mut self, set: SetId, edit: Edit, after: SetId) {
        self.places[place(set, edit.code())] = (set, edit.code(), after);
        self.used = true;
    }

    /// Forgets everything, because ids are about to get another meaning.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.used) {
            self.places.fill((SetId::EMPTY, 0, SetId::EMPTY));
        }
    }
}

fn place(set: SetId, code: u32) -> usize {
    let hash = (u64::from(set.0) << 32 | u64::from(code)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 53) as usize % CACHE
}
