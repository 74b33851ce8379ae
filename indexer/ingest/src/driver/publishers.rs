//! Each publisher's state, and its connections.

use std::sync::Arc;

use indexer_events::BatchError;
use proto_model::Publisher;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Driver;
use crate::TcpAddress;
use crate::entry::Entry;
use crate::findings::{Description, FindingKind};
use crate::keyed::Keyed;
use crate::sequencer::{Note, Rules, Sequencer};
use crate::source::Stream;
use crate::translate::{Shared, Stamp, Translator};
use crate::view::PublisherView;

/// All that the driver keeps about a publisher.
pub(super) struct PublisherState {
    pub(super) publisher: Arc<Publisher>,
    pub(super) sequencer: Sequencer,
    pub(super) connections: Vec<u64>,
    /// Whether it waits in the list of those with work.
    pub(super) queued: bool,
    translator: Translator,
    replay: Option<TcpAddress>,
    replay_task: Option<AbortHandle>,
    heard: Option<(u64, Instant)>,
    restarts: u64,
    lost: u64,
    unreadable: u64,
}

impl PublisherState {
    pub(super) fn heard(&mut self, sequence: u64) {
        self.heard = Some((sequence, Instant::now()));
    }

    pub(super) fn model_name(&self) -> String {
        self.translator.model().name.to_string()
    }

    pub(super) fn translate(
        &mut self,
        stamp: Stamp,
        keyed: Result<Keyed, BatchError>,
        shared: &Shared,
    ) -> Entry {
        let problem = match keyed {
            Ok(keyed) => {
                let metrics = &shared.metrics;
                metrics
                    .unknown_fields
                    .inc_by(u64::from(keyed.unknown_fields));
                metrics
                    .decode_errors
                    .add("event", keyed.errors.len() as u64);
                if let Some(problem) = keyed.errors.first() {
                    self.note_unreadable(problem, shared);
                }
                return self.translator.translate(stamp, keyed, shared);
            }
            Err(problem) => problem,
        };
        shared.metrics.decode_errors.add("payload", 1);
        self.note_unreadable(&problem, shared);
        self.translator.unreadable(stamp)
    }

    fn note_unreadable(&mut self, problem: &dyn std::error::Error, shared: &Shared) {
        self.unreadable += 1;
        let describe = || Description {
            seen: problem.to_string(),
            expected: "a msgpack batch of KV events".to_owned(),
            advice: "report the engine's version; until it restarts, what it holds is uncertain"
                .to_owned(),
        };
        self.add_finding(FindingKind::Unreadable, describe, shared);
    }

    fn add_finding(&self, kind: FindingKind, text: impl FnOnce() -> Description, shared: &Shared) {
        if shared.findings.add(kind, &self.publisher.to_string(), text) {
            shared.metrics.findings.add(kind.as_str(), 1);
        }
    }

    fn note(&mut self, note: Note, shared: &Shared) {
        let metrics = &shared.metrics;
        match note {
            Note::LiveDuplicate => metrics.messages.add("duplicate", 1),
            Note::HeldDropped => metrics.messages.add("held_dropped", 1),
            Note::GapFound(count) => metrics.gaps.add("found", count.max(1)),
            Note::GapGivenUp(count) => {
                metrics.gaps.add("lost", count.max(1));
                self.lost = self.lost.saturating_add(count);
                let replayable = self.replay.is_some();
                let describe = || Description {
                    seen: format!("{count} messages missing"),
                    expected: "every message from 0 on".to_owned(),
                    advice: if replayable {
                        "the engine's replay buffer no longer has them: raise its buffer_steps"
                    } else {
                        "set the engine's replay_endpoint and the socket's replay address"
                    }
                    .to_owned(),
                };
                self.add_finding(FindingKind::Lost, describe, shared);
            }
            Note::Restarted => {
                self.restarts += 1;
                metrics.restarts.add("state", 1);
                let subject = self.publisher.to_string();
                for kind in [FindingKind::Unreadable, FindingKind::Lost] {
                    shared.findings.clear(kind, &subject);
                }
            }
            Note::ResetNeeded => {
                self.restarts += 1;
                metrics.restarts.add("ingestor", 1);
            }
            Note::ClockWentBack => {
                let describe = || Description {
                    seen: "messages in order that are older than those before them".to_owned(),
                    expected: "an engine clock that goes forward".to_owned(),
                    advice: "keep the engine's clock in step (NTP); without a replay address, \
                             what it held is uncertain until it restarts"
                        .to_owned(),
                };
                self.add_finding(FindingKind::ClockWentBack, describe, shared);
            }
            Note::Doubted => metrics.gaps.add("doubted", 1),
            Note::EndMark => metrics.messages.add("rejected", 1),
            Note::ReplayGivenUp => metrics.replays.add("given_up", 1),
            Note::Refused => {
                metrics.messages.add("refused", 1);
                let describe = || Description {
                    seen: "the store refused the publisher's messages".to_owned(),
                    expected: "fewer publishers and key spaces than the store's limits".to_owned(),
                    advice: "raise the store's limits, or remove endpoints that are gone"
                        .to_owned(),
                };
                self.add_finding(FindingKind::Refused, describe, shared);
            }
        }
    }

