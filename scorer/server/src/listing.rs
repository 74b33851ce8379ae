//! What operators ask for: endpoints, sizes, models.

mod page;
mod stats;

pub(crate) use page::{EndpointFilter, endpoints};
pub(crate) use stats::stats;
