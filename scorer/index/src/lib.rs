//! The in-memory prefix index and its scoring.
