//! Roles in processes of their own, on a store that outlives them.

mod cluster;
mod membership;
mod mistakes;
mod redis;
pub(crate) mod role;
mod rolling;
mod scoring;
mod tls;
