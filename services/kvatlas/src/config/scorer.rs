//! Section `scorer`: how questions are answered.

use std::collections::{BTreeMap, BTreeSet};

use proto_model::Endpoint;
use serde::{Deserialize, Serialize};
use services_runtime::config::{ByteSize, HumanDuration, ListenAddress, Mistakes};

use super::SourceSection;

/// The gRPC and HTTP services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScorerSection {
    /// Where gRPC listens.
    pub(crate) grpc: ListenAddress,
    /// Where HTTP listens: queries, metrics, health.
    pub(crate) http: ListenAddress,
    /// What a token is worth on each medium, 0 to 1.
    pub(crate) medium_weights: WeightsSection,
    /// The index's memory; beyond it nothing more is taken in, and answers say so.
    pub(crate) index_memory: ByteSize,
    /// Requests worked on at once; more are refused with RESOURCE_EXHAUSTED.
    pub(crate) in_flight: usize,
    /// Prompts turned into tokens at a time; more wait their turn. 0: as many as
    /// there are cores.
    pub(crate) tokenizing: usize,
    /// Memory for the token ids of texts seen before, so that a conversation's next
    /// turn costs its new text only. 0: every prompt is tokenised in full.
    pub(crate) token_cache: ByteSize,
    /// Memory for the engine hashes of prompts seen before, where endpoints' keys
    /// are the engine's own. 0: every prompt is hashed in full.
    pub(crate) key_cache: ByteSize,
    /// Open streams, of scores and of changes.
    pub(crate) streams: usize,
    /// The longest that a request may take.
    pub(crate) deadline: HumanDuration,
    /// The largest request.
    pub(crate) request_bytes: ByteSize,
    /// Whether a request may bring its own `chat_template`, as engines take them
    /// with `--trust-request-chat-template`. Only for callers that are trusted:
    /// a trusted template can use all memory of the process, or end it.
    pub(crate) trust_request_chat_template: bool,
    /// Whether routes are recorded and endpoints removed for those who ask
    /// (`kvatlas.v1.Routes`); otherwise the stores are only read.
    pub(crate) accept_routes: bool,
    /// How long an estimated route counts after its last use.
    pub(crate) estimated_lifetime: HumanDuration,
    /// How endpoints (`cluster/ip:port`) are called in answers to `/query` and
    /// `/query_by_hash`; others are called by their address.
    pub(crate) instances: BTreeMap<String, String>,
    /// How long a stopping `kvatlas scorer` still answers after it has turned
    /// not ready, so that callers go elsewhere before it is gone.
    pub(crate) drain_delay: HumanDuration,
    /// Several stores, one per cluster, instead of the one of section `store`.
    pub(crate) stores: Vec<SourceSection>,
}

/// What a token is worth on each medium, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WeightsSection {
    /// In the accelerator's memory.
    pub(crate) gpu: f64,
    /// In host memory.
    pub(crate) cpu: f64,
    /// On a local disk.
    pub(crate) disk: f64,
    /// In remote storage.
    pub(crate) remote: f64,
}

impl Default for WeightsSection {
    fn default() -> Self {
        Self {
            gpu: 1.0,
            cpu: 0.8,
            disk: 0.5,
            remote: 0.3,
        }
    }
}

impl Default for ScorerSection {
    fn default() -> Self {
        Self {
            grpc: ListenAddress::any(50051),
            http: ListenAddress::any(8090),
            medium_weights: WeightsSection::default(),
            index_memory: ByteSize(16 << 30),
            in_flight: 256,
            tokenizing: 0,
            token_cache: ByteSize::mib(256),
            key_cache: ByteSize::mib(64),
            streams: 256,
            deadline: HumanDuration::from_secs(10),
            request_bytes: ByteSize::mib(8),
            trust_request_chat_template: false,
            accept_routes: true,
            estimated_lifetime: HumanDuration::from_secs(3600),
            instances: BTreeMap::new(),
            drain_delay: HumanDuration::from_secs(5),
            stores: Vec::new(),
        }
    }
}

impl ScorerSection {
    pub(super) fn check(&self, mistakes: &mut Mistakes) {
        let weights = self.medium_weights;
        for (name, weight) in [
            ("gpu", weights.gpu),
            ("cpu", weights.cpu),
            ("disk", weights.disk),
            ("remote", weights.remote),
        ] {
            if !(0.0..=1.0).contains(&weight) {
                mistakes.push(
                    format!("scorer.medium_weights.{name}"),
                    weight,
                    "a number from 0 to 1",
                );
            }
        }
        for endpoint in self.instances.keys() {
            if let Err(error) = endpoint.parse::<Endpoint>() {
                mistakes.push("scorer.instances", error, "endpoints as cluster/ip:port");
            }
        }
        for (key, value) in [("in_flight", self.in_flight), ("streams", self.streams)] {
            if value == 0 {
                mistakes.push(format!("scorer.{key}"), 0, "at least 1");
            }
        }
        if self.estimated_lifetime.duration().is_zero() {
            mistakes.push(
                "scorer.estimated_lifetime",
                self.estimated_lifetime,
                "more than 0s",
            );
        }
        if self.index_memory.bytes() < 1 << 20 {
            mistakes.push("scorer.index_memory", self.index_memory, "at least 1MiB");
        }
        for (name, cache) in [
            ("scorer.token_cache", self.token_cache),
            ("scorer.key_cache", self.key_cache),
        ] {
            if (1..1 << 20).contains(&cache.bytes()) {
                mistakes.push(name, cache, "0, or at least 1MiB");
            }
        }
        self.check_stores(mistakes);
        let same_port = self.grpc.port() == self.http.port() && self.grpc.port() != 0;
        if same_port && self.grpc.host() == self.http.host() {
            mistakes.push("scorer.http", &self.http, "another port than scorer.grpc");
        }
    }
    fn check_stores(&self, mistakes: &mut Mistakes) {
        let mut clusters = BTreeSet::new();
        for (index, source) in self.stores.iter().enumerate() {
            let path = format!("scorer.stores.{index}");
            source.check(&path, false, mistakes);
            match &source.cluster {
                None if self.stores.len() > 1 => mistakes.push(
                    format!("{path}.cluster"),
                    "nothing, beside other stores",
                    "a name of its own for each store",
                ),
                Some(name) if Endpoint::new(name, "a").is_err() => mistakes.push(
                    format!("{path}.cluster"),
                    format!("{name:?}"),
                    "a name such as `default` or `eu-west-1`",
                ),
                Some(name) if !clusters.insert(name) => mistakes.push(
                    format!("{path}.cluster"),
                    format!("{name:?} twice"),
                    "a name of its own for each store",
                ),
                _ => {}
            }
        }
    }
}
