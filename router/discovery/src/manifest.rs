//! Manifests as users have them, read strictly.
//!
//! ```text
//!  YAML or JSON text ──documents──▶ Value ┐
//!  objects of an API server ──────▶ Value ┴─▶ Resource ──▶ Manifests ──▶ Resolved
//!                                          each with every mistake it has
//! ```
//!
//! What is not known, or known and not supported, is a [`Mistake`] that names
//! the place, what is wrong and what is accepted: nothing is ignored silently.

mod document;
mod endpoints;
mod fields;
#[cfg(test)]
mod hostile;
mod mistake;
mod model;
mod objective;
mod pod;
mod policy;
mod pool;
mod reference;
mod resource;
mod rules;
mod set;

pub(crate) use document::documents;
pub use mistake::{Mistake, Mistakes, Origin};
pub(crate) use model::InferenceModel;
pub(crate) use objective::InferenceObjective;
pub(crate) use pod::{PodAddress, Readiness, pod_address};
pub(crate) use policy::InferenceTrafficPolicy;
pub(crate) use pool::InferencePool;
pub use pool::PoolGroup;
pub(crate) use resource::{Resource, ResourceName, read_object};
pub(crate) use rules::{Rules, rules_of};
pub(crate) use set::{Manifests, PoolChoice, Resolved};
