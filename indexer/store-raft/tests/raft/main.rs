//! Nodes of a Raft store on loopback: real servers, real disks.

mod batches;
mod conformance;
mod directories;
mod failover;
mod forged;
mod handover;
mod membership;
mod net;
mod partition;
mod snapshot;
mod support;
