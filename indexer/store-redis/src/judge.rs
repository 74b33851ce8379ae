//! Which messages of waiting batches are new: the order rules, on headers alone.
//!
//! There is no second implementation of the rules: each publisher's header is
//! restored into a real state, and the real commands are applied to it with their
//! blocks taken out. What that cannot see is what only blocks decide (parked
//! copies dropped, full tables, conflicts), so the trust in an outcome may be
//! higher than what readers are told.

mod light;

use std::collections::BTreeMap;

use indexer_state::{PublisherImage, State, StateLimits};
use proto_model::{Batch, Command, Endpoint, EventsCommand, Outcome, Publisher, Rank};

use crate::error::LinkError;
use crate::headers::{EndpointHeaders, EndpointWrite, Headers, header_of, state_of};
use light::{left_of, light};

/// Judges the batches of one group, in order.
pub(crate) struct Judge<'a> {
    headers: &'a Headers,
    limits: &'a StateLimits,
    /// Publishers that may still be added.
    room: i64,
    /// Publishers that were named so far, each as a state of its own.
    open: BTreeMap<Publisher, State>,
}

/// A batch, judged.
#[derive(Debug)]
pub(crate) struct Judged {
    /// One per command.
    pub(crate) outcomes: Vec<Outcome>,
    /// What the stream is to carry, where it is less than the batch.
    pub(crate) instead: Option<Batch>,
}

/// The endpoints whose headers decide what becomes of a batch. Routes are in no
/// header: they are taken as they are.
pub(crate) fn endpoints(batch: &Batch) -> impl Iterator<Item = &Endpoint> {
    batch.commands.iter().filter_map(|command| match command {
        Command::Events(events) => Some(&events.publisher.endpoint),
        Command::Gap { publisher, .. } | Command::Reset { publisher, .. } => {
            Some(&publisher.endpoint)
        }
        Command::EndpointRemoved { endpoint, .. } => Some(endpoint),
        Command::RouteRecorded(_) | Command::Expire { .. } => None,
    })
}

impl<'a> Judge<'a> {
    /// Judges on `headers`, which must know the endpoints of all batches; there
    /// are `publishers` now.
    pub(crate) fn new(headers: &'a Headers, limits: &'a StateLimits, publishers: u64) -> Self {
        let most = i64::try_from(limits.publishers).unwrap_or(i64::MAX);
        Self {
            headers,
            limits,
            room: most.saturating_sub(i64::try_from(publishers).unwrap_or(i64::MAX)),
            open: BTreeMap::new(),
        }
    }

    /// Judges the next batch.
    pub(crate) fn batch(&mut self, batch: &Batch) -> Result<Judged, LinkError> {
        let mut outcomes = Vec::with_capacity(batch.commands.len());
        let mut instead: Option<Vec<Command>> = None;
        for (at, command) in batch.commands.iter().enumerate() {
            let (outcome, left) = self.command(command)?;
            outcomes.push(outcome);
            match (&mut instead, left) {
                (None, None) => {}
                (Some(commands), None) => commands.push(command.clone()),
                (instead, Some(left)) => instead
                    .get_or_insert_with(|| batch.commands[..at].to_vec())
                    .extend(left),
            }
        }
        let instead = instead.map(|commands| Batch { commands });
        Ok(Judged { outcomes, instead })
    }

    /// What is to be written to the keys of the endpoints named.
    pub(crate) fn writes(self) -> Result<Vec<EndpointWrite>, LinkError> {
        let mut by_endpoint: BTreeMap<&Endpoint, BTreeMap<u32, PublisherImage>> = BTreeMap::new();
        for (publisher, state) in &self.open {
            let known = || self.before(&publisher.endpoint).ranks;
            let after = by_endpoint.entry(&publisher.endpoint).or_insert_with(known);
            match header_of(state, publisher) {
                Some(header) => after.insert(publisher.rank.0, header),
                None => after.remove(&publisher.rank.0),
            };
        }
        let write = |(endpoint, after): (&Endpoint, _)| {
            EndpointWrite::new(endpoint.clone(), &self.before(endpoint), after)
        };
        by_endpoint.into_iter().map(write).collect()
    }

