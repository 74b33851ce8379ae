//! What all streams share, and their places and bytes in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use super::stats::StreamStats;
use crate::Decide;

/// What all streams of a server share.
pub(super) struct Shared {
    pub(super) decide: Arc<dyn Decide>,
    pub(super) settings: Settings,
    pub(super) stats: Arc<StreamStats>,
    /// Cuts what is still open.
    pub(super) stop: CancellationToken,
    violation_logged: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        decide: Arc<dyn Decide>,
        settings: Settings,
        stats: Arc<StreamStats>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            decide,
            settings,
            stats,
            stop,
            violation_logged: AtomicBool::new(false),
        }
    }

    /// A gateway that is set up wrong does it with every request: said once.
    pub(super) fn first_violation(&self) -> bool {
        !self.violation_logged.swap(true, Ordering::Relaxed)
    }
}

/// Bytes that are held, out of those of all streams. Dropping it gives them back.
pub(super) struct Held {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Held {
    /// So much of messages under way each stream may hold when all is full: streams
    /// of tokens go on.
    const ALWAYS_BYTES: u64 = 64 << 10;

    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            bytes: 0,
        }
    }

    /// Holds so many bytes more, if there is room for them.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let limit = self.shared.settings.buffered_bytes_max;
        self.hold_within(bytes, u64::try_from(limit).unwrap_or(u64::MAX))
    }

    /// As [`hold`](Self::hold), but a small part has room at all times.
    pub(super) fn hold_small(&mut self, bytes: usize) -> bool {
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        if self.bytes.saturating_add(more) <= Self::ALWAYS_BYTES {
            return self.hold_within(bytes, u64::MAX);
        }
        self.hold(bytes)
    }

    fn hold_within(&mut self, bytes: usize, most: u64) -> bool {
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        let taken = self.shared.stats.bytes_buffered.add_within(more, most);
        if taken {
            self.bytes += more;
        }
        taken
    }

    /// Holds no bytes any more.
    pub(super) fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes > 0 {
            self.shared.stats.bytes_buffered.sub(bytes);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

/// A stream's place, and the bytes of its request. Dropping it gives both back.
pub(super) struct Place {
    shared: Arc<Shared>,
    held: Held,
}

impl Place {
    /// `None` if all are taken.
    pub(super) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let most = u64::try_from(shared.settings.streams_max).unwrap_or(u64::MAX);
        if !shared.stats.streams_open.add_within(1, most) {
            shared.stats.streams_over_limit.inc();
            return None;
        }
        shared.stats.streams.inc();
        Some(Self {
            shared: Arc::clone(shared),
            held: Held::new(shared),
        })
    }

    /// Holds so many bytes more, if there is room for them.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        self.held.hold(bytes)
    }

    /// Holds no bytes any more.
    pub(super) fn release(&mut self) {
        self.held.release();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.release();
        self.shared.stats.streams_open.sub(1);
    }
}
