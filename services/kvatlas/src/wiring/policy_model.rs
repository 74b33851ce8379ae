//! A traffic policy's model as configuration: with it, manifests alone are enough
//! for a standalone.

use std::collections::BTreeSet;

use proto_model::Profile;
use router_discovery::{PoolView, Strategy, TrackingRouting};

use crate::config::{EngineSection, ModelSection, ServerKind};

/// What engines must be started with where precise routing is asked for by a
/// policy (`--prefix-caching-hash-algo`).
const ALGORITHM: &str = "sha256_cbor_64bit";

/// The model of a pool's policy; `None` if it names none, or if one of its names
/// is configured already.
pub(crate) fn of(view: &PoolView, configured: &[ModelSection]) -> Option<ModelSection> {
    let Strategy::Tracking(routing) = &view.strategy else {
        return None;
    };
    let source = routing.model.as_ref()?;
    let names = names(source, view);
    let known = |model: &ModelSection| {
        let mut own = std::iter::once(&model.name).chain(&model.aliases);
        own.any(|name| names.contains(name))
    };
    if configured.iter().any(known) {
        return None;
    }
    // Engines usually serve `Qwen/Qwen3-32B` as `Qwen3-32B`.
    let name = source.rsplit('/').next().unwrap_or(source).to_owned();
    let aliases = names.into_iter().filter(|alias| *alias != name).collect();
    Some(section(name, aliases, source, routing))
}

/// Every name that the model goes by. An InferenceModel counts if requests keep
/// its name: one that sends them to other names may mean adapters, whose blocks
/// are not the model's.
fn names(source: &str, view: &PoolView) -> BTreeSet<String> {
    let short = source.rsplit('/').next().unwrap_or(source);
    let served = view.models.iter().filter(|(name, rule)| {
        let mut targets = rule.targets.iter().map(|target| &target.name);
        targets.all(|target| target == *name)
    });
    [source, short]
        .into_iter()
        .chain(served.map(|(name, _)| name.as_str()))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn section(
    name: String,
    aliases: Vec<String>,
    source: &str,
    routing: &TrackingRouting,
) -> ModelSection {
    let seed = routing.hash_seed.as_ref().map(ToString::to_string);
    ModelSection {
        name,
        aliases,
        source: Some(source.to_owned()),
        chat_template: None,
        chat_template_kwargs: serde_json::Map::new(),
        max_model_len: None,
        server: ServerKind::Vllm,
        // Without a seed nobody can compute the engines' hashes.
        profile: match seed {
            Some(_) => Profile::Engine,
            None => Profile::Content,
        },
        block_size: routing.block_size,
        engine: seed.map(|seed| EngineSection {
            algorithm: ALGORITHM.to_owned(),
            hash_seed: Some(seed),
            version: None,
        }),
        adapters: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use router_discovery::{Criticality, ModelRule, TargetModel};

    use super::*;

    fn rule(targets: &[&str]) -> ModelRule {
        let targets = targets.iter().map(|name| TargetModel {
            name: (*name).to_owned(),
            weight: 1,
        });
        ModelRule {
            criticality: Criticality::Standard,
            targets: targets.collect(),
        }
    }

    fn view(hash_seed: Option<u64>) -> PoolView {
        PoolView {
            strategy: Strategy::Tracking(TrackingRouting {
                block_size: Some(64),
                hash_seed,
                model: Some("Qwen/Qwen3-32B".to_owned()),
            }),
            models: [
                ("served".to_owned(), rule(&["served"])),
                ("adapter".to_owned(), rule(&["adapter-1"])),
            ]
            .into(),
            ..PoolView::default()
        }
    }

    #[test]
    fn a_policy_says_all_that_a_model_needs() {
        let model = of(&view(Some(42)), &[]).unwrap();
        assert_eq!(model.name, "Qwen3-32B");
        assert_eq!(model.aliases, ["Qwen/Qwen3-32B", "served"]);
        assert_eq!(model.source.as_deref(), Some("Qwen/Qwen3-32B"));
        assert_eq!(
            (model.profile, model.block_size),
            (Profile::Engine, Some(64))
        );
        let engine = model.engine.as_ref().unwrap();
        assert_eq!(engine.algorithm, "sha256_cbor_64bit");
        assert_eq!(engine.hash_seed.as_deref(), Some("42"));
        assert!(engine.rules().is_ok());
    }

    #[test]
    fn without_a_seed_the_tokens_in_events_are_used() {
        let model = of(&view(None), &[]).unwrap();
        assert_eq!((model.profile, model.engine), (Profile::Content, None));
    }

    #[test]
    fn what_is_configured_is_left_alone() {
        let mut configured = of(&view(None), &[]).unwrap();
        "other".clone_into(&mut configured.name);
        assert_eq!(of(&view(Some(42)), &[configured]), None);
        let load = PoolView::default();
        assert_eq!(of(&load, &[]), None);
    }
}
