//! The replicated store: openraft on sled.
