//! Which endpoints there are, what the manifests ask for, and how busy the engines are.

mod view;

pub use view::{
    Criticality, EstimatedRouting, ModelRule, PoolEndpoint, PoolView, Strategy, TargetModel,
    TrackingRouting,
};
