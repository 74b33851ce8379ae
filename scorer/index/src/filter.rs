//! Restricts a lookup to some holders.

use hashbrown::HashSet;
use proto_model::Holder;

/// The holders that a lookup may report; all others count as holding nothing.
#[derive(Debug, Clone, Default)]
pub struct HolderFilter {
    holders: HashSet<Holder>,
}

impl HolderFilter {
    /// Whether the holder may be reported.
    #[must_use]
    pub fn allows(&self, holder: Holder) -> bool {
        self.holders.contains(&holder)
    }

    /// How many holders may be reported.
    #[must_use]
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// Whether no holder may be reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }
}

impl FromIterator<Holder> for HolderFilter {
    fn from_iter<I: IntoIterator<Item = Holder>>(holders: I) -> Self {
        Self {
            holders: holders.into_iter().collect(),
        }
    }
}
