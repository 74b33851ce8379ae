//! The endpoint picker's half of Envoy's external processing.

mod decide;
mod decision;
mod headers;
mod refusal;
mod scorers;
mod server;
mod stream;
mod wire;

pub use decide::{
    BUCKETS_US, Decider, DeciderOptions, DecisionStats, FALLBACK_REASONS, Histogram, Mode, NoLoads,
    PICK_REASONS, SampledLoads,
};
pub use decision::{
    Asked, Decide, End, Refused, RefusedKind, Routed, Subset, SubsetEntry, Ticket, Usage,
};
pub use headers::Headers;
pub use scorers::{Count, ScoreError, Scored, ScorerStats, Scorers, ScorersOptions};
pub use server::{
    Gauge, Lifecycle, Listeners, ServeError, Settings, SettingsError, StreamStats, TlsError,
    TlsSource, serve,
};
