//! One scenario per rule about blocks.

use indexer_state::{State, StateLimits};
use proto_model::*;

use crate::support::*;

struct Bench {
    state: State,
    replica: Replica,
    next: u64,
}

impl Bench {
    fn new() -> Self {
        let state = State::new(StateLimits::default());
        Self {
            state,
            replica: Replica::default(),
            next: 0,
        }
    }

    fn send(&mut self, changes: Vec<Change>) -> Vec<Delta> {
        let mut deltas = Vec::new();
        let command = events(0, vec![message(self.next, 100 + self.next, changes)]);
        let outcome = self.state.apply(&command, &mut deltas);
        assert_eq!(outcome.applied, 1);
        self.next += 1;
        deltas.iter().for_each(|delta| self.replica.apply(delta));
        deltas
    }

    fn on(&self, medium: Medium) -> Vec<BlockKey> {
        let held = self.replica.held(&publisher(0));
        held.into_iter()
            .filter(|(m, _)| *m == medium)
            .map(|(_, key)| key)
            .collect()
    }

    fn gpu(&self) -> Vec<BlockKey> {
        self.on(Medium::Gpu)
    }

    fn parked(&self) -> u64 {
        self.replica.status[&publisher(0)].parked
    }

    fn trust(&self) -> Trust {
        self.replica.status[&publisher(0)].cursor.trust
    }
}

fn stored_in(
    space: u16,
    medium: Medium,
    group: u16,
    parent: Option<u64>,
    blocks: &[(u64, u64)],
) -> Change {
    Change::Stored {
        space,
        medium,
        group,
        parent: parent.map(EngineHash),
        blocks: blocks
            .iter()
            .map(|(hash, local)| block(*hash, *local))
            .collect(),
    }
}

fn removed_in(medium: Medium, group: u16, hashes: &[u64]) -> Change {
    let hashes = hashes.iter().copied().map(EngineHash).collect();
    Change::Removed {
        medium,
        group,
        hashes,
    }
}

fn by_hash(medium: Medium, hashes: &[u64]) -> Change {
    let hashes = hashes.iter().copied().map(EngineHash).collect();
    Change::StoredByHash {
        space: 0,
        medium,
        group: 0,
        hashes,
    }
}

fn holders_ended(deltas: &[Delta]) -> usize {
    deltas
        .iter()
        .filter(|delta| matches!(delta, Delta::HolderEnded { .. }))
        .count()
}

#[test]
fn a_block_is_there_until_its_last_copy_is_gone() {
    let mut bench = Bench::new();
    bench.send(vec![stored(None, &[(1, 11)])]);
    let second = bench.send(vec![stored(None, &[(1, 11)])]);
    assert!(
        !second
            .iter()
            .any(|delta| matches!(delta, Delta::Stored { .. }))
    );
    bench.send(vec![removed(&[1])]);
    assert_eq!(bench.gpu(), [key(&[11])]);
    bench.send(vec![removed(&[1])]);
    assert_eq!(bench.gpu(), []);
    bench.send(vec![removed(&[1])]);
    assert_eq!(bench.state.stats().counters.removals_unknown, 1);
}

#[test]
fn two_hashes_of_one_key_are_one_membership() {
    let mut bench = Bench::new();
    bench.send(vec![
        stored(None, &[(1, 11)]),
        stored(None, &[(2, 11)]),
        stored(None, &[(3, 11)]),
    ]);
    assert_eq!(bench.gpu(), [key(&[11])]);
    for hash in [1, 3] {
        bench.send(vec![removed(&[hash])]);
        assert_eq!(bench.gpu(), [key(&[11])], "another hash still has it");
    }
    bench.send(vec![removed(&[2])]);
    assert_eq!(bench.gpu(), []);
    bench.send(vec![stored(None, &[(2, 11)])]);
    assert_eq!(bench.gpu(), [key(&[11])]);
}

#[test]
fn an_orphan_waits_for_its_parent_and_its_children_wait_with_it() {
    let mut bench = Bench::new();
    bench.send(vec![stored(Some(2), &[(3, 13), (4, 14)])]);
    bench.send(vec![stored(Some(1), &[(2, 12)])]);
    assert_eq!((bench.parked(), bench.gpu()), (3, vec![]));
    bench.send(vec![stored(None, &[(1, 11)])]);
    let mut expected: Vec<_> = (1..=4).map(|n| key(&[11, 12, 13, 14][..n])).collect();
    expected.sort();
    assert_eq!((bench.parked(), bench.gpu()), (0, expected));
}

#[test]
fn an_orphan_that_is_removed_never_appears() {
    let mut bench = Bench::new();
    bench.send(vec![stored(Some(1), &[(2, 12)]), removed(&[2])]);
    assert_eq!(bench.parked(), 0);
    bench.send(vec![stored(None, &[(1, 11)])]);
    assert_eq!(bench.gpu(), [key(&[11])]);
}

/// A parent that belongs to another adapter gives no chain to go on from.
#[test]
fn a_parent_in_another_space_is_no_parent() {
    let mut bench = Bench::new();
    bench.send(vec![
        stored(None, &[(1, 11)]),
        stored_in(1, Medium::Gpu, 0, Some(1), &[(2, 12)]),
    ]);
    assert_eq!((bench.parked(), bench.gpu()), (1, vec![key(&[11])]));
}

#[test]
fn profile_engine_takes_the_hash_and_never_waits() {
    let mut bench = Bench::new();
    bench.send(vec![stored_in(
        2,
        Medium::Gpu,
        0,
        Some(99),
        &[(1, 0), (2, 0)],
    )]);
    let scope = space(2).scope();
    let mut expected = vec![
        scope.engine_key(EngineHash(1)),
        scope.engine_key(EngineHash(2)),
    ];
    expected.sort();
    assert_eq!((bench.parked(), bench.gpu()), (0, expected));
}

