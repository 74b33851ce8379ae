//! What the manifests of one pool ask for, together.

use std::collections::BTreeMap;

use super::mistake::{Mistake, Origin};
use super::policy::PrefixCacheMode;
use super::{InferenceModel, InferenceObjective, InferencePool, InferenceTrafficPolicy};
use crate::view::{EstimatedRouting, ModelRule, Strategy};

/// How requests to one pool are routed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rules {
    pub(crate) strategy: Strategy,
    pub(crate) models: BTreeMap<String, ModelRule>,
    pub(crate) objectives: BTreeMap<String, i32>,
}

/// The rules of a pool, of the manifests that mean it; others are passed over.
pub(crate) fn rules_of<'m>(
    pool: &InferencePool,
    policies: impl IntoIterator<Item = &'m InferenceTrafficPolicy>,
    models: impl IntoIterator<Item = &'m InferenceModel>,
    objectives: impl IntoIterator<Item = &'m InferenceObjective>,
) -> Result<Rules, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let of_pool = |namespace: &str, reference: &super::reference::PoolReference| {
        namespace == pool.name.namespace && reference.means(pool.group, &pool.name.name)
    };
    let policies: Vec<&InferenceTrafficPolicy> = policies
        .into_iter()
        .filter(|policy| of_pool(&policy.name.namespace, &policy.pool))
        .collect();
    let strategy = strategy(pool, &policies, &mut mistakes);
    let mut rules = Rules {
        strategy,
        ..Rules::default()
    };
    let mut owners = BTreeMap::new();
    for model in models {
        if !of_pool(&model.name.namespace, &model.pool) {
            continue;
        }
        if let Some(owner) = owners.insert(&model.model_name, &model.name) {
            mistakes.push(wrong(
                &model.origin,
                "spec.modelName",
                format!(
                    "{:?} is also the modelName of InferenceModel {owner}; each pool takes a \
                     modelName once",
                    model.model_name
                ),
            ));
        }
        rules
            .models
            .insert(model.model_name.clone(), model.rule.clone());
    }
    for objective in objectives {
        if of_pool(&objective.name.namespace, &objective.pool) {
            rules
                .objectives
                .insert(objective.name.name.clone(), objective.priority);
        }
    }
    if mistakes.is_empty() {
        Ok(rules)
    } else {
        Err(mistakes)
    }
}

/// A policy before the annotation; at most one policy.
fn strategy(
    pool: &InferencePool,
    policies: &[&InferenceTrafficPolicy],
    mistakes: &mut Vec<Mistake>,
) -> Strategy {
    for policy in policies.iter().skip(1) {
        mistakes.push(wrong(
            &policy.origin,
            "spec.poolRef",
            format!(
                "InferencePool {} has the InferenceTrafficPolicy {} already; accepted: one",
                pool.name, policies[0].name
            ),
        ));
    }
    match policies.first().map(|policy| &policy.mode) {
        Some(PrefixCacheMode::Tracking(tracking)) => Strategy::Tracking(tracking.clone()),
        Some(PrefixCacheMode::Estimate) => Strategy::Estimated(EstimatedRouting::default()),
        None if pool.prefix_cache => Strategy::Estimated(EstimatedRouting::default()),
        None => Strategy::LoadOnly,
    }
}

pub(super) fn wrong(origin: &Origin, path: &str, reason: String) -> Mistake {
    Mistake {
        origin: origin.clone(),
        path: path.to_owned(),
        reason,
    }
}
