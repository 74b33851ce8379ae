//! The steps from a socket's bytes to a command, one at a time: for measuring
//! what each of them costs. [`Ingestor`](crate::Ingestor) runs the same code.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use indexer_events::BatchError;
use proto_model::{EventsCommand, Publisher};

use crate::check::Probe;
use crate::entry::{Entry, build_command};
use crate::findings::Findings;
use crate::keyed::{Keyed, Reading};
use crate::metrics::Metrics;
use crate::models::{Models, hash_rules};
use crate::translate::{Shared, Stamp, Translator};
use crate::zmtp::{Decoder, Item, Limits};
use crate::{IngestConfig, ModelConfig};

/// Cuts a ZMTP stream, after its handshake, into messages.
#[derive(Debug)]
pub struct Framing(Decoder);

impl Framing {
    /// For messages of at most so many bytes.
    #[must_use]
    pub fn new(message_bytes: usize) -> Self {
        let mut decoder = Decoder::new(Limits {
            message_bytes,
            frames: crate::sockets::FRAMES,
        });
        decoder.greeted();
        Self(decoder)
    }

    /// The frames of the next whole message; `None` if there is none, or the
    /// bytes are no ZMTP.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Option<Vec<Bytes>> {
        match self.0.next(buffer) {
            Ok(Some(Item::Message(frames))) => Some(frames),
            _ => None,
        }
    }
}

/// Reads one connection's payloads.
#[derive(Debug)]
pub struct Payloads(Reading);

/// A message with its blocks hashed.
#[derive(Debug)]
pub struct Message(Keyed);

impl Payloads {
    /// Within the limits.
    #[must_use]
    pub fn new(limits: indexer_events::Limits) -> Self {
        Self(Reading::new(limits, false))
    }

    /// Decodes a payload and hashes its blocks.
    ///
    /// # Errors
    /// As [`indexer_events::visit_batch`] has them.
    pub fn read(&mut self, payload: &[u8]) -> Result<Message, BatchError> {
        self.0.read(payload).map(Message)
    }
}

/// Translates one publisher's messages.
#[derive(Debug)]
pub struct Translation {
    publisher: Arc<Publisher>,
    translator: Translator,
    shared: Shared,
}

/// A message that waits to become part of a command.
#[derive(Debug)]
pub struct Translated(Entry);

impl Translation {
    /// Of a publisher that serves the model.
    #[must_use]
    pub fn new(publisher: Publisher, model: &ModelConfig) -> Self {
        let configs = std::slice::from_ref(model);
        let config = IngestConfig::default();
        let publisher = Arc::new(publisher);
        let rules = Models::new(configs).resolve(&model.name);
        let digests = config.bounds.digests.get();
        Self {
            translator: Translator::new(Arc::clone(&publisher), rules, digests),
            publisher,
            shared: Shared {
                findings: Findings::new(config.bounds.findings.get()),
                metrics: Metrics::register(&mut prometheus_client::registry::Registry::default()),
                first_blocks: Arc::default(),
                probe: Arc::new(Probe::new(hash_rules(configs))),
            },
        }
    }

    /// A message's events to changes of the replicated state.
    pub fn translate(&mut self, sequence: u64, message: Message) -> Translated {
        let stamp = Stamp {
            sequence,
            timestamp: message.0.timestamp,
            stream: None,
        };
        Translated(self.translator.translate(stamp, message.0, &self.shared))
    }

    /// The messages as one command.
    #[must_use]
    pub fn command(&self, messages: Vec<Translated>) -> EventsCommand {
        let entries: Vec<Entry> = messages.into_iter().map(|message| message.0).collect();
        build_command(&self.publisher, &entries).0
    }
}
