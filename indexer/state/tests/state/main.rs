//! The state against its rules.

mod order;
mod support;
