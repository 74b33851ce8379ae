//! Who is believed to lead.

use parking_lot::Mutex;

/// Where appends go first.
#[derive(Debug)]
pub(super) struct Leader {
    address: Mutex<String>,
}

impl Leader {
    pub(super) fn new(address: String) -> Self {
        Self {
            address: Mutex::new(address),
        }
    }

    pub(super) fn address(&self) -> String {
        self.address.lock().clone()
    }

    /// An append was taken there.
    pub(super) fn is(&self, address: &str) {
        let mut believed = self.address.lock();
        if *believed != address {
            address.clone_into(&mut believed);
        }
    }

    /// What was believed of `address` is not true any more; `next` is tried.
    pub(super) fn is_not(&self, address: &str, next: &str) {
        let mut believed = self.address.lock();
        if *believed == address {
            next.clone_into(&mut believed);
        }
    }
}
