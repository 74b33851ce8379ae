//! Event in, work out, one behaviour at a time.

use proto_model::{Cursor, Incarnation, Message, SequenceGap, Timestamp, Trust};

use super::super::*;

fn rules(replayable: bool) -> Rules {
    Rules {
        replayable,
        attempts: 2,
        held_messages: 4,
    }
}

fn entry(sequence: u64, time: u64) -> Entry {
    let message = Message {
        sequence,
        timestamp: Timestamp(time),
        stream: None,
        changes: Vec::new(),
    };
    Entry {
        message,
        spaces: Vec::new(),
        model: "m".into(),
        replayed: false,
        unverified: false,
    }
}

fn cursor(incarnation: u64, next: u64, time: u64) -> Option<Cursor> {
    Some(Cursor {
        incarnation: Incarnation(incarnation),
        next,
        timestamp: Timestamp(time),
        trust: Trust::Exact,
    })
}

fn at(cursor: Option<Cursor>) -> Outcome {
    Outcome {
        cursor,
        ..Outcome::default()
    }
}

fn gap(cursor: Option<Cursor>, expected: u64, found: u64) -> Outcome {
    Outcome {
        cursor,
        gap: Some(SequenceGap { expected, found }),
        ..Outcome::default()
    }
}

fn take(sequencer: &mut Sequencer) -> Option<Work> {
    sequencer.take(100, 1 << 20)
}

fn sequences(work: &Work) -> Vec<u64> {
    match work {
        Work::Events(entries) => entries.iter().map(|entry| entry.message.sequence).collect(),
        other => panic!("expected events, got {other:?}"),
    }
}

/// Takes the next work, checks its sequences, and answers it.
fn append(sequencer: &mut Sequencer, expected: &[u64], outcome: &Outcome) {
    let work = take(sequencer).expect("work");
    assert_eq!(sequences(&work), expected);
    sequencer.done(work, outcome);
}

#[test]
fn one_command_at_a_time_and_the_next_gathers_meanwhile() {
    let mut sequencer = Sequencer::new(rules(false));
    sequencer.live(entry(0, 10), true, true);
    let work = take(&mut sequencer).unwrap();
    sequencer.live(entry(1, 11), true, true);
    sequencer.live(entry(2, 12), true, true);
    assert_eq!(take(&mut sequencer), None);
    sequencer.done(work, &at(cursor(1, 1, 10)));
    append(&mut sequencer, &[1, 2], &at(cursor(1, 3, 12)));
    assert!(sequencer.idle() && !sequencer.has_work());
}

#[test]
fn work_is_bounded_and_what_was_not_appended_comes_again() {
    let mut sequencer = Sequencer::new(rules(false));
    (0..5).for_each(|number| sequencer.live(entry(number, 10 + number), true, true));
    let work = sequencer.take(2, 1 << 20).unwrap();
    assert_eq!(sequences(&work), [0, 1]);
    sequencer.put_back(work);
    let work = sequencer.take(100, 1).unwrap();
    assert_eq!(sequences(&work), [0], "at least one message, however large");
    sequencer.done(work, &at(cursor(1, 1, 10)));
    append(&mut sequencer, &[1, 2, 3, 4], &at(cursor(1, 5, 14)));
    assert_eq!(sequencer.ready_bytes(), 0);
}

#[test]
fn without_replay_a_gap_is_declared_and_the_messages_come_again() {
    let mut sequencer = Sequencer::new(rules(false));
    sequencer.live(entry(7, 10), true, true);
    append(&mut sequencer, &[7], &gap(None, 0, 7));
    let work = take(&mut sequencer).unwrap();
    assert_eq!(
        work,
        Work::Gap {
            incarnation: None,
            next: 7
        }
    );
    sequencer.done(work, &at(cursor(1, 7, 0)));
    append(&mut sequencer, &[7], &at(cursor(1, 8, 10)));
    assert_eq!(sequencer.take_notes(), [Note::GapGivenUp(7)]);
}

#[test]
fn a_gap_is_replayed_from_one_before_it() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.live(entry(9, 19), true, true);
    append(&mut sequencer, &[9], &gap(cursor(1, 5, 14), 5, 9));
    let order = sequencer.take_replay().unwrap();
    assert_eq!((order.from, order.failures), (4, 0));
    sequencer.live(entry(10, 20), true, true);
    assert_eq!(take(&mut sequencer), None, "live messages wait");
    (4..=9).for_each(|number| sequencer.replayed(order.run, entry(number, 10 + number)));
    append(&mut sequencer, &[4, 5, 6, 7, 8, 9], &at(cursor(1, 10, 19)));
    sequencer.replay_ended(order.run, ReplayEnd::Complete);
    append(&mut sequencer, &[10], &at(cursor(1, 11, 20)));
    assert_eq!(sequencer.take_notes(), [Note::GapFound(4)]);
}

