//! The rules of `docs/state.md` written as simply as possible: sorted maps,
//! nothing kept that can be computed, no limits.

use std::collections::BTreeMap;

use proto_model::*;

use crate::naive_blocks::NaiveBlocks;
use crate::naive_routes::NaiveRoutes;

#[derive(Debug, Default)]
pub(crate) struct Naive {
    pub(crate) publishers: BTreeMap<Publisher, NaivePublisher>,
    pub(crate) routes: NaiveRoutes,
}

#[derive(Debug)]
pub(crate) struct NaivePublisher {
    pub(crate) incarnation: u64,
    pub(crate) next: u64,
    pub(crate) lost: u64,
    pub(crate) blocks: NaiveBlocks,
    stream: Option<StreamId>,
    floor: Option<u64>,
    last: Option<u64>,
    shown: Option<u64>,
}

impl Default for NaivePublisher {
    fn default() -> Self {
        Self {
            incarnation: 1,
            next: 0,
            lost: 0,
            blocks: NaiveBlocks::default(),
            stream: None,
            floor: None,
            last: None,
            shown: None,
        }
    }
}

impl Naive {
    pub(crate) fn apply(&mut self, command: &Command) -> Outcome {
        match command {
            Command::Events(events) => self.events(events),
            Command::Gap {
                publisher,
                incarnation,
                next,
            } => {
                self.gap(
                    publisher,
                    incarnation.map(|incarnation| incarnation.0),
                    *next,
                );
                self.outcome(publisher)
            }
            Command::Reset {
                publisher,
                incarnation,
            } => {
                let mut restarted = false;
                if let Some(p) = self.publishers.get_mut(publisher)
                    && p.incarnation == incarnation.0
                {
                    p.new_life(None, Some(0), None);
                    self.routes.forget(publisher);
                    restarted = true;
                }
                Outcome {
                    restarted,
                    ..self.outcome(publisher)
                }
            }
            Command::EndpointRemoved { endpoint, rank } => {
                self.publishers.retain(|publisher, _| {
                    publisher.endpoint != *endpoint
                        || rank.is_some_and(|rank| rank != publisher.rank)
                });
                self.routes.remove(endpoint, *rank);
                Outcome::default()
            }
            Command::RouteRecorded(route) => {
                self.routes.record(route);
                Outcome::default()
            }
            Command::Expire { until } => {
                self.routes.expire(until.0);
                Outcome::default()
            }
        }
    }

    fn outcome(&self, publisher: &Publisher) -> Outcome {
        let cursor = self.publishers.get(publisher).map(NaivePublisher::cursor);
        Outcome {
            cursor,
            ..Outcome::default()
        }
    }

    fn gap(&mut self, publisher: &Publisher, incarnation: Option<u64>, next: u64) {
        let Some(p) = self.publishers.get_mut(publisher) else {
            if incarnation.is_none() && next > 0 {
                let mut p = NaivePublisher {
                    next,
                    lost: next,
                    ..NaivePublisher::default()
                };
                p.blocks.trust = Trust::Partial;
                self.publishers.insert(publisher.clone(), p);
            }
            return;
        };
        let meant = incarnation.map_or_else(
            || p.last.is_none(),
            |incarnation| incarnation == p.incarnation,
        );
        if meant && (next > p.next || next == p.next && incarnation.is_some()) {
            p.lost += next - p.next;
            p.next = next;
            p.blocks.trust = p.blocks.trust.min(Trust::Suspect);
        }
    }

    fn events(&mut self, command: &EventsCommand) -> Outcome {
        let mut outcome = Outcome::default();
        // A publisher that is not known is looked at as if it were new, and kept
        // only if something was applied.
        let known = self.publishers.contains_key(&command.publisher);
        let mut p = self
            .publishers
            .remove(&command.publisher)
            .unwrap_or_default();
        for message in &command.messages {
            match p.judge(message) {
                "apply" => {
                    p.message(message, &command.spaces);
                    outcome.applied += 1;
                }
                "duplicate" => outcome.duplicates += 1,
                "stale" => outcome.stale += 1,
                verdict => {
                    if verdict == "restart" {
                        let time = message.timestamp.0;
                        let floor = p.floor.max(p.last).filter(|floor| *floor > 0);
                        p.new_life(message.stream, floor, Some(time));
                        outcome.restarted = true;
                    }
                    if message.sequence == p.next {
                        p.message(message, &command.spaces);
                        outcome.applied += 1;
                    } else {
                        let (expected, found) = (p.next, message.sequence);
                        outcome.gap = Some(SequenceGap { expected, found });
                        break;
                    }
                }
            }
        }
        let news = p.blocks.take_news();
        if outcome.restarted || news.ended {
            self.routes.forget(&command.publisher);
        }
        self.routes.give_up(&command.publisher, &news.given_up);
        if known || outcome.applied > 0 {
            outcome.cursor = Some(p.cursor());
            self.publishers.insert(command.publisher.clone(), p);
        }
        outcome
    }
}

impl NaivePublisher {
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            incarnation: Incarnation(self.incarnation),
            next: self.next,
            timestamp: Timestamp(self.last.unwrap_or(0)),
            trust: self.blocks.trust,
        }
    }

    fn judge(&self, message: &Message) -> &'static str {
        let (sequence, time) = (message.sequence, message.timestamp.0);
        if let (Some(ours), Some(theirs)) = (self.stream, message.stream) {
            if ours != theirs {
                let newer = time > 0 && Some(time) > self.last.max(self.shown).max(self.floor);
                return if newer { "restart" } else { "stale" };
            }
            return match sequence {
                _ if sequence == self.next => "apply",
                _ if sequence < self.next => "duplicate",
                _ => "gap",
            };
        }
        if time > 0 && Some(time) <= self.floor {
            "stale"
        } else if sequence == self.next {
            "apply"
        } else if sequence < self.next {
            if time > 0 && self.last.is_some() && Some(time) > self.last {
                "restart"
            } else {
                "duplicate"
            }
        } else if time > 0 && Some(time) < self.last.max(self.shown) {
            "stale"
        } else {
            "gap"
        }
    }

    fn new_life(&mut self, stream: Option<StreamId>, floor: Option<u64>, shown: Option<u64>) {
        let mut blocks = NaiveBlocks::default();
        blocks.spaces.clone_from(&self.blocks.spaces);
        let incarnation = self.incarnation + 1;
        *self = Self {
            incarnation,
            stream,
            floor,
            shown,
            blocks,
            ..Self::default()
        };
    }

    fn message(&mut self, message: &Message, spaces: &[KeySpace]) {
        let time = message.timestamp.0;
        if self.last.unwrap_or(0) == 0 && self.floor != Some(0) && time >= 1_000_000 {
            self.floor = self.floor.max(Some(time - 1_000_000));
        }
        self.next = message.sequence + 1;
        self.last = self.last.max(Some(time));
        self.stream = self.stream.or(message.stream);
        for change in &message.changes {
            self.blocks.change(change, spaces);
        }
    }
}
