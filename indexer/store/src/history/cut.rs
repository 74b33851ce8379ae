//! A picture of the state at one revision, given out in pieces.

use std::sync::Arc;

use indexer_state::State;
use proto_model::{Delta, Publisher, Revision};

/// Keys after which a piece is closed.
const PIECE_KEYS: usize = 4096;

/// Deltas after which a piece is closed.
const PIECE_DELTAS: usize = 512;

/// The state as it was at a revision.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) state: State,
    pub(crate) revision: Revision,
}

/// Some pieces of a snapshot, and where the next ones begin.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(crate) pieces: Vec<Arc<[Delta]>>,
    /// The last publisher in them; `None` if the snapshot is complete.
    pub(crate) last: Option<Publisher>,
}

impl Cut {
    /// The pieces that follow `after`: those of one large publisher, or one piece
    /// with many small ones.
    pub(crate) fn pieces(&self, after: Option<&Publisher>) -> Pieces {
        let mut piece = Piece::default();
        let mut last = after;
        while piece.done.is_empty() {
            let Some(publisher) = self.state.next_publisher(last) else {
                return Pieces {
                    pieces: piece.finish(),
                    last: None,
                };
            };
            self.state
                .view_of(publisher)
                .into_iter()
                .for_each(|delta| piece.push(delta));
            last = Some(publisher);
        }
        Pieces {
            pieces: piece.finish(),
            last: last.cloned(),
        }
    }
}

#[derive(Default)]
struct Piece {
    open: Vec<Delta>,
    keys: usize,
    done: Vec<Arc<[Delta]>>,
}

impl Piece {
    fn push(&mut self, delta: Delta) {
        if let Delta::Stored { keys, .. } = &delta {
            self.keys += keys.len();
        }
        self.open.push(delta);
        if self.keys >= PIECE_KEYS || self.open.len() >= PIECE_DELTAS {
            self.close();
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open).into());
            self.keys = 0;
        }
    }

    fn finish(mut self) -> Vec<Arc<[Delta]>> {
        self.close();
        self.done
    }
}
