//! Dynamo's reply.

use proto_model::Medium;
use serde::{Serialize, Serializer};

use super::by_rank::{Counts, GpuByRank};
use crate::scoring::Row;

#[derive(Serialize)]
pub(super) struct DynamoReply<'a> {
    scores: Scores<'a>,
    /// For every block, how many ranks have it and all before it on the GPU.
    frequencies: Vec<u64>,
    instances: Instances<'a>,
}

/// GPU tokens by instance and rank.
struct Scores<'a>(&'a Counts<'a>);

struct Instances<'a>(&'a Counts<'a>);

#[derive(Serialize)]
struct DynamoInstance<'a> {
    longest_matched: u64,
    gpu: u64,
    dp: GpuByRank<'a>,
    cpu: u64,
    disk: u64,
}

pub(super) fn reply<'a>(rows: &[&Row], counts: &'a Counts<'_>) -> DynamoReply<'a> {
    DynamoReply {
        scores: Scores(counts),
        frequencies: frequencies(rows),
        instances: Instances(counts),
    }
}

impl Serialize for Scores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let instances = self.0.instances();
        serializer.collect_map(instances.map(|(id, counts)| (id, counts.gpu_by_rank())))
    }
}

impl Serialize for Instances<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let instances = self.0.instances().map(|(id, counts)| {
            let tokens = counts.tokens();
            let instance = DynamoInstance {
                longest_matched: tokens.longest,
                gpu: tokens.gpu,
                dp: counts.gpu_by_rank(),
                cpu: tokens.cpu,
                disk: tokens.disk,
            };
            (id, instance)
        });
        serializer.collect_map(instances)
    }
}

/// One pass over the rows and one over the blocks.
fn frequencies(rows: &[&Row]) -> Vec<u64> {
    let depths = || {
        rows.iter()
            .map(|row| row.blocks_within(Medium::Gpu) as usize)
    };
    let mut ends = vec![0_u64; depths().max().unwrap_or(0)];
    for depth in depths().filter(|depth| *depth > 0) {
        ends[depth - 1] += 1;
    }
    let mut there = 0;
    for count in ends.iter_mut().rev() {
        there += *count;
        *count = there;
    }
    ends
}
