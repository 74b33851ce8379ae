//! Dynamo's reply.

use std::collections::BTreeMap;

use proto_model::Medium;
use serde::Serialize;

use super::by_rank::Counts;
use crate::scoring::Row;

#[derive(Serialize)]
pub(super) struct DynamoReply<'a> {
    /// GPU tokens by instance and rank.
    scores: BTreeMap<&'a str, &'a BTreeMap<u32, u64>>,
    /// For every block, how many ranks have it and all before it on the GPU.
    frequencies: Vec<u64>,
    instances: BTreeMap<&'a str, DynamoInstance<'a>>,
}

#[derive(Serialize)]
struct DynamoInstance<'a> {
    longest_matched: u64,
    gpu: u64,
    dp: &'a BTreeMap<u32, u64>,
    cpu: u64,
    disk: u64,
}

pub(super) fn reply<'a>(rows: &[&Row], counts: &'a Counts<'_>) -> DynamoReply<'a> {
    let scores = counts.iter().map(|(id, counts)| (&**id, &counts.ranks));
    let instances = counts.iter().map(|(id, counts)| {
        let instance = DynamoInstance {
            longest_matched: counts.longest,
            gpu: counts.gpu,
            dp: &counts.ranks,
            cpu: counts.cpu,
            disk: counts.disk,
        };
        (&**id, instance)
    });
    DynamoReply {
        scores: scores.collect(),
        frequencies: frequencies(rows),
        instances: instances.collect(),
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
