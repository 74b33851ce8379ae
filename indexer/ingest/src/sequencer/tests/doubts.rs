//! Clocks that were set, payloads without a time, connections that prove nothing:
//! the sequencer against the real state.

use indexer_state::{State, StateLimits};
use proto_model::{Change, Command, Cursor, Endpoint, Message, Publisher, Rank, Timestamp, Trust};

use super::super::*;
use crate::entry::build_command;

const SECOND: u64 = 1_000_000;

struct Bench {
    sequencer: Sequencer,
    state: State,
    published: Vec<Entry>,
    notes: Vec<Note>,
    /// Replays asked for: tries before each.
    replays: Vec<u32>,
}

impl Bench {
    fn new(replayable: bool) -> Self {
        let rules = Rules {
            replayable,
            attempts: 3,
            held_messages: 100,
        };
        let mut bench = Self {
            sequencer: Sequencer::new(rules),
            state: State::new(StateLimits::default()),
            published: Vec::new(),
            notes: Vec::new(),
            replays: Vec::new(),
        };
        bench.sequencer.connected();
        bench
    }

    fn publisher() -> Publisher {
        Publisher {
            endpoint: Endpoint::new("c", "e").unwrap(),
            rank: Rank(0),
        }
    }

    fn publish(&mut self, timestamp: u64, changes: Vec<Change>) -> Entry {
        let message = Message {
            sequence: self.published.len() as u64,
            timestamp: Timestamp(timestamp),
            stream: None,
            changes,
        };
        let entry = Entry {
            message,
            spaces: vec![],
            model: "m".into(),
            replayed: false,
            unverified: false,
        };
        self.published.push(entry.clone());
        entry
    }

    /// Publishes, delivers, and lets everything come to rest.
    fn live(&mut self, timestamp: u64) {
        let entry = self.publish(timestamp, vec![]);
        self.deliver(entry);
    }

    fn deliver(&mut self, entry: Entry) {
        self.sequencer.live(entry, true, true);
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            while let Some(order) = self.sequencer.take_replay() {
                self.replays.push(order.failures);
                for entry in self.published.iter().skip(order.from as usize) {
                    self.sequencer.replayed(order.run, entry.clone());
                }
                self.sequencer.replay_ended(order.run, ReplayEnd::Complete);
            }
            let Some(work) = self.sequencer.take(100, 1 << 20) else {
                self.notes.extend(self.sequencer.take_notes());
                return;
            };
            let outcome = self.state.apply(&command(&work), &mut Vec::new());
            self.sequencer.done(work, &outcome);
        }
        panic!("never comes to rest: {:?}", self.sequencer);
    }

    fn cursor(&self) -> Cursor {
        self.state.cursor(&Self::publisher()).expect("known")
    }
}

fn command(work: &Work) -> Command {
    let publisher = Bench::publisher();
    match work {
        Work::Events(entries) => Command::Events(build_command(&publisher, entries).0),
        Work::Ask => Command::Events(build_command(&publisher, &[]).0),
        Work::Gap { incarnation, next } => Command::Gap {
            publisher,
            incarnation: *incarnation,
            next: *next,
        },
        Work::Reset { incarnation } => Command::Reset {
            publisher,
            incarnation: *incarnation,
        },
    }
}

#[test]
fn a_payload_without_a_time_is_suspect_and_comes_to_rest() {
    for replayable in [false, true] {
        let mut bench = Bench::new(replayable);
        bench.live(100 * SECOND);
        let broken = bench.publish(0, vec![Change::Unreadable]);
        bench.deliver(broken);
        assert_eq!(bench.cursor().trust, Trust::Suspect);
        bench.live(102 * SECOND);
        bench.sequencer.connected();
        bench.settle();
        bench.live(103 * SECOND);
        let cursor = bench.cursor();
        assert_eq!((cursor.next, cursor.trust), (4, Trust::Suspect));
        assert_eq!(cursor.incarnation.0, 1, "no restart");
        assert!(bench.replays.len() <= 2, "{:?}", bench.replays);
    }
}

