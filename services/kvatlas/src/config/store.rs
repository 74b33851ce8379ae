//! Section `store`: where the index is kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use services_runtime::config::{ByteSize, Mistakes};

/// The embedded store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreSection {
    /// The folder that the index is kept in. None: in memory only, and built
    /// anew from the engines' replay after a restart.
    pub(crate) data: Option<PathBuf>,
    /// How much recent history is kept for readers that come back.
    pub(crate) history: ByteSize,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            data: None,
            history: ByteSize::mib(64),
        }
    }
}

impl StoreSection {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        if self.history.bytes() < 1 << 20 {
            mistakes.push("store.history", self.history, "at least 1MiB");
        }
    }
}
