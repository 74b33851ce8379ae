//! The cluster's administration over gRPC: the service, and the operators' client.

mod client;
mod service;

pub use self::client::{AdminClient, AdminError, ClusterStatus, MemberStatus, RefusalReason};
pub(crate) use self::service::AdminService;
