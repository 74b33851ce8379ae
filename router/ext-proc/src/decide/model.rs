//! What the manifests say of the model that a request names.

use router_discovery::{Criticality, ModelRule, PoolView};

use crate::Headers;

use super::seed;

/// Names the target instead of an InferenceModel; the newer name first.
const REWRITE: [&str; 2] = ["x-llm-d-model-name-rewrite", "x-gateway-model-name-rewrite"];

/// Names an InferenceObjective, which sets the priority.
const OBJECTIVE: [&str; 2] = [
    "x-llm-d-inference-objective",
    "x-gateway-inference-objective",
];

/// The longest target that a header may name, in bytes.
const TARGET_BYTES: usize = 512;

/// Which model really answers, and how important that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The name that the engine serves.
    pub(super) target: String,
    /// As the InferenceModel says; Standard where there is none.
    pub(super) criticality: Criticality,
    /// Below 0 the request may be shed.
    pub(super) priority: i32,
}

/// Looks a model up. A name that no InferenceModel has is served as it is, as
/// Standard: models are announced for what they change, not to be allowed.
pub(super) fn resolve(
    view: &PoolView,
    headers: &Headers,
    model: &str,
    request_id: &str,
) -> Resolved {
    let rule = view.models.get(model);
    let ordered = first(headers, &REWRITE).filter(|target| may_be_ordered(view, target));
    // Whoever names two models gets the lesser's importance.
    let rules = [rule, ordered.and_then(|target| view.models.get(target))];
    let criticality = rules.into_iter().flatten().map(|rule| rule.criticality);
    let criticality = criticality.min().unwrap_or_default();
    let target = ordered
        .or_else(|| target(rule?, seed::of(request_id, 0)))
        .unwrap_or(model);
    let objective = first(headers, &OBJECTIVE).and_then(|name| view.objectives.get(name));
    Resolved {
        target: target.to_owned(),
        criticality,
        priority: objective.copied().unwrap_or(match criticality {
            Criticality::Sheddable => -1,
            Criticality::Standard => 0,
            Criticality::Critical => 1,
        }),
    }
}

/// Whether any request's criticality or target depends on the model it names.
pub(super) fn matters(view: &PoolView) -> bool {
    view.models.iter().any(|(name, rule)| {
        let mut targets = rule.targets.iter();
        rule.criticality != Criticality::default() || targets.any(|target| target.name != *name)
    })
}

/// A header may name what the pool's InferenceModels know; anything where there
/// are none. The header is the gateway's, but clients can send it too.
fn may_be_ordered(view: &PoolView, target: &str) -> bool {
    if target.is_empty() || target.len() > TARGET_BYTES {
        return false;
    }
    let mut targets = view.models.values().flat_map(|rule| &rule.targets);
    view.models.is_empty()
        || view.models.contains_key(target)
        || targets.any(|known| known.name == target)
}

fn first<'a>(headers: &'a Headers, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| headers.get(name))
}

/// One target, with the chance that its weight gives it.
fn target(rule: &ModelRule, seed: u64) -> Option<&str> {
    let total: u64 = rule.targets.iter().map(|t| u64::from(t.weight)).sum();
    let mut left = seed.checked_rem(total)?;
    rule.targets.iter().find_map(|target| {
        let weight = u64::from(target.weight);
        if left < weight {
            return Some(target.name.as_str());
        }
        left -= weight;
        None
    })
}

#[cfg(test)]
mod tests {
    use router_discovery::TargetModel;

    use super::*;

    fn view(targets: &[(&str, u32)]) -> PoolView {
        let rule = ModelRule {
            criticality: Criticality::Sheddable,
            targets: targets
                .iter()
                .map(|(name, weight)| TargetModel {
                    name: (*name).to_owned(),
                    weight: *weight,
                })
                .collect(),
        };
        PoolView {
            models: [("m".to_owned(), rule)].into(),
            objectives: [("batch".to_owned(), -5)].into(),
            ..PoolView::default()
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers::new(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())),
        )
    }

    #[test]
    fn targets_are_chosen_by_weight_and_the_same_for_the_same_request() {
        let view = view(&[("a", 90), ("none", 0), ("b", 10)]);
        let chosen = |id: usize| resolve(&view, &headers(&[]), "m", &format!("request {id}"));
        let b = (0..10_000).filter(|id| chosen(*id).target == "b").count();
        assert!((850..1150).contains(&b), "{b}");
        assert!((0..10_000).all(|id| chosen(id).target != "none"));
        assert_eq!(chosen(3), chosen(3));
    }

    #[test]
    fn a_model_without_a_rule_or_without_targets_keeps_its_name() {
        let plain = resolve(&view(&[]), &headers(&[]), "other", "1");
        assert_eq!(plain.target, "other");
        assert_eq!(
            (plain.criticality, plain.priority),
            (Criticality::Standard, 0)
        );
        let named = resolve(&view(&[]), &headers(&[]), "m", "1");
        assert_eq!((named.target.as_str(), named.priority), ("m", -1));
        let weightless = resolve(&view(&[("a", 0)]), &headers(&[]), "m", "1");
        assert_eq!(weightless.target, "m");
    }

    #[test]
    fn a_header_is_no_way_past_the_inference_models() {
        let view = view(&[("a", 1)]);
        let stranger = headers(&[("x-gateway-model-name-rewrite", "z")]);
        assert_eq!(resolve(&view, &stranger, "m", "1").target, "a");
        assert_eq!(resolve(&view, &stranger, "other", "1").target, "other");
        // Under another name a sheddable model stays sheddable.
        let sheddable = headers(&[("x-llm-d-model-name-rewrite", "m")]);
        let renamed = resolve(&view, &sheddable, "other", "1");
        assert_eq!((renamed.target.as_str(), renamed.priority), ("m", -1));
    }

    #[test]
    fn models_matter_where_they_change_something() {
        assert!(!matters(&PoolView::default()));
        assert!(matters(&view(&[])), "sheddable");
        let standard = |target: &str| {
            let mut view = view(&[(target, 1)]);
            for rule in view.models.values_mut() {
                rule.criticality = Criticality::Standard;
            }
            matters(&view)
        };
        assert!(!standard("m"));
        assert!(standard("m-v2"));
    }

    #[test]
    fn headers_name_target_and_objective() {
        let view = view(&[("a", 1), ("z", 0)]);
        let rewritten = headers(&[("x-gateway-model-name-rewrite", "z")]);
        assert_eq!(resolve(&view, &rewritten, "m", "1").target, "z");
        let pool = PoolView::default();
        assert_eq!(resolve(&pool, &rewritten, "m", "1").target, "z");
        for name in OBJECTIVE {
            let batch = resolve(&view, &headers(&[(name, "batch")]), "other", "1");
            assert_eq!(batch.priority, -5);
            let unknown = resolve(&view, &headers(&[(name, "x")]), "other", "1");
            assert_eq!(unknown.priority, 0);
        }
    }
}
