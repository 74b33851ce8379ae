//! The binary as users run it: real processes, real sockets, clients that were
//! not written here.

mod clients;
mod commands;
mod demo;
mod engine_double;
mod epp;
mod hybrid;
mod replicated;
mod running;
