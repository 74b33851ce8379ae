//! Compact names for lifetimes and positions in the history.

use serde::{Deserialize, Serialize};

/// The state's short name for one *epoch* of a publisher's cache.
///
/// A restart or a full clear ends the epoch and starts another holder, so that
/// everything the old one held is gone with one delta. Numbers are given out in
/// order by the state and never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(pub u32);

/// How many lifetimes of a publisher have been seen, counted from 1.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// A position in the store's history; grows by at least one per appended batch.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);
