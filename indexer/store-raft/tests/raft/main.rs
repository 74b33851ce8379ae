//! Nodes of a Raft store on loopback: real servers, real disks.

mod conformance;
mod net;
mod support;
