//! Numbers that look random and are the same for the same request on every picker.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The seed of a request, or of one choice within it.
pub(super) fn of(request_id: &str, salt: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    request_id.hash(&mut hasher);
    salt.hash(&mut hasher);
    hasher.finish()
}
