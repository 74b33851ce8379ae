//! The store on real servers.

mod checkpoints;
mod cluster;
mod conformance;
mod make;
mod proxy;
mod reader;
mod restarts;
mod sentinel;
mod server;
mod support;
mod writers;
