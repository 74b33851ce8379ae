//! The replicas' numbers, read when somebody asks for them.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use proto_api::ReplicaState;
use scorer_index::IndexStats;

use crate::replica::{Replica, Replicas};

/// With one store its numbers have no label; with several, `cluster` is the
/// store's name, of which there are as many as are configured.
#[derive(Debug)]
pub(super) struct ReplicaCollector {
    replicas: Replicas,
}

/// What one number is called, and where it comes from.
struct Number {
    name: &'static str,
    help: &'static str,
    of: fn(&Replica, &Read) -> u64,
}

/// What is read once for all numbers of a replica.
struct Read {
    revision: u64,
    publishers: u64,
    index: IndexStats,
}

const GAUGES: [Number; 10] = [
    Number {
        name: "revision",
        help: "Revision up to which answers count everything",
        of: |_, read| read.revision,
    },
    Number {
        name: "age_milliseconds",
        help: "Time since the store was last heard",
        of: |replica, _| replica.age_ms(),
    },
    Number {
        name: "live",
        help: "1 while the store is heard",
        of: |replica, _| u64::from(replica.state() == ReplicaState::Live),
    },
    Number {
        name: "loaded",
        help: "1 once a first snapshot has been taken over",
        of: |replica, _| u64::from(replica.is_complete()),
    },
    Number {
        name: "followed",
        help: "1 while the follower runs; 0 before the end is a fault",
        of: |replica, _| u64::from(replica.is_followed()),
    },
    Number {
        name: "store_went_back",
        help: "1 while the store keeps offering an older history than was answered from",
        of: |replica, _| u64::from(replica.store_went_back()),
    },
    Number {
        name: "publishers",
        help: "Endpoints times ranks",
        of: |_, read| read.publishers,
    },
    Number {
        name: "memberships",
        help: "(endpoint, medium, block) triples",
        of: |_, read| read.index.memberships,
    },
    Number {
        name: "blocks",
        help: "Distinct blocks",
        of: |_, read| read.index.blocks as u64,
    },
    Number {
        name: "index_bytes",
        help: "Memory of the index",
        of: |_, read| read.index.bytes as u64,
    },
];

const COUNTERS: [Number; 4] = [
    Number {
        name: "replica_resets",
        help: "Snapshots taken over",
        of: |replica, _| replica.resets(),
    },
    Number {
        name: "store_reconnects",
        help: "Watches that ended",
        of: |replica, _| replica.reconnects(),
    },
    Number {
        name: "snapshots_refused",
        help: "Snapshots older than what was answered from",
        of: |replica, _| replica.refusals(),
    },
    Number {
        name: "index_overflowed",
        help: "Memberships refused for lack of memory",
        of: |_, read| read.index.overflowed,
    },
];

impl ReplicaCollector {
    pub(super) fn new(replicas: Replicas) -> Self {
        Self { replicas }
    }

    fn write<M: EncodeMetric>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        number: &Number,
        read: &[Read],
        metric: fn(u64) -> M,
    ) -> std::fmt::Result {
        let name = format!("kvatlas_scorer_{}", number.name);
        let kind = metric(0).metric_type();
        let mut family = encoder.encode_descriptor(&name, number.help, None, kind)?;
        for (replica, read) in self.replicas.iter().zip(read) {
            let value = metric((number.of)(replica, read));
            if self.replicas.are_several() {
                let labels = [("cluster", replica.name())];
                value.encode(family.encode_family(&labels)?)?;
            } else {
                return value.encode(family);
            }
        }
        Ok(())
    }
}

impl Collector for ReplicaCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let read = |replica: &Replica| {
            let content = replica.content();
            Read {
                revision: content.revision().0,
                publishers: content.directory().len() as u64,
                index: content.index().stats(),
            }
        };
        let read: Vec<_> = self.replicas.iter().map(|replica| read(replica)).collect();
        for number in &GAUGES {
            self.write(&mut encoder, number, &read, ConstGauge::<u64>::new)?;
        }
        for number in &COUNTERS {
            self.write(&mut encoder, number, &read, ConstCounter::<u64>::new)?;
        }
        Ok(())
    }
}
