//! What the state knows of one publisher.

use proto_model::{
    Cursor, Delta, Holder, Incarnation, KeySpace, Message, Publisher, PublisherStatus, Scope,
    Source, Trust,
};

use crate::counters::Counters;
use crate::emit::Emit;
use crate::groups::Groups;
use crate::limits::StateLimits;
use crate::order::Position;
use crate::parked::Parked;
use crate::state::Holders;
use crate::table::Table;

/// A key space of a publisher. Its place in the list is its index in slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) space: KeySpace,
    pub(crate) scope: Scope,
}

/// What the state knows of one publisher.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) holder: Holder,
    pub(crate) incarnation: Incarnation,
    pub(crate) position: Position,
    pub(crate) trust: Trust,
    pub(crate) lost: u64,
    pub(crate) model: String,
    pub(crate) spaces: Vec<Space>,
    pub(crate) groups: Groups,
    pub(crate) table: Table,
    pub(crate) parked: Parked,
}

/// What is shared by all publishers while one of them changes.
pub(crate) struct Shared<'a> {
    pub(crate) limits: &'a StateLimits,
    pub(crate) counters: &'a mut Counters,
    pub(crate) parked_total: &'a mut usize,
    /// Blocks of all other publishers.
    pub(crate) blocks_elsewhere: usize,
    pub(crate) holders: &'a mut Holders,
    /// Whether the whole cache turned out to be gone, whatever was known of it.
    pub(crate) cache_ended: bool,
}

impl Entry {
    pub(crate) fn new(holder: Holder) -> Self {
        Self {
            holder,
            incarnation: Incarnation(1),
            position: Position::default(),
            trust: Trust::Exact,
            lost: 0,
            model: String::new(),
            spaces: Vec::new(),
            groups: Groups::default(),
            table: Table::default(),
            parked: Parked::default(),
        }
    }

    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            incarnation: self.incarnation,
            next: self.position.next,
            timestamp: self.position.last.unwrap_or_default(),
            trust: self.trust,
        }
    }

    pub(crate) fn status(&self, publisher: &Publisher) -> PublisherStatus {
        PublisherStatus {
            publisher: publisher.clone(),
            model: self.model.clone(),
            cursor: self.cursor(),
            parked: self.parked.len() as u64,
            lost: self.lost,
        }
    }

    /// What a status says, but for the names: compared to see whether it changed.
    pub(crate) fn standing(&self) -> (Cursor, usize, u64) {
        (self.cursor(), self.parked.len(), self.lost)
    }

    /// Believes the publisher no further than `trust`.
    pub(crate) fn lower_trust(&mut self, trust: Trust) {
        self.trust = self.trust.min(trust);
    }

    /// Begins the incarnation that `message` is the first sign of.
    pub(crate) fn restart(
        &mut self,
        message: &Message,
        emit: &mut Emit<'_>,
        s: &mut Shared<'_>,
        p: &Publisher,
    ) {
        let position = self.position.after_restart(message);
        self.begin_incarnation(position, emit, s, p);
    }

    /// Ends the incarnation because a writer knows better than the clocks.
    ///
    /// Nothing is held against older timestamps then: the new engine's clock may
    /// well be behind. What that gives up is written in `docs/state.md`.
    pub(crate) fn reset(&mut self, emit: &mut Emit<'_>, s: &mut Shared<'_>, p: &Publisher) {
        self.begin_incarnation(Position::after_reset(), emit, s, p);
    }

    /// Goes on at `next`, or stays there and is believed no further than `trust`.
    pub(crate) fn skip_to(&mut self, next: u64, trust: Trust, s: &mut Shared<'_>) {
        let lost = next.saturating_sub(self.position.next);
        self.lost = self.lost.saturating_add(lost);
        s.counters.messages_lost = s.counters.messages_lost.saturating_add(lost);
        self.position.next = next;
        self.lower_trust(trust);
    }

    /// Whether nothing has been applied in this incarnation.
    pub(crate) fn is_untouched(&self) -> bool {
        self.position.last.is_none()
    }

    /// Drops every block and every parked copy.
    pub(crate) fn empty(&mut self, emit: &mut Emit<'_>, s: &mut Shared<'_>, p: &Publisher) {
        *s.parked_total -= self.parked.len();
        self.parked = Parked::default();
        s.cache_ended = true;
        self.empty_table(emit, s, p);
    }

    /// Drops every block. Readers are told with a new holder, or not at all if
    /// they know of no block.
    pub(crate) fn empty_table(&mut self, emit: &mut Emit<'_>, s: &mut Shared<'_>, p: &Publisher) {
        if self.table.has_members() {
            self.renew_holder(emit, s, p);
        }
        self.table = Table::default();
    }

    fn renew_holder(&mut self, emit: &mut Emit<'_>, s: &mut Shared<'_>, p: &Publisher) {
        let Some(holder) = s.holders.next() else {
            // Numbers have run out: the old holder stays and loses its keys.
            return self.retract_members(emit);
        };
        emit.other(Delta::HolderEnded {
            holder: self.holder,
        });
        emit.other(Delta::HolderBegan {
            holder,
            publisher: p.clone(),
            source: Source::Confirmed,
        });
        emit.switch(holder);
        self.holder = holder;
    }

    /// The index of a key space that the publisher was seen to store in.
    pub(crate) fn space_index(&self, space: &KeySpace) -> Option<u16> {
        let found = self.spaces.iter().position(|known| known.space == *space);
        found.and_then(|index| u16::try_from(index).ok())
    }

    fn begin_incarnation(
        &mut self,
        position: Position,
        emit: &mut Emit<'_>,
        s: &mut Shared<'_>,
        p: &Publisher,
    ) {
        if !self.table.has_members() {
            self.renew_holder(emit, s, p);
        }
        self.empty(emit, s, p);
        self.groups = Groups::default();
        self.incarnation = Incarnation(self.incarnation.0 + 1);
        self.position = position;
        self.trust = Trust::Exact;
        self.lost = 0;
        s.counters.restarts += 1;
    }
}
