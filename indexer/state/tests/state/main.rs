//! The state against its rules, a naive model, and a simulated fleet.

mod bounds;
mod changes;
mod history;
mod naive;
mod naive_blocks;
mod naive_routes;
mod order;
mod routes;
mod simulation;
mod support;
