//! Between Envoy's protobuf messages and the state machine's events and answers.

mod incoming;
mod outgoing;
mod sizes;

pub(crate) use incoming::{Message, read};
pub(crate) use outgoing::{immediate, write};
pub(crate) use sizes::sizes;

/// Where gateways look for the picked endpoint: a header, and a key of dynamic
/// metadata, with the same value.
const DESTINATION: &str = "x-gateway-destination-endpoint";

/// The namespace of the picked endpoint, and of the one that served.
const LB_NAMESPACE: &str = "envoy.lb";