#[test]
fn what_the_replay_no_longer_has_is_declared_lost() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.live(entry(40, 50), true, true);
    append(&mut sequencer, &[40], &gap(None, 0, 40));
    let order = sequencer.take_replay().unwrap();
    assert_eq!(order.from, 0);
    sequencer.replayed(order.run, entry(30, 40));
    append(&mut sequencer, &[30], &gap(None, 0, 30));
    let work = take(&mut sequencer).unwrap();
    assert_eq!(
        work,
        Work::Gap {
            incarnation: None,
            next: 30
        }
    );
    sequencer.done(work, &at(cursor(1, 30, 0)));
    append(&mut sequencer, &[30], &at(cursor(1, 31, 40)));
}

#[test]
fn a_restart_behind_a_gap_is_replayed_from_its_beginning() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.live(entry(9, 190), true, true);
    append(&mut sequencer, &[9], &gap(cursor(1, 5, 14), 5, 9));
    let first = sequencer.take_replay().unwrap();
    sequencer.replayed(first.run, entry(4, 140));
    let restarted = Outcome {
        restarted: true,
        ..gap(cursor(2, 0, 14), 0, 4)
    };
    append(&mut sequencer, &[4], &restarted);
    let second = sequencer.take_replay().unwrap();
    assert_eq!(second.from, 0);
    sequencer.replayed(first.run, entry(5, 150));
    sequencer.replay_ended(first.run, ReplayEnd::Complete);
    assert_eq!(
        take(&mut sequencer),
        None,
        "the first replay does not count any more"
    );
    (0..=9).for_each(|number| sequencer.replayed(second.run, entry(number, 100 + 10 * number)));
    sequencer.replay_ended(second.run, ReplayEnd::Complete);
    append(
        &mut sequencer,
        &(0..=9).collect::<Vec<_>>(),
        &at(cursor(2, 10, 190)),
    );
    assert!(sequencer.idle());
}

#[test]
fn replays_are_tried_again_from_where_they_got_to_and_given_up_at_last() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.live(entry(9, 19), true, true);
    append(&mut sequencer, &[9], &gap(cursor(1, 5, 14), 5, 9));
    let order = sequencer.take_replay().unwrap();
    sequencer.replayed(order.run, entry(4, 14));
    sequencer.replayed(order.run, entry(5, 15));
    sequencer.replay_ended(order.run, ReplayEnd::Failed);
    let again = sequencer.take_replay().unwrap();
    assert_eq!(
        again,
        ReplayOrder {
            from: 5,
            failures: 1,
            ..order
        }
    );
    sequencer.replay_ended(order.run, ReplayEnd::Failed);
    assert_eq!(sequencer.take_replay(), None);
    append(&mut sequencer, &[4, 5, 9], &gap(cursor(1, 6, 15), 6, 9));
    assert_eq!(
        sequencer.take_replay().map(|order| order.from),
        Some(5),
        "another place"
    );
    for _ in 0..2 {
        let run = sequencer.runs;
        sequencer.replay_ended(run, ReplayEnd::Failed);
    }
    append(&mut sequencer, &[9], &gap(cursor(1, 6, 15), 6, 9));
    let work = take(&mut sequencer).unwrap();
    assert_eq!(
        work,
        Work::Gap {
            incarnation: Some(Incarnation(1)),
            next: 9
        }
    );
}

#[test]
fn a_connection_asks_then_replays_even_if_the_engine_is_idle() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.connected();
    let work = take(&mut sequencer).unwrap();
    assert_eq!(work, Work::Ask);
    sequencer.done(work, &at(cursor(1, 5, 14)));
    let order = sequencer.take_replay().unwrap();
    assert_eq!(order.from, 4);
    sequencer.replayed(order.run, entry(4, 14));
    sequencer.replay_ended(order.run, ReplayEnd::Complete);
    append(&mut sequencer, &[4], &at(cursor(1, 5, 14)));
    assert!(sequencer.idle());
}

