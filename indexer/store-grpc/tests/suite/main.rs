//! The seams over real loopback connections.

mod appends;
mod back_pressure;
mod batch;
mod conformance;
mod delays;
mod failover;
mod flood;
mod hostile;
mod never_back;
mod node;
mod proxy;
mod reader;
mod slow;
mod writers;
