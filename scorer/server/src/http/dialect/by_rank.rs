//! The counts that both dialects answer with.

use std::borrow::Cow;

use proto_model::{Endpoint, Medium};
use serde::{Serialize, Serializer};

use crate::scoring::Row;

/// Tokens of one rank of an instance, or of a whole instance. Each count goes on
/// where the one before ended: `cpu` is the prefix on GPU or CPU, `disk` that on
/// GPU, CPU or disk. So the counts never fall from `gpu` to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) longest: u64,
    pub(super) gpu: u64,
    pub(super) cpu: u64,
    pub(super) disk: u64,
}

/// What one rank of an instance has.
#[derive(Debug, PartialEq, Eq)]
struct RankTokens<'a> {
    id: Cow<'a, str>,
    rank: u32,
    tokens: Tokens,
}

/// Counts of all instances that are listed, by id.
#[derive(Debug)]
pub(super) struct Counts<'a> {
    /// By id and rank, each once: a fleet has thousands, and most have one rank.
    ranks: Vec<RankTokens<'a>>,
}

/// Counts of one instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct InstanceCounts<'a> {
    /// Never empty.
    ranks: &'a [RankTokens<'a>],
}

/// GPU tokens by rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct GpuByRank<'a>(InstanceCounts<'a>);

impl<'a> Counts<'a> {
    /// Rows gathered by instance.
    pub(super) fn of(rows: &[&'a Row], id: impl Fn(&'a Endpoint) -> Cow<'a, str>) -> Self {
        let counted = rows.iter().map(|row| RankTokens {
            id: id(&row.publisher.endpoint),
            rank: row.publisher.rank.0,
            tokens: Tokens::of(row),
        });
        let mut ranks: Vec<_> = counted.collect();
        ranks.sort_unstable_by(|a, b| a.id.cmp(&b.id).then(a.rank.cmp(&b.rank)));
        // Several endpoints may be called alike.
        ranks.dedup_by(|other, kept| {
            let same = (&other.id, other.rank) == (&kept.id, kept.rank);
            if same {
                kept.tokens = kept.tokens.or_more(other.tokens);
            }
            same
        });
        Self { ranks }
    }

    /// Instances in the order of their ids.
    pub(super) fn instances(&self) -> impl Iterator<Item = (&str, InstanceCounts<'_>)> {
        let instances = self.ranks.chunk_by(|a, b| a.id == b.id);
        instances.map(|ranks| (&*ranks[0].id, InstanceCounts { ranks }))
    }
}

impl<'a> InstanceCounts<'a> {
    /// Of several ranks the best counts.
    pub(super) fn tokens(self) -> Tokens {
        let (first, others) = (self.ranks[0].tokens, &self.ranks[1..]);
        let best = |best: Tokens, rank: &RankTokens<'_>| best.or_more(rank.tokens);
        others.iter().fold(first, best)
    }

    pub(super) fn gpu_by_rank(self) -> GpuByRank<'a> {
        GpuByRank(self)
    }
}

impl Tokens {
    fn of(row: &Row) -> Self {
        let tokens = |blocks: u32| u64::from(blocks) * u64::from(row.block_size());
        let within = |medium| tokens(row.blocks_within(medium));
        Self {
            longest: tokens(row.matched_blocks()),
            gpu: within(Medium::Gpu),
            cpu: within(Medium::Cpu),
            disk: within(Medium::Disk),
        }
    }

    /// The greater of each.
    fn or_more(self, other: Self) -> Self {
        Self {
            longest: self.longest.max(other.longest),
            gpu: self.gpu.max(other.gpu),
            cpu: self.cpu.max(other.cpu),
            disk: self.disk.max(other.disk),
        }
    }
}

impl Serialize for GpuByRank<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ranks = self.0.ranks.iter();
        serializer.collect_map(ranks.map(|rank| (rank.rank, rank.tokens.gpu)))
    }
}
