//! The memory that the indexes of several stores share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use scorer_index::{IndexLimits, PrefixIndex};

/// One index's part of a bound on all of them.
///
/// Half of the memory is set aside in equal parts, so that a small cluster has
/// room however large another one grows; the other half goes to whoever needs
/// it. Followers look at each other before every change, so the bound is kept to
/// within one change of each.
#[derive(Debug, Clone)]
pub(super) struct MemoryShare {
    max_bytes: usize,
    /// Bytes in use, by index.
    used: Arc<[AtomicUsize]>,
    number: usize,
}

impl MemoryShare {
    /// The whole memory for one index.
    pub(super) fn alone(limits: IndexLimits) -> Self {
        Self {
            max_bytes: limits.max_bytes,
            used: Arc::new([AtomicUsize::new(0)]),
            number: 0,
        }
    }

    /// Equal rights to the memory for `count` indexes.
    pub(super) fn of(limits: IndexLimits, count: usize) -> impl Iterator<Item = Self> {
        let used: Arc<[AtomicUsize]> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        (0..count).map(move |number| Self {
            max_bytes: limits.max_bytes,
            used: Arc::clone(&used),
            number,
        })
    }

    /// What the index may take now.
    pub(super) fn limits(&self) -> IndexLimits {
        let others = self.used.iter().enumerate();
        let others = others.filter(|(number, _)| *number != self.number);
        let aside = self.set_aside();
        let borrowed =
            |(_, used): (usize, &AtomicUsize)| used.load(Ordering::Relaxed).saturating_sub(aside);
        let for_all = self.max_bytes - aside * self.used.len();
        let left = others
            .map(borrowed)
            .fold(for_all, |left, used| left.saturating_sub(used));
        IndexLimits {
            max_bytes: aside + left,
        }
    }

    /// Runs a change of the index within what it may take now.
    pub(super) fn within(&self, index: &PrefixIndex, change: impl FnOnce()) {
        if self.used.len() == 1 {
            return change();
        }
        index.set_limits(self.limits());
        change();
        self.used[self.number].store(index.bytes(), Ordering::Relaxed);
    }

    /// Set aside for each.
    fn set_aside(&self) -> usize {
        match self.used.len() {
            1 => self.max_bytes,
            count => self.max_bytes / (2 * count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(share: &MemoryShare) -> usize {
        share.limits().max_bytes
    }

    #[test]
    fn one_index_has_everything() {
        let shares: Vec<_> = MemoryShare::of(IndexLimits { max_bytes: 100 }, 1).collect();
        assert_eq!(allowed(&shares[0]), 100);
        shares[0].used[0].store(90, Ordering::Relaxed);
        assert_eq!(allowed(&shares[0]), 100, "its own use takes nothing away");
    }

    #[test]
    fn a_large_index_leaves_the_others_what_is_set_aside() {
        let shares: Vec<_> = MemoryShare::of(IndexLimits { max_bytes: 400 }, 2).collect();
        assert_eq!((allowed(&shares[0]), allowed(&shares[1])), (300, 300));
        shares[0].used[0].store(250, Ordering::Relaxed);
        assert_eq!(allowed(&shares[1]), 150);
        shares[0].used[0].store(300, Ordering::Relaxed);
        assert_eq!((allowed(&shares[0]), allowed(&shares[1])), (300, 100));
        shares[1].used[1].store(100, Ordering::Relaxed);
        assert_eq!(
            allowed(&shares[0]),
            300,
            "what is set aside is not borrowed"
        );
    }
}