#[test]
fn a_gap_shown_by_a_payload_without_a_time_is_replayed_once() {
    let mut bench = Bench::new(true);
    bench.live(100 * SECOND);
    bench.publish(101 * SECOND, vec![]);
    let broken = bench.publish(0, vec![Change::Unreadable]);
    bench.deliver(broken);
    bench.live(103 * SECOND);
    assert_eq!(
        (bench.cursor().next, bench.cursor().trust),
        (4, Trust::Suspect)
    );
    assert_eq!(bench.cursor().incarnation.0, 1);
    assert!(bench.replays.len() <= 2, "{:?}", bench.replays);
}

#[test]
fn a_clock_set_right_after_the_first_message_is_followed_without_a_replay() {
    let mut bench = Bench::new(false);
    bench.live(160 * SECOND);
    for n in 0..4 {
        bench.live((100 + n) * SECOND);
    }
    let cursor = bench.cursor();
    assert_eq!((cursor.next, cursor.trust), (5, Trust::Suspect));
    let set = |note: &&Note| matches!(note, Note::ClockWentBack);
    assert_eq!(bench.notes.iter().filter(set).count(), 1);
}

#[test]
fn a_clock_set_right_after_the_first_message_is_exact_with_a_replay() {
    let mut bench = Bench::new(true);
    bench.live(160 * SECOND);
    for n in 0..4 {
        bench.live((100 + n) * SECOND);
    }
    let cursor = bench.cursor();
    assert_eq!((cursor.next, cursor.trust), (5, Trust::Exact));
    assert_eq!(cursor.incarnation.0, 2, "one reset");
    assert!(bench.notes.contains(&Note::ClockWentBack));
    assert!(bench.replays.len() <= 2, "{:?}", bench.replays);
}

#[test]
fn a_clock_that_is_set_back_again_and_again_comes_to_rest() {
    for replayable in [false, true] {
        let mut bench = Bench::new(replayable);
        for n in 0..20 {
            bench.live((10_000 - 10 * n) * SECOND);
        }
        assert_eq!(bench.cursor().next, 20);
    }
}

/// The writer has seen nothing of the clock: another one, since gone, had.
#[test]
fn a_clock_set_back_is_followed_by_a_writer_that_is_new() {
    let mut bench = Bench::new(false);
    bench.live(160 * SECOND);
    bench.sequencer = Sequencer::new(bench.sequencer.rules);
    bench.sequencer.connected();
    bench.live(100 * SECOND);
    bench.live(101 * SECOND);
    let cursor = bench.cursor();
    assert_eq!((cursor.next, cursor.trust), (3, Trust::Suspect));
}

#[test]
fn the_tail_of_a_life_that_another_writer_saw_end_resets_nothing() {
    let mut bench = Bench::new(false);
    bench.live(100 * SECOND);
    let new_life = Message {
        sequence: 0,
        timestamp: Timestamp(200 * SECOND),
        stream: None,
        changes: vec![],
    };
    let mut first = bench.published[0].clone();
    first.message = new_life;
    let work = Work::Events(vec![first]);
    bench.state.apply(&command(&work), &mut Vec::new());
    bench.live(101 * SECOND);
    bench.live(102 * SECOND);
    let cursor = bench.cursor();
    assert_eq!((cursor.incarnation.0, cursor.next), (2, 1));
    assert_eq!(cursor.trust, Trust::Exact);
}

#[test]
fn a_stale_message_by_one_of_two_connections_makes_suspect_only() {
    let mut bench = Bench::new(false);
    bench.live(160 * SECOND);
    let old = bench.publish(100 * SECOND, vec![]);
    bench.sequencer.live(old, false, true);
    bench.settle();
    let cursor = bench.cursor();
    assert_eq!((cursor.incarnation.0, cursor.trust), (1, Trust::Suspect));
}

