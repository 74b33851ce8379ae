//! How far an endpoint's memberships can be believed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Said with every answer, so that a caller never takes a guess for a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Trust {
    /// Known only from routing decisions, not from the engine.
    Estimated = 0,
    /// Events were lost: what is listed may be gone, more may exist.
    Suspect = 1,
    /// Joined in the middle: what is listed is true, more may exist.
    Partial = 2,
    /// The whole incarnation has been seen from sequence 0 or from an engine
    /// snapshot, or the engine has since said that its cache is empty.
    Exact = 3,
}

impl Trust {
    /// The lower-case name used in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Estimated => "estimated",
            Self::Suspect => "suspect",
            Self::Partial => "partial",
            Self::Exact => "exact",
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
