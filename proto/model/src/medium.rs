//! Where a copy of a block lies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A storage tier, fastest first. The order is used: a block held on several
/// media counts for the fastest of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Medium {
    /// The accelerator's memory; also what an absent medium means.
    Gpu = 0,
    /// Host memory.
    Cpu = 1,
    /// Local storage (`STORAGE`, `FS`, `DISK`).
    Disk = 2,
    /// Object or pooled remote storage (`OBJ`, `REMOTE`).
    Remote = 3,
}

impl Medium {
    /// Every medium, fastest first.
    pub const ALL: [Self; 4] = [Self::Gpu, Self::Cpu, Self::Disk, Self::Remote];

    /// The lower-case name used in configuration, answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Disk => "disk",
            Self::Remote => "remote",
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A medium name that no engine is known to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown medium {0:?}; known are GPU/HBM, CPU/DRAM, STORAGE/FS/DISK/SSD, OBJ/REMOTE")]
pub struct UnknownMedium(pub String);

impl FromStr for Medium {
    type Err = UnknownMedium;

    /// The names that vLLM, SGLang and Mooncake write, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_uppercase().as_str() {
            "GPU" | "HBM" => Ok(Self::Gpu),
            "CPU" | "CPU_PINNED" | "CPU_TIER1" | "DRAM" => Ok(Self::Cpu),
            "STORAGE" | "FS" | "DISK" | "SSD" | "CPU_TIER2" => Ok(Self::Disk),
            "OBJ" | "REMOTE" | "EXTERNAL" => Ok(Self::Remote),
            _ => Err(UnknownMedium(text.chars().take(64).collect())),
        }
    }
}

/// A set of media, four bits.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MediumSet(u8);

impl MediumSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The set from its four bits, lowest for [`Medium::Gpu`]; higher bits are dropped.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 0x0f)
    }

    /// The four bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set with `medium` added.
    #[must_use]
    pub fn with(self, medium: Medium) -> Self {
        Self(self.0 | 1 << medium as u8)
    }

    /// The set with `medium` taken out.
    #[must_use]
    pub fn without(self, medium: Medium) -> Self {
        Self(self.0 & !(1 << medium as u8))
    }

    /// Whether `medium` is in the set.
    #[must_use]
    pub fn contains(self, medium: Medium) -> bool {
        self.0 & 1 << medium as u8 != 0
    }

    /// Whether no medium is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The fastest medium in the set.
    #[must_use]
    pub fn fastest(self) -> Option<Medium> {
        Medium::ALL
            .into_iter()
            .find(|medium| self.contains(*medium))
    }
}
