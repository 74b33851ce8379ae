//! Mooncake's reply.

use serde::{Serialize, Serializer};

use super::by_rank::{Counts, GpuByRank};

/// Instances by tenant: always the one that was asked for.
pub(super) struct MooncakeReply<'a> {
    tenant: &'a str,
    counts: &'a Counts<'a>,
}

/// Written as it goes: the reply lists every instance of a fleet.
struct Instances<'a>(&'a Counts<'a>);

#[derive(Serialize)]
struct MooncakeInstance<'a> {
    longest_matched: u64,
    #[serde(rename = "GPU")]
    gpu: u64,
    #[serde(rename = "DP")]
    dp: GpuByRank<'a>,
    #[serde(rename = "CPU")]
    cpu: u64,
    #[serde(rename = "DISK")]
    disk: u64,
}

pub(super) fn reply<'a>(tenant: &'a str, counts: &'a Counts<'a>) -> MooncakeReply<'a> {
    MooncakeReply { tenant, counts }
}

impl Serialize for MooncakeReply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.tenant, Instances(self.counts))])
    }
}

impl Serialize for Instances<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let instances = self.0.instances().map(|(id, counts)| {
            let tokens = counts.tokens();
            let instance = MooncakeInstance {
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