    fn view(&self) -> PublisherView {
        PublisherView {
            publisher: Publisher::clone(&self.publisher),
            model: self.model_name(),
            connections: self.connections.len(),
            silent_for: self.heard.map(|(_, at)| at.elapsed()),
            heard: self.heard.map(|(sequence, _)| sequence),
            cursor: self.sequencer.cursor(),
            replaying: self.sequencer.recovering(),
            replayable: self.replay.is_some(),
            restarts: self.restarts,
            lost: self.lost,
            unreadable: self.unreadable,
        }
    }
}

impl Drop for PublisherState {
    fn drop(&mut self) {
        if let Some(task) = &self.replay_task {
            task.abort();
        }
    }
}

impl Driver {
    pub(super) fn views(&self) -> Vec<PublisherView> {
        let mut views: Vec<_> = self.publishers.values().map(PublisherState::view).collect();
        views.sort_by(|a, b| a.publisher.cmp(&b.publisher));
        views
    }

    /// The stream's publisher, made known if there is room.
    pub(super) fn publisher(&mut self, stream: &Stream) -> Option<Arc<Publisher>> {
        if let Some((known, state)) = self.publishers.get_key_value(&stream.publisher) {
            let name = &*state.translator.model().name;
            if *name == *stream.model || *self.parts.models.resolve(&stream.model).name == *name {
                return Some(Arc::clone(known));
            }
        }
        if !self.publishers.contains_key(&stream.publisher) && !self.make_room() {
            return None;
        }
        Some(self.add_publisher(stream))
    }

    /// There is no room for the stream's publisher: said once for all of them,
    /// because their names are the peers' to choose.
    pub(super) fn refuse(&self, stream: &Stream) {
        let Shared {
            metrics, findings, ..
        } = &self.parts.shared;
        metrics.messages.add("refused", 1);
        let limit = self.parts.config.bounds.publishers.get();
        let describe = || Description {
            seen: format!(
                "no room for {}; {limit} publishers are known",
                stream.publisher
            ),
            expected: format!("at most {limit} publishers"),
            advice: "raise bounds.publishers, or keep strangers off the port".to_owned(),
        };
        if findings.add(FindingKind::Refused, "ingestor", describe) {
            metrics.findings.add(FindingKind::Refused.as_str(), 1);
        }
    }

    fn make_room(&mut self) -> bool {
        if self.publishers.len() < self.parts.config.bounds.publishers.get() {
            return true;
        }
        let gone = |state: &&PublisherState| state.connections.is_empty() && state.sequencer.idle();
        let gone = self
            .publishers
            .values()
            .find(gone)
            .map(|state| Arc::clone(&state.publisher));
        gone.is_some_and(|gone| self.publishers.remove(&gone).is_some())
    }

