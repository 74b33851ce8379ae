//! What a sequence that goes back on the live stream means.

use std::collections::VecDeque;

use proto_model::{StreamId, Timestamp};

/// Messages remembered to tell a repeated one from one of a new life.
const REMEMBERED: usize = 512;

/// What a live message is, seen from the live stream alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiveVerdict {
    /// Goes forward.
    Pass,
    /// Goes back, and is newer: the engine restarted. The state sees it too.
    NewLife,
    /// The very message was delivered before.
    Duplicate,
    /// A new life of the engine whose clock is behind the old life's: the state
    /// cannot tell it from a duplicate.
    ClockWentBack,
}

/// The recent past of a live stream. A PUB socket never repeats itself and
/// never reorders, so going back has only two causes: a second connection that
/// delivers the same stream, and a restart.
#[derive(Debug, Default)]
pub(super) struct LiveOrder {
    recent: VecDeque<(u64, Timestamp)>,
    highest: Option<u64>,
    newest: Timestamp,
    stream: Option<StreamId>,
}

impl LiveOrder {
    /// Judges the next live message. `alone` says that no other open connection
    /// has delivered messages of this publisher.
    pub(super) fn judge(
        &mut self,
        (sequence, timestamp, stream): (u64, Timestamp, Option<StreamId>),
        alone: bool,
    ) -> LiveVerdict {
        let forward = self.highest.is_none_or(|highest| sequence > highest);
        // Beyond a gap and yet older: the state would take it for a late message
        // of a life that is over.
        let jumped = self
            .highest
            .is_some_and(|highest| sequence > highest.saturating_add(1));
        let older = timestamp < self.newest && timestamp.0 != 0;
        let behind = jumped && older && alone && stream == self.stream;
        if behind {
            *self = Self::default();
            self.remember(sequence, timestamp, stream);
            return LiveVerdict::ClockWentBack;
        }
        if forward {
            self.remember(sequence, timestamp, stream);
            return LiveVerdict::Pass;
        }
        let other_stream = stream.is_some() && self.stream.is_some() && stream != self.stream;
        let known = self
            .recent
            .iter()
            .rev()
            .find(|(other, _)| *other == sequence);
        let repeated = known.is_some_and(|(_, other)| *other == timestamp);
        if repeated && !other_stream {
            return LiveVerdict::Duplicate;
        }
        let older = timestamp <= self.newest;
        if older && !other_stream && known.is_none() && !alone {
            return LiveVerdict::Duplicate;
        }
        let verdict = if older {
            LiveVerdict::ClockWentBack
        } else {
            LiveVerdict::NewLife
        };
        *self = Self::default();
        self.remember(sequence, timestamp, stream);
        verdict
    }

    fn remember(&mut self, sequence: u64, timestamp: Timestamp, stream: Option<StreamId>) {
        if self.recent.len() >= REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((sequence, timestamp));
        self.highest = Some(sequence);
        self.newest = self.newest.max(timestamp);
        self.stream = stream;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(order: &mut LiveOrder, sequence: u64, time: u64, alone: bool) -> LiveVerdict {
        order.judge((sequence, Timestamp(time), None), alone)
    }

    #[test]
    fn a_repeated_message_is_a_duplicate() {
        let mut order = LiveOrder::default();
        for sequence in 0..5 {
            assert_eq!(
                judge(&mut order, sequence, 100 + sequence, true),
                LiveVerdict::Pass
            );
        }
        assert_eq!(judge(&mut order, 2, 102, false), LiveVerdict::Duplicate);
        assert_eq!(judge(&mut order, 5, 105, false), LiveVerdict::Pass);
    }

    #[test]
    fn a_newer_time_is_left_to_the_state() {
        let mut order = LiveOrder::default();
        judge(&mut order, 9, 100, true);
        assert_eq!(judge(&mut order, 0, 200, true), LiveVerdict::NewLife);
        assert_eq!(judge(&mut order, 1, 201, true), LiveVerdict::Pass);
    }

    #[test]
    fn an_older_time_under_a_known_number_is_a_restart() {
        let mut order = LiveOrder::default();
        judge(&mut order, 0, 100, true);
        judge(&mut order, 1, 101, true);
        assert_eq!(judge(&mut order, 0, 50, false), LiveVerdict::ClockWentBack);
        assert_eq!(judge(&mut order, 1, 51, true), LiveVerdict::Pass);
    }

    #[test]
    fn an_unknown_number_is_a_restart_only_on_the_only_connection() {
        let mut order = LiveOrder::default();
        judge(&mut order, 1000, 100, true);
        assert_eq!(judge(&mut order, 3, 50, false), LiveVerdict::Duplicate);
        assert_eq!(judge(&mut order, 3, 50, true), LiveVerdict::ClockWentBack);
    }

    #[test]
    fn a_jump_to_an_older_time_is_a_restart() {
        let mut order = LiveOrder::default();
        judge(&mut order, 0, 100, true);
        assert_eq!(
            judge(&mut order, 1, 99, true),
            LiveVerdict::Pass,
            "a small step of the clock"
        );
        assert_eq!(judge(&mut order, 3, 50, false), LiveVerdict::Pass);
        assert_eq!(judge(&mut order, 5, 50, true), LiveVerdict::ClockWentBack);
    }

    #[test]
    fn another_stream_id_is_never_a_duplicate() {
        let mut order = LiveOrder::default();
        order.judge((0, Timestamp(100), Some(StreamId([1; 16]))), true);
        let verdict = order.judge((0, Timestamp(100), Some(StreamId([2; 16]))), false);
        assert_eq!(verdict, LiveVerdict::ClockWentBack);
    }
}
