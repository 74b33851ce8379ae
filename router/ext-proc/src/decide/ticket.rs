//! A routed request until its end: books, comparison, the second log line.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{End, Ticket, Usage};

use super::books::{Booking, Books};
use super::log;
use super::stats::{DecisionStats, Mode};

/// What was promised for a request, and where it is booked.
pub(super) struct Routing {
    pub(super) books: Arc<Books>,
    pub(super) booking: Booking,
    pub(super) stats: Arc<DecisionStats>,
    pub(super) request_id: String,
    pub(super) mode: Mode,
    /// Reusable tokens of each endpoint that the gateway was given.
    pub(super) predicted: Vec<(SocketAddr, u32)>,
    pub(super) status: Option<u16>,
}

impl Routing {
    /// What was predicted for the endpoint that serves it.
    fn prediction(&self) -> Option<u32> {
        let served = self.booking.address();
        let known = self
            .predicted
            .iter()
            .find(|(address, _)| *address == served);
        known
            .filter(|_| self.mode == Mode::Tracking)
            .map(|(_, tokens)| *tokens)
    }
}

impl Ticket for Routing {
    fn responded(&mut self, status: u16, served: Option<SocketAddr>) {
        self.status = Some(status);
        if let Some(served) = served.filter(|served| *served != self.booking.address()) {
            let prefill = self.booking.prefill_tokens();
            self.booking = self.books.book(served, prefill);
        }
        if status >= 400 {
            self.booking.prefilled();
        }
    }

    fn progressed(&mut self) {
        self.booking.prefilled();
    }

    fn finished(self: Box<Self>, end: End, usage: Option<Usage>) {
        let predicted = self.prediction();
        let cached = usage.and_then(|usage| usage.cached_tokens);
        if let (Some(predicted), Some(cached), Some(200)) = (predicted, cached, self.status) {
            self.stats.compare(u64::from(predicted), cached);
        }
        log::finished(&log::Finished {
            request_id: &self.request_id,
            mode: self.mode,
            status: self.status,
            served: self.booking.address(),
            predicted,
            usage,
            end,
        });
    }
}

impl Drop for Routing {
    fn drop(&mut self) {
        self.stats.ended.inc();
    }
}
