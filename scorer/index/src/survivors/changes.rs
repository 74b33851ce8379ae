//! What holders had before their fastest medium changed.
//!
//! Most lookups meet no such holder, and keep nothing here.

use proto_model::{Holder, Medium};

use crate::{Match, lanes};

/// One span with changed holders.
#[derive(Debug, Clone, Copy)]
struct Span {
    number: u32,
    /// The holders that have changed.
    slots: u64,
    /// Where in [`Changes::places`] its places begin.
    base: u32,
}

/// See the module's words.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Ascending.
    spans: Vec<Span>,
    /// For each slot of those spans, where its match is, if it has changed.
    places: Vec<u32>,
    /// Matches up to the last change.
    matches: Vec<Match>,
}

impl Changes {
    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.places.clear();
        self.matches.clear();
    }

    /// Which slots of a span have changed.
    #[inline]
    pub(super) fn slots(&self, span: u32) -> u64 {
        if self.spans.is_empty() {
            return 0;
        }
        self.find(span).map_or(0, |at| self.spans[at].slots)
    }

    /// A holder's match up to its last change.
    pub(super) fn of(&self, slot: u32) -> Option<Match> {
        let (span, bit) = lanes::place(slot);
        let span = self.spans[self.find(span).ok()?];
        let place = self.places[span.place(bit)];
        (span.slots & bit != 0).then(|| self.matches[place as usize])
    }

    /// Notes that a slot has had its blocks on `medium` up to `position`, and the
    /// next one not.
    pub(super) fn note(&mut self, slot: u32, medium: Medium, position: u32) {
        let (number, bit) = lanes::place(slot);
        let at = self.find(number).unwrap_or_else(|at| self.add(at, number));
        let span = &mut self.spans[at];
        let place = &mut self.places[span.place(bit)];
        if span.slots & bit == 0 {
            span.slots |= bit;
            *place = self.matches.len() as u32;
            self.matches.push(Match::new(Holder(0)));
        }
        self.matches[*place as usize].extend(medium, position);
    }

    fn find(&self, span: u32) -> Result<usize, usize> {
        self.spans.binary_search_by_key(&span, |span| span.number)
    }

    fn add(&mut self, at: usize, number: u32) -> usize {
        let base = self.places.len();
        self.places.resize(base + lanes::SPAN as usize, 0);
        self.spans.insert(
            at,
            Span {
                number,
                slots: 0,
                base: base as u32,
            },
        );
        at
    }
}

impl Span {
    fn place(self, bit: u64) -> usize {
        self.base as usize + bit.trailing_zeros() as usize
    }
}
