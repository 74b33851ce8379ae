//! What each follower has acknowledged to this node since it leads.
//!
//! openraft ends the leader if a follower's log is shorter than it was. That is no
//! fault of the leader's: an older copy of the follower's directory was put back.

use std::collections::HashMap;
use std::sync::Arc;

use openraft::LogId;
use parking_lot::Mutex;
use tonic::Status;

use crate::types::NodeId;

/// Kept over changes of the membership, for which links are made anew. Clones are
/// the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promises {
    /// The term, and the last index acknowledged in it.
    of: Arc<Mutex<HashMap<NodeId, (u64, u64)>>>,
}

impl Promises {
    /// The last index that the node has acknowledged in this term.
    pub(crate) fn of(&self, node: NodeId, term: u64) -> Option<u64> {
        let of = self.of.lock();
        let (in_term, index) = of.get(&node)?;
        (*in_term == term).then_some(*index)
    }

    /// The node has acknowledged everything up to this.
    pub(super) fn note(&self, node: NodeId, term: u64, upto: Option<LogId<NodeId>>) {
        let Some(upto) = upto else {
            return;
        };
        let mut of = self.of.lock();
        let known = of.entry(node).or_insert((term, upto.index));
        if known.0 != term {
            *known = (term, upto.index);
        }
        known.1 = known.1.max(upto.index);
    }

    /// Whether the node, which says that it lacks `previous`, has acknowledged it.
    pub(super) fn broken(&self, node: NodeId, term: u64, previous: Option<LogId<NodeId>>) -> bool {
        let promised = self.of(node, term);
        previous.is_some_and(|previous| Some(previous.index) <= promised)
    }
}

pub(super) fn lost(node: NodeId) -> Status {
    Status::failed_precondition(crate::tasks::older_directory(node))
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    #[test]
    fn a_node_that_lacks_what_it_acknowledged_breaks_its_promise() {
        let at = |index| Some(LogId::new(CommittedLeaderId::new(2, 1), index));
        let promises = Promises::default();
        assert!(!promises.broken(3, 2, at(5)), "nothing was promised");
        promises.note(3, 2, at(7));
        promises.note(3, 2, at(6));
        assert_eq!(promises.of(3, 2), Some(7));
        assert!(promises.broken(3, 2, at(7)));
        assert!(!promises.broken(3, 2, at(8)), "that one was not promised");
        assert!(!promises.broken(4, 2, at(7)), "nor by another node");
        promises.note(3, 3, at(4));
        assert!(!promises.broken(3, 3, at(7)), "nor in this term");
    }
}