#[test]
fn an_idle_engine_with_less_history_than_the_state_has_restarted() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.connected();
    let work = take(&mut sequencer).unwrap();
    sequencer.done(work, &at(cursor(3, 5, 14)));
    let order = sequencer.take_replay().unwrap();
    sequencer.replay_ended(order.run, ReplayEnd::Complete);
    let work = take(&mut sequencer).unwrap();
    assert_eq!(
        work,
        Work::Reset {
            incarnation: Incarnation(3)
        }
    );
    sequencer.done(work, &at(cursor(4, 0, 0)));
    let order = sequencer.take_replay().unwrap();
    assert_eq!(order.from, 0);
    sequencer.replay_ended(order.run, ReplayEnd::Complete);
    assert!(sequencer.idle());
}

#[test]
fn an_empty_replay_proves_nothing_when_live_messages_say_otherwise() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.connected();
    let work = take(&mut sequencer).unwrap();
    sequencer.live(entry(5, 15), true, true);
    sequencer.done(work, &at(cursor(3, 5, 14)));
    let order = sequencer.take_replay().unwrap();
    sequencer.replay_ended(order.run, ReplayEnd::Complete);
    append(&mut sequencer, &[5], &at(cursor(3, 6, 15)));
}

#[test]
fn an_overlap_with_an_older_time_is_a_restart_with_a_clock_that_went_back() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.connected();
    let work = take(&mut sequencer).unwrap();
    sequencer.done(work, &at(cursor(1, 5, 1000)));
    let order = sequencer.take_replay().unwrap();
    sequencer.replayed(order.run, entry(4, 500));
    let work = take(&mut sequencer).unwrap();
    assert_eq!(
        work,
        Work::Reset {
            incarnation: Incarnation(1)
        }
    );
}

#[test]
fn a_live_clock_that_went_back_ends_the_incarnation_once_it_is_known() {
    let mut sequencer = Sequencer::new(rules(false));
    (0..3).for_each(|number| sequencer.live(entry(number, 100 + number), true, true));
    sequencer.live(entry(0, 50), true, true);
    let work = take(&mut sequencer).unwrap();
    assert_eq!(work, Work::Ask, "the state has not been heard yet");
    sequencer.done(work, &at(cursor(7, 3, 102)));
    let work = take(&mut sequencer).unwrap();
    assert_eq!(
        work,
        Work::Reset {
            incarnation: Incarnation(7)
        }
    );
    sequencer.live(entry(1, 51), true, true);
    sequencer.done(work, &at(cursor(8, 0, 0)));
    append(&mut sequencer, &[0, 1], &at(cursor(8, 2, 51)));
}

#[test]
fn what_does_not_fit_while_held_is_fetched_later() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.connected();
    (0..6).for_each(|number| sequencer.live(entry(number, number), true, true));
    sequencer.live(entry(6, 6), true, false);
    let notes = sequencer.take_notes();
    assert_eq!(notes, [Note::HeldDropped; 3]);
    assert!(sequencer.held_bytes() > 0);
    let work = take(&mut sequencer).unwrap();
    sequencer.done(work, &at(None));
    let order = sequencer.take_replay().unwrap();
    sequencer.replay_ended(order.run, ReplayEnd::Complete);
    append(&mut sequencer, &[0, 1, 2, 3], &at(cursor(1, 4, 3)));
    sequencer.live(entry(7, 7), true, true);
    append(&mut sequencer, &[7], &gap(cursor(1, 4, 3), 4, 7));
    assert_eq!(sequencer.take_replay().map(|order| order.from), Some(3));
}

#[test]
fn a_reconnect_during_a_replay_begins_anew() {
    let mut sequencer = Sequencer::new(rules(true));
    sequencer.connected();
    let work = take(&mut sequencer).unwrap();
    sequencer.done(work, &at(None));
    let order = sequencer.take_replay().unwrap();
    sequencer.live(entry(5, 5), true, true);
    sequencer.connected();
    sequencer.replayed(order.run, entry(0, 0));
    sequencer.replay_ended(order.run, ReplayEnd::Complete);
    let work = take(&mut sequencer).unwrap();
    assert_eq!(work, Work::Ask);
    sequencer.done(work, &at(None));
    assert_ne!(
        sequencer.take_replay().map(|order| order.run),
        Some(order.run)
    );
}

#[test]
fn a_refused_publisher_keeps_nothing() {
    let mut sequencer = Sequencer::new(rules(false));
    sequencer.live(entry(0, 1), true, true);
    let work = take(&mut sequencer).unwrap();
    sequencer.live(entry(1, 2), true, true);
    let refused = Some(proto_model::Refusal::TooManyPublishers);
    sequencer.done(
        work,
        &Outcome {
            refused,
            ..Outcome::default()
        },
    );
    assert!(sequencer.idle());
    assert_eq!(sequencer.take_notes(), [Note::Refused]);
}
