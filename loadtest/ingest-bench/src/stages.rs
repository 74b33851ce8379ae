//! Every step from a socket's bytes to the index, one after the other.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
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
use crate::messages::{Messages, Scale, Step};
use crate::meter::{Cost, Meter};

/// What the steps cost for one kind of message.
#[derive(Debug, Serialize)]
pub(crate) struct StageReport {
    pub(crate) messages: String,
    pub(crate) block_events_per_message: f64,
    pub(crate) bytes_per_block_event: f64,
    pub(crate) costs: Vec<Cost>,
}

/// Measures messages of one form, made here. At the end the index must hold what the
/// engines hold, or the figures would be those of something else.
pub(crate) fn measure(step: Step, form: Form, rounds: usize, scale: Scale) -> Result<StageReport> {
    let messages = Messages::new(step, form, scale.groups, scale.cache_blocks)?;
    let mut line = Line::new(scale.engines)?;
    let mut meter = Meter::default();
    let filling = step.filling(scale.cache_blocks) as u64;
    let mut discarded = Meter::default();
    for sequence in 0..filling {
        line.round(&messages, sequence..sequence + 1, &mut discarded)?;
    }
    let events = (scale.engines * scale.round) as u64 * step.block_events();
    let (mut sequence, mut bytes) = (filling, 0);
    for _ in 0..rounds {
        let next = sequence + scale.round as u64;
        bytes = line.round(&messages, sequence..next, &mut meter)?;
        sequence = next;
        meter.end_round(events);
    }
    let held = line.index.stats().memberships;
    let expected = step.held(scale.cache_blocks, sequence) * scale.engines as u64;
    ensure!(
        held == expected,
        "the index lists {held} memberships, the engines hold {expected}"
    );
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
    fn new(engines: usize) -> Result<Self> {
        let model = ModelConfig::new("model");
        let translations = (0..engines).map(|engine| -> Result<Translation> {
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
            let payloads: Vec<Bytes> = (0..self.translations.len()).map(payload).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: Scale = Scale {
        engines: 3,
        groups: 2,
        cache_blocks: 256,
        round: 2,
    };

    #[test]
    fn every_stage_of_every_kind_of_message_is_measured() {
        for (step, form, name) in [
            (Step::Prefill, Form::Arrays, "prefill, arrays"),
            (Step::Prefill, Form::Maps, "prefill, maps"),
            (Step::Decode, Form::Arrays, "decode, arrays"),
            (Step::Decode, Form::Maps, "decode, maps"),
        ] {
            let report = measure(step, form, 2, TINY).unwrap();
            assert_eq!(report.messages, name);
            assert_eq!(report.block_events_per_message, step.block_events() as f64);
            // A hash in nine bytes, and of every second block event 16 token ids.
            assert!(report.bytes_per_block_event > 25.0, "{report:?}");
            let stages: Vec<_> = report.costs.iter().map(|cost| cost.stage).collect();
            assert_eq!(
                stages,
                [
                    "(floor: copy)",
                    "(floor: rmp-serde, passed over)",
                    "(floor: rmp-serde, typed)",
                    "frames",
                    "(decode alone)",
                    "decode and key",
                    "translate",
                    "command",
                    "(encode for a store elsewhere)",
                    "apply in the store",
                    "apply in the index",
                ]
            );
            for cost in &report.costs {
                let (time, made) = (cost.ns_per_block_event, cost.allocations_per_block_event);
                assert!(time > 0.0 && time.is_finite(), "{name}: {cost:?}");
                assert!(made >= 0.0 && made.is_finite(), "{name}: {cost:?}");
            }
        }
    }

    #[test]
    fn reading_a_message_allocates_for_few_block_events_only() {
        let report = measure(Step::Prefill, Form::Maps, 1, TINY).unwrap();
        let made = |name| {
            let mut costs = report.costs.iter();
            let cost = costs.find(|cost| cost.stage == name).unwrap();
            cost.allocations_per_block_event
        };
        // A plain reader makes a list for each event, which here is every second one.
        assert!(made("(floor: rmp-serde, typed)") > 0.5);
        assert!(made("decode and key") < 0.1);
    }

    #[test]
    fn engines_that_hold_something_else_are_noticed() {
        // Three messages fill no cache of four.
        assert_eq!(Step::Prefill.held(256, 3), 192);
        assert_eq!(Step::Prefill.held(256, 4), 256);
        assert_eq!(Step::Prefill.held(256, 4_000), 256);
        assert_eq!(Step::Decode.held(256, 3), 96);
    }
}
