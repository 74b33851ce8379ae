//! Faults injected into real processes, and an oracle that compares.

fn main() {}
