//! From engine sockets to appended batches: order, replay, batching.

mod address;
mod check;
mod config;
mod decode;
mod driver;
mod entry;
mod findings;
mod ingestor;
mod keyed;
mod metrics;
mod models;
mod replay;
mod sequencer;
mod sockets;
mod source;
pub mod stages;
mod translate;
mod turns;
mod view;
mod zmtp;

pub use address::{AddressError, TcpAddress};
pub use config::{
    Backoff, BatchingConfig, BindConfig, Bounds, ConfigError, ConnectConfig, EngineKind, Identity,
    IngestConfig, ModelConfig, ReplayConfig,
};
pub use findings::{Finding, FindingKind, Findings};
pub use ingestor::{Ingestor, Monitor, StartError};
pub use view::PublisherView;
