//! Generated gRPC code, conversions to the vocabulary, and the one place where errors become statuses.