    fn before(&self, endpoint: &Endpoint) -> EndpointHeaders {
        self.headers.get(endpoint).cloned().unwrap_or_default()
    }

    /// The outcome, and what is left of the command if not all of it: nothing if
    /// it was refused.
    fn command(&mut self, command: &Command) -> Result<(Outcome, Option<Vec<Command>>), LinkError> {
        match command {
            Command::Events(events) => self.events(events),
            Command::Gap { publisher, .. } | Command::Reset { publisher, .. } => {
                let outcome = self.apply(publisher, command)?;
                let left = outcome.refused.is_some().then(Vec::new);
                Ok((outcome, left))
            }
            Command::EndpointRemoved { endpoint, rank } => {
                for rank in self.ranks(endpoint, *rank) {
                    let publisher = Publisher {
                        endpoint: endpoint.clone(),
                        rank,
                    };
                    self.apply(&publisher, command)?;
                }
                Ok((Outcome::default(), None))
            }
            Command::RouteRecorded(_) | Command::Expire { .. } => Ok((Outcome::default(), None)),
        }
    }

    fn events(
        &mut self,
        events: &EventsCommand,
    ) -> Result<(Outcome, Option<Vec<Command>>), LinkError> {
        // Only if something is out of order is it worth to see what, one by one.
        let next = self.state(&events.publisher)?.cursor(&events.publisher);
        let next = next.map_or(0, |cursor| cursor.next);
        let expected = (next..).zip(&events.messages);
        let in_order = expected
            .clone()
            .all(|(next, message)| message.sequence == next);
        let before = if in_order {
            None
        } else {
            self.open.get(&events.publisher).cloned()
        };
        let light = light(events);
        let outcome = self.apply(&events.publisher, &Command::Events(light.clone()))?;
        let all = usize::try_from(outcome.applied) == Ok(events.messages.len());
        let left = if outcome.refused.is_some() {
            Some(Vec::new())
        } else if all {
            None
        } else {
            before.map(|state| vec![Command::Events(left_of(events, &light, state))])
        };
        Ok((outcome, left))
    }

    /// Applies a command to the state of one publisher.
    fn apply(&mut self, publisher: &Publisher, command: &Command) -> Result<Outcome, LinkError> {
        let state = self.state(publisher)?;
        let known = state.cursor(publisher).is_some();
        let outcome = state.apply(command, &mut Vec::new());
        match (known, state.cursor(publisher).is_some()) {
            (false, true) => self.room -= 1,
            (true, false) => self.room += 1,
            _ => {}
        }
        Ok(outcome)
    }

    /// The state of one publisher, which has room for it if there is any.
    fn state(&mut self, publisher: &Publisher) -> Result<&mut State, LinkError> {
        let room = usize::from(self.room > 0);
        let limits = |publishers| StateLimits {
            publishers,
            ..self.limits.clone()
        };
        if !self.open.contains_key(publisher) {
            let headers = self.headers.get(&publisher.endpoint);
            let header = headers.and_then(|headers| headers.ranks.get(&publisher.rank.0));
            let state = match header {
                Some(header) => state_of(header, limits(1))?,
                None => State::new(limits(room)),
            };
            self.open.insert(publisher.clone(), state);
        }
        let state = self.open.get_mut(publisher).ok_or(LinkError::Form {
            what: "a publisher that was just inserted",
        })?;
        if state.cursor(publisher).is_none() {
            *state = State::new(StateLimits {
                publishers: room,
                ..self.limits.clone()
            });
        }
        Ok(state)
    }

    /// The ranks of an endpoint that a removal is about.
    fn ranks(&self, endpoint: &Endpoint, rank: Option<Rank>) -> Vec<Rank> {
        if let Some(rank) = rank {
            return vec![rank];
        }
        let stored = self.headers.get(endpoint);
        let stored = stored.into_iter().flat_map(|headers| headers.ranks.keys());
        let open = self.open.keys().filter(|open| open.endpoint == *endpoint);
        let mut ranks: Vec<Rank> = stored
            .map(|rank| Rank(*rank))
            .chain(open.map(|open| open.rank))
            .collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks
    }
}
