//! Engine frames to typed KV-cache events.
