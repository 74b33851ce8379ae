//! The replicated state: one deterministic apply.
