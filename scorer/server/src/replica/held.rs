//! How many blocks every holder holds, by medium.

use std::collections::HashMap;

use proto_model::{Delta, Holder, Medium};

/// Counts that lists show; lookups do not need them.
#[derive(Debug, Default)]
pub(super) struct HeldBlocks {
    counts: HashMap<Holder, [u64; Medium::ALL.len()]>,
}

impl HeldBlocks {
    pub(super) fn of(&self, holder: Holder) -> [u64; Medium::ALL.len()] {
        self.counts.get(&holder).copied().unwrap_or_default()
    }

    pub(super) fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::HolderBegan { holder, .. } => {
                self.counts.insert(*holder, Default::default());
            }
            Delta::HolderEnded { holder } => {
                self.counts.remove(holder);
            }
            // The state reports every key once per medium, so sums are exact.
            Delta::Stored {
                holder,
                medium,
                keys,
            } => {
                if let Some(counts) = self.counts.get_mut(holder) {
                    counts[*medium as usize] += keys.len() as u64;
                }
            }
            Delta::Removed {
                holder,
                medium,
                keys,
            } => {
                if let Some(counts) = self.counts.get_mut(holder) {
                    let count = &mut counts[*medium as usize];
                    *count = count.saturating_sub(keys.len() as u64);
                }
            }
            Delta::Status(_) | Delta::Space(_) | Delta::PublisherRemoved { .. } => {}
        }
    }
}
