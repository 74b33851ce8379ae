//! `InferenceModel`.

use std::collections::BTreeSet;

use super::fields::{Fields, Node};
use super::mistake::Origin;
use super::reference::{PoolReference, pool_reference};
use super::resource::{Head, ResourceName};
use crate::view::{Criticality, ModelRule, TargetModel};

/// Targets of one model, as GIE bounds them.
const MOST_TARGETS: usize = 10;
/// The largest weight, as GIE bounds it.
const MOST_WEIGHT: i64 = 1_000_000;

/// What an InferenceModel says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InferenceModel {
    pub(crate) name: ResourceName,
    pub(crate) origin: Origin,
    pub(crate) pool: PoolReference,
    pub(crate) model_name: String,
    pub(crate) rule: ModelRule,
}

pub(super) fn inference_model(head: Head<'_>, spec: &mut Fields<'_>) -> Option<InferenceModel> {
    let pool = pool_reference(spec);
    let model_name = spec.required("modelName").as_ref().and_then(Node::text);
    let criticality = match spec.optional("criticality") {
        Some(node) => node.choice(&[
            ("Critical", Criticality::Critical),
            ("Standard", Criticality::Standard),
            ("Sheddable", Criticality::Sheddable),
        ]),
        None => Some(Criticality::default()),
    };
    let targets = match spec.optional("targetModels") {
        Some(node) => targets(&node),
        None => Some(Vec::new()),
    };
    Some(InferenceModel {
        name: head.name,
        origin: head.origin,
        pool: pool?,
        model_name: model_name?.to_owned(),
        rule: ModelRule {
            criticality: criticality?,
            targets: targets?,
        },
    })
}

fn targets(node: &Node<'_>) -> Option<Vec<TargetModel>> {
    let items = node.items(MOST_TARGETS);
    let mut whole = node.value.is_array() && items.len() == node.value.as_array()?.len();
    let (mut targets, mut names, mut weighted) = (Vec::new(), BTreeSet::new(), 0_usize);
    for item in &items {
        match target(item) {
            Some((name, _)) if !names.insert(name) => {
                item.wrong(format!("the target {name:?} comes twice"));
                whole = false;
            }
            Some((name, weight)) => {
                weighted += usize::from(weight.is_some());
                targets.push(TargetModel {
                    name: name.to_owned(),
                    weight: weight.unwrap_or(1),
                });
            }
            None => whole = false,
        }
    }
    if whole && weighted > 0 && weighted < targets.len() {
        node.wrong("some targets have a weight and some have none; accepted: all or none");
        whole = false;
    }
    if whole && !targets.is_empty() && targets.iter().all(|target| target.weight == 0) {
        node.wrong("the sum of the weights is 0; give one target a weight above 0");
        whole = false;
    }
    whole.then_some(targets)
}

fn target<'v>(item: &Node<'v>) -> Option<(&'v str, Option<u32>)> {
    let mut fields = item.object()?;
    let name = fields.required("name").as_ref().and_then(Node::text);
    let weight = fields.optional("weight").map(|node| {
        let weight = node.number(0, MOST_WEIGHT)?;
        u32::try_from(weight).ok()
    });
    fields.finish();
    match weight {
        Some(None) => None,
        weight => Some((name?, weight.flatten())),
    }
}
