//! Which endpoints there are, what the manifests ask for, and how busy the engines are.

mod address;
mod departures;
mod files;
mod fixed;
mod kubernetes;
mod manifest;
mod scrape;
mod source;
mod view;

pub use departures::{Departure, Departures};
pub use files::{FileSettings, follow_files};
pub use fixed::{EndpointError, fixed_pool, parse_endpoint};
pub use kubernetes::{
    Access, AccessError, KubernetesSettings, WatchedResource, follow_kubernetes, watched_resources,
};
pub use manifest::{Mistake, Mistakes, Origin, PoolGroup};
pub use scrape::{
    EngineLoad, LoadCounters, LoadMistake, Loads, ScrapeMistake, ScrapeSettings, Scraper,
};
pub use source::{Discovery, SourceStatus, Trouble};
pub use view::{
    Criticality, EstimatedRouting, ModelRule, PoolEndpoint, PoolView, Strategy, TargetModel,
    TrackingRouting,
};