    /// A new publisher, or a known one that now serves another model.
    fn add_publisher(&mut self, stream: &Stream) -> Arc<Publisher> {
        let config = &self.parts.config;
        let model = self.parts.models.resolve(&stream.model);
        if let Some((known, state)) = self.publishers.get_key_value(&stream.publisher) {
            let known = Arc::clone(known);
            tracing::warn!(publisher = %known, from = state.model_name(), to = %model.name, "model changed");
            let translator =
                Translator::new(Arc::clone(&known), model, config.bounds.digests.get());
            if let Some(state) = self.publishers.get_mut(&known) {
                state.translator = translator;
            }
            return known;
        }
        let publisher = Arc::new(stream.publisher.clone());
        let rules = Rules {
            replayable: stream.replay.is_some(),
            attempts: config.replay.attempts.get(),
            held_messages: config.bounds.held_messages.get(),
        };
        let translator =
            Translator::new(Arc::clone(&publisher), model, config.bounds.digests.get());
        let state = PublisherState {
            publisher: Arc::clone(&publisher),
            sequencer: Sequencer::new(rules),
            connections: Vec::new(),
            queued: false,
            translator,
            replay: stream.replay.clone(),
            replay_task: None,
            heard: None,
            restarts: 0,
            lost: 0,
            unreadable: 0,
        };
        self.publishers.insert(Arc::clone(&publisher), state);
        let count = i64::try_from(self.publishers.len()).unwrap_or(i64::MAX);
        self.parts.shared.metrics.publishers.set(count);
        publisher
    }

    /// Notes that a connection delivers a publisher's messages.
    pub(super) fn attach(&mut self, connection: u64, publisher: &Arc<Publisher>) {
        let known = self
            .publishers
            .get(publisher)
            .is_some_and(|s| s.connections.contains(&connection));
        if known {
            return;
        }
        self.connections
            .entry(connection)
            .or_default()
            .push(Arc::clone(publisher));
        self.touch(publisher, |state, _| {
            state.connections.push(connection);
            state.sequencer.connected();
        });
    }

    pub(super) fn detach(&mut self, connection: u64) {
        for publisher in self.connections.remove(&connection).unwrap_or_default() {
            if let Some(state) = self.publishers.get_mut(&publisher) {
                state.connections.retain(|other| *other != connection);
            }
        }
    }

    /// Lets something happen to a publisher, then does what follows from it:
    /// sums, notes, replays, a place in the list of those with work.
    pub(super) fn touch<R>(
        &mut self,
        publisher: &Arc<Publisher>,
        action: impl FnOnce(&mut PublisherState, &Shared) -> R,
    ) -> Option<R> {
        let state = self.publishers.get_mut(publisher)?;
        let shared = &self.parts.shared;
        let before = (state.sequencer.ready_bytes(), state.sequencer.held_bytes());
        let recovering = state.sequencer.recovering();
        let result = action(state, shared);
        let after = (state.sequencer.ready_bytes(), state.sequencer.held_bytes());
        self.pending_bytes = (self.pending_bytes + after.0).saturating_sub(before.0);
        self.held_bytes = (self.held_bytes + after.1).saturating_sub(before.1);
        let metrics = &shared.metrics;
        metrics
            .pending_bytes
            .set(i64::try_from(self.pending_bytes).unwrap_or(i64::MAX));
        metrics
            .held_bytes
            .set(i64::try_from(self.held_bytes).unwrap_or(i64::MAX));
        match (recovering, state.sequencer.recovering()) {
            (false, true) => drop(metrics.replaying.inc()),
            (true, false) => drop(metrics.replaying.dec()),
            _ => {}
        }
        for note in state.sequencer.take_notes() {
            state.note(note, shared);
        }
        let order = state.sequencer.take_replay().zip(state.replay.clone());
        if let Some((order, address)) = order
            && !self.parts.stop.is_cancelled()
        {
            if let Some(task) = state.replay_task.take() {
                task.abort();
            }
            let replay = self
                .parts
                .replayer
                .clone()
                .run(Arc::clone(publisher), address, order);
            state.replay_task = Some(self.parts.tasks.spawn(replay).abort_handle());
        }
        if state.sequencer.has_work() && !state.queued {
            state.queued = true;
            if self.dirty.is_empty() {
                self.due = Some(Instant::now() + self.parts.config.batching.delay);
            }
            self.dirty.push_back(Arc::clone(publisher));
        }
        Some(result)
    }
}
