//! The endpoint picker's half of Envoy's external processing.

mod decision;
mod headers;

pub use decision::{
    Asked, Decide, End, Refused, RefusedKind, Routed, Subset, SubsetEntry, Ticket, Usage,
};
pub use headers::Headers;