#[test]
fn a_block_stored_by_hash_means_what_the_hash_meant() {
    let mut bench = Bench::new();
    bench.send(vec![
        stored(None, &[(1, 11)]),
        by_hash(Medium::Cpu, &[1, 2]),
    ]);
    assert_eq!(
        (bench.on(Medium::Cpu), bench.parked()),
        (vec![key(&[11])], 1)
    );
    bench.send(vec![stored(Some(1), &[(2, 12)])]);
    assert_eq!((bench.on(Medium::Cpu).len(), bench.parked()), (2, 0));
    bench.send(vec![removed(&[1, 2])]);
    assert_eq!((bench.on(Medium::Cpu).len(), bench.gpu()), (2, vec![]));
}

#[test]
fn every_known_group_must_have_a_copy() {
    let mut bench = Bench::new();
    bench.send(vec![stored(None, &[(1, 11), (2, 12)])]);
    bench.send(vec![stored_in(0, Medium::Gpu, 4, None, &[(1, 11)])]);
    assert_eq!(bench.gpu(), [key(&[11])], "block 2 has no copy in group 4");
    bench.send(vec![stored_in(0, Medium::Cpu, 0, None, &[(2, 11)])]);
    assert_eq!(
        bench.on(Medium::Cpu).len(),
        1,
        "group 4 is not known on that medium"
    );
    bench.send(vec![removed_in(Medium::Gpu, 4, &[1])]);
    assert_eq!(bench.gpu(), []);
    bench.send(vec![Change::GroupExcluded { group: 4 }]);
    assert_eq!(bench.gpu().len(), 2);
    bench.send(vec![stored_in(0, Medium::Gpu, 4, None, &[(1, 11)])]);
    assert_eq!(bench.gpu().len(), 2, "an excluded group stays excluded");
}

#[test]
fn excluding_the_first_group_leaves_the_others() {
    let mut bench = Bench::new();
    bench.send(vec![stored(None, &[(1, 11), (2, 12)])]);
    bench.send(vec![stored_in(0, Medium::Gpu, 4, None, &[(1, 11)])]);
    bench.send(vec![Change::GroupExcluded { group: 0 }]);
    assert_eq!(bench.gpu(), [key(&[11])]);
    assert_eq!(bench.state.stats().blocks, 1);
    bench.send(vec![removed_in(Medium::Gpu, 4, &[1])]);
    assert_eq!(bench.state.stats().blocks, 0);
}

#[test]
fn a_full_clear_is_one_new_holder_in_the_same_incarnation() {
    let mut bench = Bench::new();
    bench.send(vec![
        stored(None, &[(1, 11)]),
        by_hash(Medium::Cpu, &[1]),
        stored(Some(7), &[(8, 18)]),
    ]);
    let deltas = bench.send(vec![Change::Cleared { medium: None }]);
    assert_eq!(holders_ended(&deltas), 1);
    assert!(
        !deltas
            .iter()
            .any(|delta| matches!(delta, Delta::Removed { .. }))
    );
    assert_eq!((bench.replica.keys.len(), bench.parked()), (0, 0));
    let cursor = bench.state.cursor(&publisher(0)).expect("known");
    assert_eq!(cursor.incarnation, Incarnation(1));
    let nothing = bench.send(vec![Change::Cleared { medium: None }]);
    assert_eq!(holders_ended(&nothing), 0, "there was nothing to end");
}

#[test]
fn a_clear_of_one_medium_leaves_the_others() {
    let mut bench = Bench::new();
    bench.send(vec![
        stored(None, &[(1, 11), (2, 12)]),
        by_hash(Medium::Cpu, &[2]),
    ]);
    bench.send(vec![
        stored(Some(9), &[(8, 18)]),
        by_hash(Medium::Cpu, &[7]),
    ]);
    let deltas = bench.send(vec![Change::Cleared {
        medium: Some(Medium::Gpu),
    }]);
    assert_eq!(holders_ended(&deltas), 0);
    assert_eq!(
        (
            bench.gpu().len(),
            bench.on(Medium::Cpu).len(),
            bench.parked()
        ),
        (0, 1, 1)
    );
    let deltas = bench.send(vec![Change::Cleared {
        medium: Some(Medium::Cpu),
    }]);
    assert_eq!(holders_ended(&deltas), 1, "nothing is held elsewhere");
    assert_eq!(bench.replica.keys.len(), 0);
}

/// The engine's hash is the identity within an engine: what a held hash means
/// does not change, and the contradiction is not passed over.
#[test]
fn a_held_hash_keeps_its_meaning() {
    let mut bench = Bench::new();
    bench.send(vec![
        stored(None, &[(1, 11)]),
        stored(None, &[(1, 99), (2, 12)]),
    ]);
    let mut expected = vec![key(&[11]), key(&[11, 12])];
    expected.sort();
    assert_eq!(bench.gpu(), expected);
    assert_eq!(
        (bench.trust(), bench.state.stats().counters.conflicts),
        (Trust::Suspect, 1)
    );
}

#[test]
fn the_order_inside_a_message_counts() {
    let mut bench = Bench::new();
    let clear = Change::Cleared { medium: None };
    bench.send(vec![
        stored(None, &[(1, 11)]),
        clear,
        stored(None, &[(2, 12)]),
        removed(&[1]),
    ]);
    assert_eq!(bench.gpu(), [key(&[12])]);
}
