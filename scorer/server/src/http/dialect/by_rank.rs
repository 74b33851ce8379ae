//! The counts that both dialects answer with.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proto_model::{Endpoint, Medium};

use crate::scoring::Row;

/// Tokens of one instance. Each count goes on where the one before ended: `cpu`
/// is the prefix on GPU or CPU, `disk` that on GPU, CPU or disk. So the counts
/// never fall from `gpu` to `longest`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct InstanceCounts {
    pub(super) longest: u64,
    pub(super) gpu: u64,
    pub(super) cpu: u64,
    pub(super) disk: u64,
    /// By rank, on the GPU.
    pub(super) ranks: BTreeMap<u32, u64>,
}

/// Counts by instance id.
pub(super) type Counts<'a> = BTreeMap<Cow<'a, str>, InstanceCounts>;

/// Rows gathered by instance; of several ranks the best counts.
pub(super) fn by_instance<'a>(
    rows: &[&'a Row],
    id: impl Fn(&'a Endpoint) -> Cow<'a, str>,
) -> Counts<'a> {
    let mut gathered = Counts::new();
    for row in rows {
        let tokens = |blocks: u32| u64::from(blocks) * u64::from(row.block_size());
        let within = |medium| tokens(row.blocks_within(medium));
        let gpu = within(Medium::Gpu);
        let counts = gathered.entry(id(&row.publisher.endpoint)).or_default();
        counts.longest = counts.longest.max(tokens(row.matched_blocks()));
        counts.gpu = counts.gpu.max(gpu);
        counts.cpu = counts.cpu.max(within(Medium::Cpu));
        counts.disk = counts.disk.max(within(Medium::Disk));
        let rank = counts.ranks.entry(row.publisher.rank.0).or_default();
        *rank = (*rank).max(gpu);
    }
    gathered
}
