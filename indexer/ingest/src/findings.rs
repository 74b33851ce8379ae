//! What an operator should know about publishers, kept until asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What sort of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// The engine's hashes are not what algorithm, seed and version give.
    HashMismatch,
    /// Two endpoints name the same first block differently.
    HashesDiffer,
    /// Blocks have another size than configured.
    BlockSize,
    /// Messages or events could not be read.
    Unreadable,
    /// Nobody knows who publishes on a connection.
    UnknownSource,
    /// Messages were lost for good.
    Lost,
    /// The store, or the ingestor itself, refuses the publisher.
    Refused,
    /// The engine's clock was set back while it ran.
    ClockWentBack,
}

impl FindingKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::HashMismatch,
        Self::HashesDiffer,
        Self::BlockSize,
        Self::Unreadable,
        Self::UnknownSource,
        Self::Lost,
        Self::Refused,
        Self::ClockWentBack,
    ];

    /// The name used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HashMismatch => "hash_mismatch",
            Self::HashesDiffer => "hashes_differ",
            Self::BlockSize => "block_size",
            Self::Unreadable => "unreadable",
            Self::UnknownSource => "unknown_source",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::ClockWentBack => "clock_went_back",
        }
    }
}

/// One thing that is wrong: what was seen, what was expected, how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What sort of trouble it is.
    pub kind: FindingKind,
    /// The publisher (`cluster/address#rank`), or the peer's address where
    /// nobody knows the publisher.
    pub subject: String,
    /// What was seen first.
    pub seen: String,
    /// What was expected instead.
    pub expected: String,
    /// How to mend it.
    pub advice: String,
    /// How often it was seen.
    pub count: u64,
}

/// All findings, one per subject and kind, bounded in number. Clones share it.
#[derive(Debug, Clone)]
pub struct Findings {
    limit: usize,
    found: Arc<Mutex<BTreeMap<(FindingKind, String), Finding>>>,
}

impl Findings {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            found: Arc::default(),
        }
    }

    /// What has been found, ordered by kind and subject.
    #[must_use]
    pub fn list(&self) -> Vec<Finding> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.values().cloned().collect()
    }

    /// Counts a finding; `true` (and one line in the log) if it is new. The
    /// text is made only then. When full, further findings are only logged.
    pub(crate) fn add(
        &self,
        kind: FindingKind,
        subject: &str,
        describe: impl FnOnce() -> Description,
    ) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, subject.to_owned());
        if let Some(finding) = found.get_mut(&key) {
            finding.count = finding.count.saturating_add(1);
            return false;
        }
        if found.len() >= self.limit {
            return false;
        }
        let Description {
            seen,
            expected,
            advice,
        } = describe();
        tracing::warn!(
            kind = kind.as_str(),
            subject,
            seen,
            expected,
            advice,
            "finding"
        );
        let subject = subject.to_owned();
        found.insert(
            key,
            Finding {
                kind,
                subject,
                seen,
                expected,
                advice,
                count: 1,
            },
        );
        true
    }

    /// Forgets a subject's finding, because it no longer holds.
    pub(crate) fn clear(&self, kind: FindingKind, subject: &str) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.remove(&(kind, subject.to_owned()));
    }
}

/// The text of a finding.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) seen: String,
    pub(crate) expected: String,
    pub(crate) advice: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seen: &str) -> Description {
        Description {
            seen: seen.to_owned(),
            expected: String::new(),
            advice: String::new(),
        }
    }

    #[test]
    fn a_finding_is_new_once_and_counted_after() {
        let findings = Findings::new(2);
        assert!(findings.add(FindingKind::BlockSize, "a", || text("first")));
        assert!(!findings.add(FindingKind::BlockSize, "a", || text("second")));
        let list = findings.list();
        assert_eq!((list[0].seen.as_str(), list[0].count), ("first", 2));
        findings.clear(FindingKind::BlockSize, "a");
        assert!(findings.list().is_empty());
    }

    #[test]
    fn the_number_is_bounded() {
        let findings = Findings::new(2);
        for subject in ["a", "b", "c"] {
            findings.add(FindingKind::Lost, subject, || text("x"));
        }
        assert_eq!(findings.list().len(), 2);
    }
}
