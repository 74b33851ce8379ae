//! Tests of the system as a whole. Everything is in `tests/`.
