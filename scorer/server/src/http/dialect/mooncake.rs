//! Mooncake's reply.

use std::collections::BTreeMap;

use serde::Serialize;

use super::by_rank::Counts;

/// Instances by tenant: always the one that was asked for.
pub(super) type MooncakeReply<'a> = BTreeMap<&'a str, BTreeMap<&'a str, MooncakeInstance<'a>>>;

#[derive(Serialize)]
pub(super) struct MooncakeInstance<'a> {
    longest_matched: u64,
    #[serde(rename = "GPU")]
    gpu: u64,
    #[serde(rename = "DP")]
    dp: &'a BTreeMap<u32, u64>,
    #[serde(rename = "CPU")]
    cpu: u64,
    #[serde(rename = "DISK")]
    disk: u64,
}

pub(super) fn reply<'a>(tenant: &'a str, counts: &'a Counts<'_>) -> MooncakeReply<'a> {
    let instances = counts.iter().map(|(id, counts)| {
        let instance = MooncakeInstance {
            longest_matched: counts.longest,
            gpu: counts.gpu,
            dp: &counts.ranks,
            cpu: counts.cpu,
            disk: counts.disk,
        };
        (&**id, instance)
    });
    BTreeMap::from([(tenant, instances.collect())])
}
