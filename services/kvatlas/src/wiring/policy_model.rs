//! A traffic policy's model as configuration: with it, manifests alone are enough
//! for a standalone.

use std::collections::BTreeSet;

use proto_model::Profile;
use router_discovery::{PoolView, Strategy, TrackingRouting};

use crate::config::{EngineSection, ModelSection, ServerKind};

/// What engines must be started with where precise routing is asked for by a
/// policy (`--prefix-caching-hash-algo`).
const ALGORITHM: &str = "sha256_cbor_64bit";

/// A policy and the configuration say different things of one model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "models {model}: {key} is {configured}, but the pool's traffic policy says {policy_key} \
     {policy}: set both to what the engines are started with, or leave models[].{key} out"
)]
pub(crate) struct Conflict {
    model: String,
    key: &'static str,
    configured: String,
    policy_key: &'static str,
    policy: String,
}

/// Adds the model that a pool's policy names. Where one of its names is configured
/// already, that model gets what the policy says and the configuration does not:
/// `--model NAME=DIR` gives the tokenizer's place and nothing else. `None`: the
/// policy names no model.
///
/// # Errors
/// [`Conflict`] where both say something, and not the same.
pub(crate) fn add_to<'a>(
    models: &'a mut Vec<ModelSection>,
    view: &PoolView,
) -> Result<Option<&'a ModelSection>, Conflict> {
    let Strategy::Tracking(routing) = &view.strategy else {
        return Ok(None);
    };
    let Some(source) = routing.model.as_ref() else {
        return Ok(None);
    };
    // Engines usually serve `Qwen/Qwen3-32B` as `Qwen3-32B`.
    let short = source.rsplit('/').next().unwrap_or(source);
    let names = names(source, short, view);
    let goes_by = |model: &ModelSection, wanted: &dyn Fn(&str) -> bool| {
        let mut own = std::iter::once(&model.name).chain(&model.aliases);
        own.any(|name| wanted(name))
    };
    let of_policy = |model: &ModelSection| goes_by(model, &|name| name == source || name == short);
    let served = |model: &ModelSection| goes_by(model, &|name| names.contains(name));
    let found = models.iter().position(of_policy);
    let place = match found.or_else(|| models.iter().position(served)) {
        Some(place) => place,
        None => {
            models.push(bare(short));
            models.len() - 1
        }
    };
    // A name that is another model's stays there.
    let free = names.into_iter().filter(|name| {
        let known = |model: &ModelSection| goes_by(model, &|own| own == name);
        !models.iter().any(known)
    });
    let free: Vec<_> = free.collect();
    let model = &mut models[place];
    model.aliases.extend(free);
    complete(model, source, routing)?;
    Ok(Some(model))
}

