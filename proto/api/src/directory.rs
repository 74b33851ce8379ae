//! What operators ask for: endpoints and sizes.

use proto_model::{KeySpace, PublisherStatus, Revision};

use crate::{ReplicaState, StoreStanding, v1};

/// One endpoint and rank, with what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointInfo {
    /// Its standing; carries the name.
    pub status: PublisherStatus,
    /// Blocks held, in the order of [`proto_model::Medium::ALL`].
    pub blocks: [u64; 4],
    /// The key spaces that it has stored blocks in.
    pub spaces: Vec<KeySpace>,
}

/// One model as the index and the configuration know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// The base model's name.
    pub name: String,
    /// Endpoints times ranks that serve it.
    pub publishers: u64,
    /// The key spaces seen or configured.
    pub spaces: Vec<KeySpace>,
    /// Whether text can be tokenised for it here.
    pub tokenizer: bool,
}

/// Sizes and standing of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsInfo {
    /// The last revision applied; 0 where several stores are followed.
    pub revision: Revision,
    /// Milliseconds since the store was last heard; of several, the longest.
    pub age_ms: u64,
    /// Where the replica stands; of several, stale unless all are live.
    pub state: ReplicaState,
    /// Endpoints times ranks.
    pub publishers: u64,
    /// (endpoint, medium, block) triples.
    pub memberships: u64,
    /// Distinct blocks.
    pub blocks: u64,
    /// Memory of the index, about.
    pub bytes: u64,
    /// The models.
    pub models: Vec<ModelInfo>,
    /// Snapshots loaded since the start.
    pub resets: u64,
    /// The software's version.
    pub version: String,
    /// Each store, where several are followed; else empty.
    pub stores: Vec<StoreStats>,
}

/// The part of the index that comes from one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStats {
    /// Which store, and how far it is known.
    pub standing: StoreStanding,
    /// Endpoints times ranks.
    pub publishers: u64,
    /// (endpoint, medium, block) triples.
    pub memberships: u64,
    /// Distinct blocks.
    pub blocks: u64,
    /// Memory of the index, about.
    pub bytes: u64,
    /// Snapshots loaded since the start.
    pub resets: u64,
}

impl From<&EndpointInfo> for v1::EndpointInfo {
    fn from(info: &EndpointInfo) -> Self {
        let status = &info.status;
        let [gpu, cpu, disk, remote] = info.blocks;
        Self {
            cluster: status.publisher.endpoint.cluster().to_owned(),
            address: status.publisher.endpoint.address().to_owned(),
            rank: status.publisher.rank.0,
            model: status.model.clone(),
            trust: v1::Trust::from(status.cursor.trust).into(),
            incarnation: status.cursor.incarnation.0,
            next_sequence: status.cursor.next,
            last_event_us: status.cursor.timestamp.0,
            blocks: Some(v1::MediumBlocks {
                gpu,
                cpu,
                disk,
                remote,
            }),
            parked: status.parked,
            lost: status.lost,
            spaces: info.spaces.iter().map(Into::into).collect(),
        }
    }
}

impl From<&ModelInfo> for v1::ModelInfo {
    fn from(info: &ModelInfo) -> Self {
        Self {
            name: info.name.clone(),
            publishers: info.publishers,
            spaces: info.spaces.iter().map(Into::into).collect(),
            tokenizer: info.tokenizer,
        }
    }
}

impl From<&StatsInfo> for v1::StatsResponse {
    fn from(info: &StatsInfo) -> Self {
        Self {
            revision: info.revision.0,
            age_ms: info.age_ms,
            state: v1::ReplicaState::from(info.state).into(),
            publishers: info.publishers,
            memberships: info.memberships,
            blocks: info.blocks,
            bytes: info.bytes,
            models: info.models.iter().map(Into::into).collect(),
            resets: info.resets,
            version: info.version.clone(),
            stores: info.stores.iter().map(Into::into).collect(),
        }
    }
}

impl From<&StoreStats> for v1::StoreStats {
    fn from(stats: &StoreStats) -> Self {
        Self {
            standing: Some((&stats.standing).into()),
            publishers: stats.publishers,
            memberships: stats.memberships,
            blocks: stats.blocks,
            bytes: stats.bytes,
            resets: stats.resets,
        }
    }
}
