//! The replica's numbers, read when somebody asks for them.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use proto_api::ReplicaState;

use crate::replica::Replica;

#[derive(Debug)]
pub(super) struct ReplicaCollector {
    replica: Arc<Replica>,
}

impl ReplicaCollector {
    pub(super) fn new(replica: Arc<Replica>) -> Self {
        Self { replica }
    }
}

impl Collector for ReplicaCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let replica = &self.replica;
        let content = replica.content();
        let stats = content.index().stats();
        let live = u64::from(replica.state() == ReplicaState::Live);
        let gauges = [
            (
                "revision",
                "Revision up to which answers count everything",
                content.revision().0,
            ),
            (
                "age_milliseconds",
                "Time since the store was last heard",
                replica.age_ms(),
            ),
            ("live", "1 while the store is being followed", live),
            (
                "publishers",
                "Endpoints times ranks",
                content.directory().len() as u64,
            ),
            (
                "memberships",
                "(endpoint, medium, block) triples",
                stats.memberships,
            ),
            ("blocks", "Distinct blocks", stats.blocks as u64),
            ("index_bytes", "Memory of the index", stats.bytes as u64),
        ];
        let counters = [
            ("replica_resets", "Snapshots taken over", replica.resets()),
            (
                "store_reconnects",
                "Watches that ended",
                replica.reconnects(),
            ),
            (
                "index_overflowed",
                "Memberships refused for lack of memory",
                stats.overflowed,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            let name = format!("kvatlas_scorer_{name}");
            gauge.encode(encoder.encode_descriptor(&name, help, None, gauge.metric_type())?)?;
        }
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let name = format!("kvatlas_scorer_{name}");
            counter.encode(encoder.encode_descriptor(
                &name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}
