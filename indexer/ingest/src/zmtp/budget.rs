//! Bytes that several tasks share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes, handed out in KiB to those who wait in line.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    kib: Arc<Semaphore>,
    total: u32,
}

/// A part of a budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    permit: OwnedSemaphorePermit,
    kib: u32,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let total = kib(bytes);
        Self {
            kib: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Room for `bytes` if nobody has to wait for it; at most the whole budget,
    /// so that whoever asks can be served.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Room> {
        let kib = kib(bytes).min(self.total);
        let permit = Arc::clone(&self.kib).try_acquire_many_owned(kib).ok()?;
        Some(Room { permit, kib })
    }

    /// Waits for room for `bytes`; `None` never comes, as nobody closes a budget.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Room> {
        let kib = kib(bytes).min(self.total);
        let permit = Arc::clone(&self.kib).acquire_many_owned(kib).await.ok()?;
        Some(Room { permit, kib })
    }

    /// Makes `room` enough for `bytes`, waiting if it must grow.
    pub(crate) async fn grow(&self, room: &mut Option<Room>, bytes: usize) {
        let wanted = kib(bytes).min(self.total);
        let held = room.as_ref().map_or(0, |room| room.kib);
        if wanted <= held {
            return;
        }
        let missing = Arc::clone(&self.kib).acquire_many_owned(wanted - held);
        let Ok(permit) = missing.await else { return };
        match room {
            Some(room) => {
                room.permit.merge(permit);
                room.kib = wanted;
            }
            None => {
                *room = Some(Room {
                    permit,
                    kib: wanted,
                });
            }
        }
    }

    /// Bytes that nobody has, in whole KiB.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.kib.available_permits() * 1024
    }
}

/// Bytes in whole KiB, at least one. A semaphore counts no further than this.
fn kib(bytes: usize) -> u32 {
    let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
    u32::try_from(bytes.div_ceil(1024).max(1)).map_or(most, |kib| kib.min(most))
}
