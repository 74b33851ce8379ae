//! From scores and load to a ranked list of endpoints. Sync and pure.
