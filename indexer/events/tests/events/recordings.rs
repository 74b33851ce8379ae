//! Every recorded stream decodes, with nothing left over.
//!
//! The totals were counted with Python's msgpack, not with this decoder.

use bytes::Bytes;
use indexer_events::{
    Decoded, EngineEvent, ExtraKeys, Limits, ReplayFrame, Topic, decode_batch, parse_live,
    parse_replay,
};
use serde_json::Value;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm");

#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    batches: u64,
    stored: u64,
    hashes: u64,
    tokens: u64,
    token_sum: u64,
    extra_keys: u64,
    with_lora: u64,
    roots: u64,
    chunked: u64,
    removed: u64,
    removed_hashes: u64,
    cleared: u64,
    /// All hashes, stored and removed, XORed.
    hash_xor: u64,
}

impl From<[u64; 13]> for Totals {
    fn from(row: [u64; 13]) -> Self {
        let [
            batches,
            stored,
            hashes,
            tokens,
            token_sum,
            extra_keys,
            with_lora,
            rest @ ..,
        ] = row;
        let [roots, chunked, removed, removed_hashes, cleared, hash_xor] = rest;
        Self {
            batches,
            stored,
            hashes,
            tokens,
            token_sum,
            extra_keys,
            with_lora,
            roots,
            chunked,
            removed,
            removed_hashes,
            cleared,
            hash_xor,
        }
    }
}

impl Totals {
    fn add(&mut self, decoded: &Decoded) {
        self.batches += 1;
        for event in &decoded.batch.events {
            match event {
                EngineEvent::BlockStored(stored) => {
                    self.stored += 1;
                    self.hashes += stored.block_hashes.len() as u64;
                    self.tokens += stored.token_ids.len() as u64;
                    self.token_sum += stored.token_ids.iter().copied().map(u64::from).sum::<u64>();
                    if let ExtraKeys::Published(lists) = &stored.extra_keys {
                        self.extra_keys += lists.iter().map(Vec::len).sum::<usize>() as u64;
                    }
                    self.with_lora += u64::from(stored.lora_name.is_some());
                    self.roots += u64::from(stored.parent_block_hash.is_none());
                    self.chunked += u64::from(stored.chunks().is_some());
                    self.hash_xor ^= stored.block_hashes.iter().fold(0, |xor, hash| xor ^ hash.0);
                }
                EngineEvent::BlockRemoved(removed) => {
                    self.removed += 1;
                    self.removed_hashes += removed.block_hashes.len() as u64;
                    self.hash_xor ^= removed
                        .block_hashes
                        .iter()
                        .fold(0, |xor, hash| xor ^ hash.0);
                }
                EngineEvent::AllBlocksCleared { .. } => self.cleared += 1,
            }
        }
    }
}

#[rustfmt::skip]
const TRACES: [(&str, [u64; 13]); 10] = [
    ("v0.10.1.1-builtin", [142, 113, 327, 5232, 5334592, 0, 0, 12, 113, 234, 234, 1, 4851608336881884388]),
    ("v0.10.1.1-sha256_cbor_64bit", [142, 113, 327, 5232, 5334592, 0, 0, 12, 113, 234, 234, 1, 15096321194947235020]),
    ("v0.10.1.1-sha256_cbor_64bit-dup", [126, 125, 126, 2016, 3482768, 0, 0, 124, 125, 63, 63, 0, 18241724893888641960]),
    ("v0.23.0-sha256_cbor", [97, 78, 175, 5600, 6040489, 16, 5, 14, 78, 100, 100, 1, 2979462658234106808]),
    ("v0.32.0-sha256", [81, 73, 162, 5184, 6908852, 2, 0, 12, 73, 85, 85, 1, 7206493708200958640]),
    ("v0.32.0-sha256_cbor", [89, 78, 175, 5600, 7347165, 16, 5, 14, 78, 98, 98, 1, 13664356758739330669]),
    ("v0.32.0-sha256_cbor-bytes-bs64", [54, 54, 84, 5376, 7047738, 2, 0, 11, 54, 14, 14, 1, 11427210564570137549]),
    ("v0.32.0-sha256_cbor-mix", [693, 548, 773, 24736, 43763814, 6, 0, 9, 548, 575, 575, 0, 16770136030436121164]),
    ("v0.32.0-sha256_cbor-mm", [11, 11, 17, 544, 1060652, 13, 0, 6, 11, 0, 0, 0, 16644915638256856410]),
    ("v0.32.0-xxhash_cbor", [81, 73, 162, 5184, 6908852, 2, 0, 12, 73, 85, 85, 1, 3297466260213800118]),
];

