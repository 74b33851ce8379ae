//! `InferenceObjective`.

use super::fields::Fields;
use super::mistake::Origin;
use super::reference::{PoolReference, pool_reference};
use super::resource::{Head, ResourceName};

/// What an InferenceObjective says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InferenceObjective {
    pub(crate) name: ResourceName,
    pub(crate) origin: Origin,
    pub(crate) pool: PoolReference,
    /// Below 0: may be shed.
    pub(crate) priority: i32,
}

pub(super) fn inference_objective(
    head: Head<'_>,
    spec: &mut Fields<'_>,
) -> Option<InferenceObjective> {
    let pool = pool_reference(spec);
    let priority = match spec.optional("priority") {
        Some(node) => node
            .number(i64::from(i32::MIN), i64::from(i32::MAX))
            .and_then(|priority| i32::try_from(priority).ok()),
        None => Some(0),
    };
    Some(InferenceObjective {
        name: head.name,
        origin: head.origin,
        pool: pool?,
        priority: priority?,
    })
}
