//! What the picker needs to know of a pool, wherever it comes from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// One pool as it stands: its endpoints, and what the manifests ask for.
///
/// Readers hold an `Arc` of a whole view, so that no request sees half a change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolView {
    /// `namespace/name` of the InferencePool, or of the file's pool.
    pub pool: String,
    /// Every source has been read at least once.
    pub synced: bool,
    /// Ready endpoints, by address.
    pub endpoints: Vec<Arc<PoolEndpoint>>,
    /// How endpoints are picked.
    pub strategy: Strategy,
    /// InferenceModels of the pool, by model name.
    pub models: BTreeMap<String, ModelRule>,
    /// Priorities by InferenceObjective name.
    pub objectives: BTreeMap<String, i32>,
}

/// One endpoint of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolEndpoint {
    /// `namespace/pod`, or as the file names it.
    pub name: String,
    /// Where requests go.
    pub address: SocketAddr,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
}

/// How endpoints are picked, as the manifests ask for.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Strategy {
    /// By load alone.
    #[default]
    LoadOnly,
    /// Precise: by the engines' events.
    Tracking(TrackingRouting),
    /// Estimated: by where requests went before.
    Estimated(EstimatedRouting),
}

/// What an InferenceTrafficPolicy says of precise routing. The picker only
/// compares it with what the scorer answers; hashing is the scorer's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackingRouting {
    /// `blockSize`: tokens per block.
    pub block_size: Option<u32>,
    /// `hashSeed`: the engines' `PYTHONHASHSEED`.
    pub hash_seed: Option<u64>,
    /// `model`: the model's name on the hub.
    pub model: Option<String>,
}

/// Estimated routing. Defaults are those of the Gateway API Inference Extension.
#[derive(Debug, Clone, PartialEq)]
pub struct EstimatedRouting {
    /// Prefix routing needs a matching ratio above this, 0 to 1.
    pub threshold: f64,
    /// Bytes of text per block.
    pub block_bytes: u32,
    /// Blocks of a prompt that are looked at.
    pub max_blocks: u32,
    /// Blocks remembered per endpoint.
    pub capacity: u32,
}

impl Default for EstimatedRouting {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            block_bytes: 64,
            max_blocks: 4096,
            capacity: 31_250,
        }
    }
}

/// What an InferenceModel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRule {
    /// How important its requests are.
    pub criticality: Criticality,
    /// The models that requests are rewritten to, by weight. Empty: as named.
    pub targets: Vec<TargetModel>,
}

/// One target of an InferenceModel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetModel {
    /// The name that the engine serves.
    pub name: String,
    /// Its share is its weight over the sum of weights.
    pub weight: u32,
}

/// How important a model's requests are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Criticality {
    /// Shed first.
    Sheddable,
    /// The default.
    #[default]
    Standard,
    /// Never shed.
    Critical,
}
