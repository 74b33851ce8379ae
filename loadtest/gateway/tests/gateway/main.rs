//! The acceptance of the endpoint picker behind a real Envoy, short form. Every
//! test has an Envoy, a picker and engines of its own.

mod bench;

mod fallbacks;
mod plain;
mod process;
mod refusals;
mod requests;
mod responses;
mod rewriting;
mod rounds;
mod subsets;