/// Of the hybrid model, only one group in four maps to tokens: the others are
/// those that keep a window.
#[rustfmt::skip]
const EXPERIMENTS: [(&str, [u64; 13]); 3] = [
    ("exp-dp", [16, 20, 34, 1088, 1333680, 0, 0, 14, 20, 0, 0, 0, 2460290061252976393]),
    ("exp-hybrid", [12, 48, 162, 14592, 24266468, 0, 0, 32, 12, 62, 62, 0, 12622995964052173343]),
    ("exp-joiner", [86, 87, 185, 5920, 9298819, 0, 0, 65, 87, 31, 31, 2, 18315676643844631227]),
];

#[test]
fn live_streams_decode_completely() {
    let traces = TRACES.map(|(name, row)| (format!("traces/{name}.events.jsonl"), row));
    let experiments = EXPERIMENTS.map(|(name, row)| (format!("experiments/{name}.jsonl"), row));
    for (file, expected) in traces.into_iter().chain(experiments) {
        let mut totals = Totals::default();
        for line in lines(&file).filter(|line| line.get("payload_b64").is_some()) {
            totals.add(&decode_live(&line));
        }
        assert_eq!(totals, expected.into(), "{file}");
    }
}

/// The payloads of every recorded live message.
pub(crate) fn live_payloads() -> Vec<Bytes> {
    let traces = TRACES.map(|(name, _)| format!("traces/{name}.events.jsonl"));
    let experiments = EXPERIMENTS.map(|(name, _)| format!("experiments/{name}.jsonl"));
    let lines = traces
        .iter()
        .chain(&experiments)
        .flat_map(|file| lines(file));
    let payloads = lines.filter(|line| line.get("payload_b64").is_some());
    payloads.map(|line| base64(&line["payload_b64"])).collect()
}

fn decode_live(line: &Value) -> Decoded {
    let topic = line["topic"].as_str().unwrap();
    let frames = [
        Bytes::from(topic.to_owned()),
        base64(&line["seq_b64"]),
        base64(&line["payload_b64"]),
    ];
    let frame = parse_live(&frames).unwrap();
    assert_eq!(frame.topic, topic);
    assert_eq!(Some(frame.sequence), line["seq"].as_u64());
    assert_eq!(frame.stream, None);
    assert!(matches!(
        Topic::parse(frame.topic).unwrap(),
        Topic::Endpoint {
            model: "Qwen3-32B",
            ..
        }
    ));
    decode_whole(&frame.payload)
}

#[test]
fn replayed_streams_are_the_live_ones() {
    for (name, expected) in TRACES {
        let file = format!("traces/{name}.replay.jsonl");
        let Ok(text) = std::fs::read_to_string(format!("{DATA}/{file}")) else {
            assert!(name.ends_with("-dup"), "{file} is missing");
            continue;
        };
        let mut totals = Totals::default();
        let mut ended = false;
        for (index, line) in text.lines().enumerate() {
            assert!(!ended, "{file}: message after the end marker");
            let line: Value = serde_json::from_str(line).unwrap();
            let frames: Vec<_> = line["frames_b64"]
                .as_array()
                .unwrap()
                .iter()
                .map(base64)
                .collect();
            match parse_replay(&frames).unwrap() {
                ReplayFrame::Message {
                    sequence,
                    stream,
                    payload,
                } => {
                    assert_eq!((sequence, stream), (index as u64, None));
                    totals.add(&decode_whole(&payload));
                }
                ReplayFrame::End => ended = true,
            }
        }
        assert!(ended, "{file}: no end marker");
        assert_eq!(totals, expected.into(), "{file}");
    }
}

fn decode_whole(payload: &[u8]) -> Decoded {
    let decoded = decode_batch(payload, &Limits::default()).unwrap();
    assert_eq!(decoded.errors, []);
    assert_eq!(decoded.unknown_fields, 0);
    assert!(decoded.batch.data_parallel_rank.is_some());
    // All recordings were made in one week of November 2026.
    assert!((1_795_000_000_000_000..1_796_000_000_000_000).contains(&decoded.batch.timestamp.0));
    decoded
}

fn lines(file: &str) -> impl Iterator<Item = Value> {
    let text = std::fs::read_to_string(format!("{DATA}/{file}")).unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.into_iter()
}

fn base64(value: &Value) -> Bytes {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in value.as_str().unwrap().trim_end_matches('=').bytes() {
        let digit = ALPHABET.iter().position(|known| *known == letter).unwrap();
        bits = bits << 6 | u32::try_from(digit).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes.into()
}
