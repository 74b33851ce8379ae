use std::sync::Arc;

use crate::hub::HubError;
use crate::model::LoadError;

/// Why a library has no such model. Cheap to clone, as waiting requests share it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LibraryError {
    /// The name is not configured, and may not be looked up elsewhere.
    #[error(
        "model {model:?} is not configured; add it to the configured models, with its directory or its hub name"
    )]
    Unknown {
        /// The name, shortened.
        model: String,
    },
    /// The model's files could not be found or downloaded.
    #[error("model files cannot be found")]
    Hub(#[source] Arc<HubError>),
    /// The model's files could not be loaded.
    #[error("model cannot be loaded")]
    Load(#[source] Arc<LoadError>),
    /// As many models are being loaded as may be held.
    #[error(
        "all {loading} places for models are taken by models being loaded; try again, or raise the capacity"
    )]
    Busy {
        /// The capacity.
        loading: usize,
    },
}

impl LibraryError {
    /// Whether asking again may succeed with nothing changed by hand.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Load(_) => false,
            Self::Hub(error) => error.retryable(),
            Self::Busy { .. } => true,
        }
    }
}