/// Every name that the model goes by. An InferenceModel counts if requests keep
/// its name: one that sends them to other names may mean adapters, whose blocks
/// are not the model's.
fn names(source: &str, short: &str, view: &PoolView) -> BTreeSet<String> {
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

/// A model of which nothing is known yet.
fn bare(name: &str) -> ModelSection {
    ModelSection {
        name: name.to_owned(),
        aliases: Vec::new(),
        source: None,
        chat_template: None,
        chat_template_kwargs: serde_json::Map::new(),
        max_model_len: None,
        server: ServerKind::Vllm,
        profile: Profile::default(),
        block_size: None,
        engine: None,
        adapters: Vec::new(),
    }
}

/// Fills in what the configuration leaves open.
fn complete(
    model: &mut ModelSection,
    source: &str,
    routing: &TrackingRouting,
) -> Result<(), Conflict> {
    if let (Some(configured), Some(policy)) = (model.block_size, routing.block_size)
        && configured != policy
    {
        return Err(Conflict {
            model: model.name.clone(),
            key: "block_size",
            configured: configured.to_string(),
            policy_key: "blockSize",
            policy: policy.to_string(),
        });
    }
    model.block_size = model.block_size.or(routing.block_size);
    model.source.get_or_insert_with(|| source.to_owned());
    // Without a seed nobody can compute the engines' hashes; SGLang has none.
    let seed = routing.hash_seed.as_ref().map(ToString::to_string);
    let Some(seed) = seed.filter(|_| model.server == ServerKind::Vllm) else {
        return Ok(());
    };
    match &mut model.engine {
        None => {
            model.profile = Profile::Engine;
            model.engine = Some(EngineSection {
                algorithm: ALGORITHM.to_owned(),
                hash_seed: Some(seed),
                version: None,
            });
        }
        Some(engine) => {
            let configured = engine.hash_seed.get_or_insert_with(|| seed.clone());
            if *configured != seed {
                return Err(Conflict {
                    model: model.name.clone(),
                    key: "engine.hash_seed",
                    configured: configured.clone(),
                    policy_key: "hashSeed",
                    policy: seed,
                });
            }
        }
    }
    Ok(())
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

    /// A list with the policy's model, and where it is.
    fn added(mut models: Vec<ModelSection>, view: &PoolView) -> ModelSection {
        add_to(&mut models, view).unwrap().unwrap().clone()
    }

    #[test]
    fn a_policy_says_all_that_a_model_needs() {
        let model = added(Vec::new(), &view(Some(42)));
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
        let model = added(Vec::new(), &view(None));
        assert_eq!((model.profile, model.engine), (Profile::Content, None));
    }

    #[test]
    fn a_tokenizer_given_by_flag_gets_the_policys_settings() {
        for name in ["Qwen/Qwen3-32B", "Qwen3-32B", "served"] {
            let flag = ModelSection {
                source: Some("/models/qwen".to_owned()),
                ..bare(name)
            };
            let mut models = vec![bare("another"), flag];
            let model = add_to(&mut models, &view(Some(42)))
                .unwrap()
                .unwrap()
                .clone();
            assert_eq!(models.len(), 2);
            assert_eq!(model.name, name);
            assert_eq!(model.source.as_deref(), Some("/models/qwen"));
            let mut names = model.aliases.clone();
            names.push(model.name);
            names.sort();
            assert_eq!(names, ["Qwen/Qwen3-32B", "Qwen3-32B", "served"]);
            let seed = model.engine.unwrap().hash_seed;
            assert_eq!(
                (model.profile, model.block_size, seed.as_deref()),
                (Profile::Engine, Some(64), Some("42"))
            );
        }
    }

    #[test]
    fn what_both_say_must_be_the_same() {
        let whole = added(Vec::new(), &view(Some(42)));
        let again = added(vec![whole.clone()], &view(Some(42)));
        assert_eq!(again, whole);
        let smaller = ModelSection {
            block_size: Some(16),
            ..whole.clone()
        };
        let conflict = add_to(&mut vec![smaller], &view(Some(42))).unwrap_err();
        let said = conflict.to_string();
        assert!(
            said.contains("block_size is 16") && said.contains("blockSize 64"),
            "{said}"
        );
        let conflict = add_to(&mut vec![whole], &view(Some(7))).unwrap_err();
        assert!(conflict.to_string().contains("hashSeed 7"), "{conflict}");
    }

    #[test]
    fn what_a_policy_does_not_say_is_left_alone() {
        let sglang = ModelSection {
            server: ServerKind::Sglang,
            ..bare("Qwen3-32B")
        };
        let model = added(vec![sglang], &view(Some(42)));
        assert_eq!((model.profile, model.engine), (Profile::Content, None));
        let mut taken = vec![bare("Qwen3-32B"), bare("served")];
        add_to(&mut taken, &view(None)).unwrap();
        assert_eq!(taken[0].aliases, ["Qwen/Qwen3-32B"]);
        assert_eq!(taken[1], bare("served"));
        let mut none = Vec::new();
        assert_eq!(add_to(&mut none, &PoolView::default()), Ok(None));
        assert!(none.is_empty());
    }
}
