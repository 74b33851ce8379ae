//! `InferenceTrafficPolicy`.

use serde_json::Value;

use super::fields::{Fields, Node};
use super::mistake::Origin;
use super::reference::{PoolReference, pool_reference};
use super::resource::{Head, ResourceName};
use crate::view::TrackingRouting;

/// Tokens of the longest block that is believed to be meant.
const MOST_BLOCK_TOKENS: i64 = 65_536;
/// What Python takes as `PYTHONHASHSEED`.
const MOST_HASH_SEED: i64 = 4_294_967_295;

/// What an InferenceTrafficPolicy says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InferenceTrafficPolicy {
    pub(crate) name: ResourceName,
    pub(crate) origin: Origin,
    pub(crate) pool: PoolReference,
    pub(crate) mode: PrefixCacheMode,
}

/// `prefixCache.mode` with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PrefixCacheMode {
    Tracking(TrackingRouting),
    Estimate,
}

#[derive(Clone, Copy)]
enum Mode {
    Tracking,
    Estimate,
}

pub(super) fn inference_traffic_policy(
    head: Head<'_>,
    spec: &mut Fields<'_>,
) -> Option<InferenceTrafficPolicy> {
    let pool = pool_reference(spec);
    let mode = spec.required("profile").as_ref().and_then(profile);
    Some(InferenceTrafficPolicy {
        name: head.name,
        origin: head.origin,
        pool: pool?,
        mode: mode?,
    })
}

fn profile(node: &Node<'_>) -> Option<PrefixCacheMode> {
    const SPLIT: &str =
        "prefill and decode on endpoints of their own is not supported; accepted: single";
    let mut profile = node.object()?;
    for name in ["pd", "disaggregated"] {
        profile.unsupported(name, SPLIT);
    }
    let mode = profile.required("single").and_then(|single| {
        let mut single = single.object()?;
        let policy = single
            .required("trafficPolicy")
            .as_ref()
            .and_then(traffic_policy);
        single.finish();
        policy
    });
    profile.finish();
    mode
}

fn traffic_policy(node: &Node<'_>) -> Option<PrefixCacheMode> {
    let mut policy = node.object()?;
    let mode = policy
        .required("prefixCache")
        .as_ref()
        .and_then(prefix_cache);
    policy.finish();
    mode
}

fn prefix_cache(node: &Node<'_>) -> Option<PrefixCacheMode> {
    let mut fields = node.object()?;
    let mode = fields.required("mode").and_then(|mode| {
        mode.choice(&[
            ("tracking", Mode::Tracking),
            ("estimate", Mode::Estimate),
            ("estimation", Mode::Estimate),
        ])
    });
    let mode = match mode {
        Some(Mode::Tracking) => match fields.optional("trackingConfig") {
            Some(config) => tracking(&config).map(PrefixCacheMode::Tracking),
            None => Some(PrefixCacheMode::Tracking(TrackingRouting::default())),
        },
        Some(Mode::Estimate) => {
            fields.unsupported("trackingConfig", "belongs to mode tracking; remove it");
            Some(PrefixCacheMode::Estimate)
        }
        None => {
            fields.skip("trackingConfig");
            None
        }
    };
    fields.finish();
    mode
}

fn tracking(node: &Node<'_>) -> Option<TrackingRouting> {
    let mut config = node.object()?;
    let found = match config.optional("indexerConfig") {
        Some(node) => indexer(&node),
        None => Some(TrackingRouting::default()),
    };
    config.finish();
    found
}

fn indexer(node: &Node<'_>) -> Option<TrackingRouting> {
    let mut config = node.object()?;
    let found = match config.optional("tokenProcessorConfig") {
        Some(node) => token_processor(&node),
        None => Some(TrackingRouting::default()),
    };
    config.finish();
    found
}

fn token_processor(node: &Node<'_>) -> Option<TrackingRouting> {
    let mut config = node.object()?;
    let block_size = config.optional("blockSize").map(|node| {
        let size = node.number(1, MOST_BLOCK_TOKENS)?;
        u32::try_from(size).ok()
    });
    let seed = config.optional("hashSeed").map(|node| hash_seed(&node));
    let model = config
        .optional("model")
        .map(|node| node.text().map(str::to_owned));
    config.finish();
    // A field that is there and wrong makes the whole wrong.
    Some(TrackingRouting {
        block_size: all_or_wrong(block_size)?,
        hash_seed: all_or_wrong(seed)?,
        model: all_or_wrong(model)?,
    })
}

/// Absent: `Some(None)`. Wrong: `None`.
fn all_or_wrong<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    match field {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}

/// A whole number as Python takes it, or the same as text. The engine hashes
/// the text, so `042` would be another seed than `42`.
fn hash_seed(node: &Node<'_>) -> Option<u64> {
    let number = match node.value {
        Value::String(text) => text
            .parse::<i64>()
            .ok()
            .filter(|number| number.to_string() == *text),
        value => value.as_i64(),
    };
    let number = number.filter(|number| (0..=MOST_HASH_SEED).contains(number));
    if number.is_none() {
        node.not(&format!(
            "PYTHONHASHSEED as a whole number from 0 to {MOST_HASH_SEED}, or that number as a \
             text without leading zeros or signs"
        ));
    }
    u64::try_from(number?).ok()
}
