//! Every step from a socket's bytes to the index, one after the other.

use std::hint::black_box;

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use indexer_events::{Limits, Spare, Visit, parse_live, visit_batch};
use indexer_ingest::ModelConfig;
use indexer_ingest::stages::{Framing, Message, Payloads, Translation};
use indexer_state::{State, StateLimits};
use loadtest_engines::Form;
use proto_api::AppendRequest;
use proto_model::{Batch, Command, Endpoint, Publisher, Rank};
use scorer_index::{IndexLimits, PrefixIndex};
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::floor;
use crate::messages::{Messages, Step};
use crate::meter::{Cost, Meter};

/// Engines, each with a cache of 8,192 blocks.
const ENGINES: usize = 32;

/// Groups of engines that run the same prompts.
const GROUPS: usize = 8;

/// Messages of each engine in one round.
const ROUND: usize = 32;

/// What the steps cost for one kind of message.
#[derive(Debug, Serialize)]
pub(crate) struct StageReport {
    pub(crate) messages: String,
    pub(crate) block_events_per_message: f64,
    pub(crate) bytes_per_block_event: f64,
    pub(crate) costs: Vec<Cost>,
}

/// Measures messages of one form, made here.
pub(crate) fn measure(step: Step, form: Form, rounds: usize) -> Result<StageReport> {
    let messages = Messages::new(step, form, GROUPS)?;
    let mut line = Line::new()?;
    let mut meter = Meter::default();
    let filling = step.filling() as u64;
    let mut discarded = Meter::default();
    for sequence in 0..filling {
        line.round(&messages, sequence..sequence + 1, &mut discarded)?;
    }
    let (mut sequence, mut bytes) = (filling, 0);
    for _ in 0..rounds {
        let next = sequence + ROUND as u64;
        bytes = line.round(&messages, sequence..next, &mut meter)?;
        sequence = next;
        meter.end_round((ENGINES * ROUND) as u64 * step.block_events());
    }
    let events = (ENGINES * ROUND) as u64 * step.block_events();
    Ok(StageReport {
        messages: format!("{step:?}, {form:?}").to_lowercase(),
        block_events_per_message: step.block_events() as f64,
        bytes_per_block_event: bytes as f64 / events as f64,
        costs: meter.costs(),
    })
}

/// The line, laid out flat.
struct Line {
    framing: Framing,
    limits: Limits,
    spare: Spare,
    payloads: Payloads,
    translations: Vec<Translation>,
    state: State,
    index: PrefixIndex,
}

impl Line {
    fn new() -> Result<Self> {
        let model = ModelConfig::new("model");
        let translations = (0..ENGINES).map(|engine| -> Result<Translation> {
            let publisher = Publisher {
                endpoint: Endpoint::new("cluster", &format!("10.0.0.{engine}:8000"))?,
                rank: Rank(0),
            };
            Ok(Translation::new(publisher, &model))
        });
        Ok(Self {
            framing: Framing::new(16 << 20),
            limits: Limits::default(),
            spare: Spare::default(),
            payloads: Payloads::new(Limits::default()),
            translations: translations.collect::<Result<_>>()?,
            state: State::new(StateLimits::default()),
            index: PrefixIndex::new(IndexLimits::default()),
        })
    }

    /// One message of every engine at a time, as they would come.
    fn round(
        &mut self,
        messages: &Messages,
        sequences: std::ops::Range<u64>,
        meter: &mut Meter,
    ) -> Result<usize> {
        let mut bytes = 0;
        for sequence in sequences {
            let payload = |engine| messages.payload(engine, sequence, 1.0 + sequence as f64);
            let payloads: Vec<Bytes> = (0..ENGINES).map(payload).collect();
            bytes += payloads.iter().map(Bytes::len).sum::<usize>();
            floors(&payloads, meter)?;
            self.step(&payloads, sequence, meter)?;
        }
        Ok(bytes)
    }

    /// Without keeping anything.
    fn decode(&mut self, payloads: &[Bytes]) -> Result<()> {
        for payload in payloads {
            let show = |visit: Visit<'_>| {
                black_box(visit);
            };
            visit_batch(payload, &self.limits, &mut self.spare, show)?;
        }
        Ok(())
    }

    fn step(&mut self, payloads: &[Bytes], sequence: u64, meter: &mut Meter) -> Result<()> {
        let mut wire = wire(payloads, sequence);
        let framed = meter.time("frames", || {
            let mut framed = Vec::with_capacity(payloads.len());
            while let Some(frames) = self.framing.next(&mut wire) {
                framed.push(frames);
            }
            framed
        });
        meter.time("(decode alone)", || self.decode(payloads))?;
        let read = meter.time("decode and key", || -> Result<Vec<Message>> {
            let read = |frames: Vec<Bytes>| -> Result<Message> {
                let live = parse_live(&frames)?;
                Ok(self.payloads.read(&live.payload)?)
            };
            framed.into_iter().map(read).collect()
        })?;
        let entries: Vec<_> = meter.time("translate", || {
            let both = self.translations.iter_mut().zip(read);
            both.map(|(translation, message)| translation.translate(sequence, message))
                .collect()
        });
        let batch = meter.time("command", || Batch {
            commands: self
                .translations
                .iter()
                .zip(entries)
                .map(|(translation, entry)| Command::Events(translation.command(vec![entry])))
                .collect(),
        });
        meter.time("(encode for a store elsewhere)", || {
            black_box(AppendRequest::of(&batch).len())
        });
        let deltas = meter.time("apply in the store", || {
            let mut deltas = Vec::new();
            for command in &batch.commands {
                black_box(self.state.apply(command, &mut deltas));
            }
            drop(batch);
            deltas
        });
        meter.time("apply in the index", || {
            self.index.apply_all(&deltas);
            drop(deltas);
        });
        Ok(())
    }
}

/// What no reader of the same bytes can do without, and what others do.
fn floors(payloads: &[Bytes], meter: &mut Meter) -> Result<()> {
    let size = payloads.iter().map(Bytes::len).sum();
    let mut copy: Vec<u8> = Vec::with_capacity(size);
    meter.time("(floor: copy)", || {
        for payload in payloads {
            copy.extend_from_slice(payload);
        }
        black_box(copy.len())
    });
    meter.time("(floor: rmp-serde, passed over)", || -> Result<()> {
        for payload in payloads {
            rmp_serde::from_slice::<IgnoredAny>(payload)?;
        }
        Ok(())
    })?;
    meter.time("(floor: rmp-serde, typed)", || -> Result<()> {
        for payload in payloads {
            let batch: floor::Batch = rmp_serde::from_slice(payload).context("read")?;
            black_box(batch.1.iter().map(floor::Event::weight).sum::<usize>());
        }
        Ok(())
    })
}

/// The messages as they stand on a connection.
fn wire(payloads: &[Bytes], sequence: u64) -> BytesMut {
    let mut wire = BytesMut::new();
    for payload in payloads {
        frame(&mut wire, 1, b"kv@10.0.0.1:8000@model");
        frame(&mut wire, 1, &sequence.to_be_bytes());
        frame(&mut wire, 0, payload);
    }
    wire
}

fn frame(wire: &mut BytesMut, flags: u8, body: &[u8]) {
    match u8::try_from(body.len()) {
        Ok(length) => wire.put_slice(&[flags, length]),
        Err(_) => {
            wire.put_u8(flags | 2);
            wire.put_u64(body.len() as u64);
        }
    }
    wire.put_slice(body);
}