#[test]
fn a_reconnect_whose_first_message_only_fits_is_suspect_without_a_replay() {
    let mut bench = Bench::new(false);
    bench.live(100 * SECOND);
    bench.live(101 * SECOND);
    assert_eq!(bench.cursor().trust, Trust::Exact, "from the beginning");
    bench.sequencer.connected();
    bench.live(102 * SECOND);
    let cursor = bench.cursor();
    assert_eq!((cursor.next, cursor.trust), (3, Trust::Suspect));
    let lost = bench
        .state
        .view()
        .any(|delta| matches!(delta, proto_model::Delta::Status(status) if status.lost > 0));
    assert!(!lost);
    bench.published.clear();
    bench.sequencer.connected();
    bench.live(200 * SECOND);
    assert_eq!(bench.cursor().trust, Trust::Exact, "a restart from 0");
}

#[test]
fn a_reconnect_that_a_replay_verifies_stays_exact() {
    let mut bench = Bench::new(true);
    bench.live(100 * SECOND);
    bench.sequencer.connected();
    bench.settle();
    bench.live(101 * SECOND);
    assert_eq!(bench.cursor().trust, Trust::Exact);
}

#[test]
fn the_number_that_ends_replays_is_no_message() {
    let mut bench = Bench::new(false);
    bench.live(100 * SECOND);
    let mut mark = bench.published[0].clone();
    mark.message.sequence = u64::MAX;
    bench.deliver(mark);
    assert_eq!(bench.notes, [Note::EndMark]);
    bench.live(101 * SECOND);
    assert_eq!(
        (bench.cursor().next, bench.cursor().trust),
        (2, Trust::Exact)
    );
}

#[test]
fn repeated_resets_wait_longer_and_longer() {
    let mut insistence = Insistence::default();
    insistence.add(5);
    assert_eq!(insistence.repeated(), 0);
    insistence.add(3);
    insistence.add(5);
    assert_eq!(insistence.repeated(), 2);
    insistence.reached(5);
    assert_eq!(insistence.repeated(), 2, "not past it yet");
    insistence.reached(6);
    assert_eq!(insistence.repeated(), 0);
}

/// Nothing of the new life's beginning was heard, its clock is behind, and what
/// the old life said last has not been appended yet.
#[test]
fn a_new_connection_with_an_older_clock_does_not_go_on_with_the_old_life() {
    let mut bench = Bench::new(false);
    let old = bench.publish(500 * SECOND, vec![]);
    bench.sequencer.live(old, true, true);
    bench.sequencer.connected();
    bench.live(100 * SECOND);
    let cursor = bench.cursor();
    assert_eq!((cursor.next, cursor.trust), (2, Trust::Suspect));
    assert_eq!(
        cursor.timestamp,
        Timestamp(100 * SECOND),
        "only the new life"
    );
}

#[test]
fn a_restart_before_it_in_the_command_vouches_for_no_first_message() {
    let mut bench = Bench::new(false);
    bench.live(100 * SECOND);
    bench.published.clear();
    let second_life = bench.publish(200 * SECOND, vec![]);
    bench.sequencer.live(second_life, true, true);
    bench.sequencer.connected();
    bench.live(300 * SECOND);
    assert_eq!(bench.cursor().trust, Trust::Suspect);
}

#[test]
fn a_first_message_is_not_mistaken_for_another_of_its_number() {
    let mut bench = Bench::new(false);
    let mut late = bench.publish(100 * SECOND, vec![]);
    late.message.sequence = 1;
    bench.sequencer.live(late, true, true);
    bench.published.clear();
    let second_life = bench.publish(200 * SECOND, vec![]);
    bench.sequencer.connected();
    bench.sequencer.live(second_life, true, true);
    bench.sequencer.connected();
    bench.live(300 * SECOND);
    assert_eq!(bench.cursor().trust, Trust::Suspect);
}
