//! How far each of several stores is known, as JSON.

use proto_api::StoreStanding;
use serde::Serialize;

/// Fields as in `kvatlas.v1.StoreStanding`.
#[derive(Serialize)]
pub(super) struct StandingJson {
    cluster: String,
    revision: u64,
    age_ms: u64,
    state: &'static str,
}

impl From<StoreStanding> for StandingJson {
    fn from(standing: StoreStanding) -> Self {
        Self {
            cluster: standing.cluster,
            revision: standing.revision.0,
            age_ms: standing.age_ms,
            state: standing.state.as_str(),
        }
    }
}
