//! Mooncake's reply.

use std::collections::BTreeMap;

use serde::Serialize;

use super::by_rank::by_instance;
use crate::http::instances::InstanceNames;
use crate::scoring::Row;

/// Instances by tenant: always the one that was asked for.
pub(super) type MooncakeReply<'a> = BTreeMap<&'a str, BTreeMap<&'a str, MooncakeInstance>>;

#[derive(Serialize)]
pub(super) struct MooncakeInstance {
    longest_matched: u64,
    #[serde(rename = "GPU")]
    gpu: u64,
    #[serde(rename = "DP")]
    dp: BTreeMap<u32, u64>,
    #[serde(rename = "CPU")]
    cpu: u64,
    #[serde(rename = "DISK")]
    disk: u64,
}

pub(super) fn reply<'a>(
    tenant: &'a str,
    rows: &[&'a Row],
    instances: &'a InstanceNames,
) -> MooncakeReply<'a> {
    let gathered = by_instance(rows, instances)
        .into_iter()
        .map(|(id, counts)| {
            let instance = MooncakeInstance {
                longest_matched: counts.longest,
                gpu: counts.gpu,
                dp: counts.ranks,
                cpu: counts.cpu,
                disk: counts.disk,
            };
            (id, instance)
        });
    BTreeMap::from([(tenant, gathered.collect())])
}
