//! The simulated engine against real ones: the same requests in the same order
//! give the same cache hits and the same messages, byte for byte.

use std::path::{Path, PathBuf};
use std::time::Duration;

use loadtest_engine_sim::engine::{
    Engine, EngineConfig, Extras, Generated, Generation, Hasher, Link, Lora, Submission,
};
use loadtest_engine_sim::wire;
use loadtest_recordings::{Overlap, RecordedRequest, Recording, RequestKind};
use serde_json::Value;

fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vllm/traces")
}

/// Stands for generated tokens that nobody can know; no vocabulary has it.
const NEVER_FOUND: u32 = u32::MAX;

/// One engine, asked what a recorded one was asked.
struct Replica {
    engine: Engine,
    generation: Generation,
    block_size: usize,
    now: Duration,
    messages: Vec<Vec<u8>>,
}

impl Replica {
    fn of(recording: &Recording, generation: Generation) -> Self {
        let meta = &recording.meta;
        let block_size = meta.block_size as usize;
        let kv_tokens = meta.blocks as usize * block_size;
        let config = EngineConfig {
            block_size,
            kv_tokens,
            max_model_len: kv_tokens - block_size,
            generation,
            hash_seed: meta.seed.clone(),
            ..EngineConfig::default()
        };
        Self {
            engine: Engine::new(&config).unwrap(),
            generation,
            block_size,
            now: Duration::ZERO,
            messages: Vec::new(),
        }
    }

    /// Runs a request to its end. Returns its cached tokens.
    fn run(&mut self, request: &RecordedRequest, reply: &[u32]) -> u64 {
        let submission = Submission {
            id: 1,
            prompt: request.token_ids.clone(),
            reply: reply.to_vec(),
            extras: extras(request),
        };
        self.engine.submit(self.now, submission).unwrap();
        let mut cached = None;
        loop {
            self.now = self.engine.next_arrival().unwrap_or(self.now);
            let outcome = self.engine.step(self.now).expect("a request is there");
            self.now += outcome.duration;
            if !outcome.events.is_empty() {
                // Times are compared nowhere.
                let payload = wire::payload(self.generation, 0.0, self.block_size, &outcome.events);
                self.messages.push(payload.unwrap().to_vec());
            }
            let [Generated { first, last, .. }] = outcome.tokens[..] else {
                continue;
            };
            cached = cached.or_else(|| first.map(|first| first.cached_tokens as u64));
            if last {
                return cached.expect("a first token comes before the last");
            }
        }
    }
}

fn extras(request: &RecordedRequest) -> Extras {
    let lora = (request.model() == "my-adapter").then(|| Lora {
        id: 1,
        name: "my-adapter".to_owned(),
        path: "/adapters/my-adapter".to_owned(),
    });
    Extras {
        lora,
        salt: request.cache_salt().map(str::to_owned),
    }
}

/// A message without the time in it.
fn timeless(payload: &[u8]) -> Vec<u8> {
    assert_eq!(payload[..2], [0x93, 0xcb], "a list of three, then a float");
    [&payload[..2], &[0; 8], &payload[10..]].concat()
}

/// A run of blocks as vLLM 0.10 published it.
struct Run {
    parent: Option<u64>,
    tokens: Vec<u32>,
}

fn runs(recording: &Recording) -> Vec<Run> {
    let mut runs = Vec::new();
    for message in &recording.published {
        let batch: Value = rmp_serde::from_slice(&message.payload).unwrap();
        for event in batch[1].as_array().unwrap() {
            if event[0] == "BlockStored" {
                runs.push(Run {
                    parent: event[2].as_u64(),
                    tokens: serde_json::from_value(event[3].clone()).unwrap(),
                });
            }
        }
    }
    runs
}

/// What vLLM 0.10 generated: it did not say, but the blocks that it published hold
/// it. A rest that fills no block was never published, and is never found again.
fn published_reply(recording: &Recording, runs: &[Run], request: &RecordedRequest) -> Vec<u32> {
    let block_size = recording.meta.block_size as usize;
    let prompt = &request.token_ids;
    let end = prompt.len() + usize::try_from(request.body["max_tokens"].as_u64().unwrap()).unwrap();
    let hasher = Hasher::new(Generation::V0_10.algorithm(), &recording.meta.seed);
    let mut tokens = prompt[..prompt.len() / block_size * block_size].to_vec();
    loop {
        let mut link = None;
        for block in tokens.chunks(block_size) {
            link = Some(hasher.link(link.as_ref(), block, &extras(request)));
        }
        let parent = link.map(|link: Link| link.published());
        let rest = prompt.get(tokens.len()..).unwrap_or_default();
        let next = |run: &&Run| run.parent == parent && run.tokens.starts_with(rest);
        match runs.iter().find(next) {
            Some(run) if tokens.len() < end => tokens.extend(&run.tokens[..block_size]),
            _ => break,
        }
    }
    tokens.resize(end, NEVER_FOUND);
    tokens.split_off(prompt.len())
}

/// Compares a recording up to the first request that overlaps others. Returns how
/// many requests and messages were equal.
fn compare(tag: &str, generation: Generation) -> (usize, usize) {
    let recording = Recording::load(&traces(), tag).unwrap();
    let mut replica = Replica::of(&recording, generation);
    let runs = match generation {
        Generation::V0_10 => runs(&recording),
        Generation::V0_32 => Vec::new(),
    };
    let mut published = recording.published.iter().map(|one| timeless(&one.payload));
    let (mut requests, mut messages) = (0, 0);
    for request in &recording.requests {
        if request.overlap == Some(Overlap::Concurrent) {
            break;
        }
        if request.kind == RequestKind::Reset {
            assert!(replica.engine.reset_prefix_cache());
            continue;
        }
        let reply = match generation {
            Generation::V0_10 => published_reply(&recording, &runs, request),
            Generation::V0_32 => request.output_ids.clone(),
        };
        let cached = replica.run(request, &reply);
        assert_eq!(cached, request.cached_tokens, "{tag}: {}", request.note);
        for ours in replica.messages.drain(..) {
            let theirs = published.next().expect("the engine published as much");
            let theirs = without_session(theirs);
            assert!(
                ours == theirs,
                "{tag}: {}: message {messages}",
                request.note
            );
            messages += 1;
        }
        requests += 1;
    }
    (requests, messages)
}

/// A request may name its session, which then stands in its events: no simulated
/// engine has sessions.
fn without_session(payload: Vec<u8>) -> Vec<u8> {
    const SESSION: &[u8] = b"\xaasession_id\xa7sess-42";
    let Some(at) = payload
        .windows(SESSION.len())
        .position(|window| window == SESSION)
    else {
        return payload;
    };
    let (before, after) = (&payload[..at], &payload[at + SESSION.len()..]);
    // Its map has one entry more.
    [before, after]
        .concat()
        .iter()
        .map(|byte| if *byte == 0x8c { 0x8b } else { *byte })
        .collect()
}

#[test]
fn hits_and_messages_are_those_of_vllm_0_32() {
    let (requests, messages) = compare("v0.32.0-sha256_cbor", Generation::V0_32);
    assert_eq!((requests, messages), (39, 66));
}

#[test]
fn interleaved_conversations_are_those_of_vllm_0_32() {
    let (requests, messages) = compare("v0.32.0-sha256_cbor-mix", Generation::V0_32);
    assert_eq!((requests, messages), (360, 693));
}

#[test]
fn hits_and_messages_are_those_of_vllm_0_10() {
    let tag = "v0.10.1.1-sha256_cbor_64bit";
    let (requests, messages) = compare(tag, Generation::V0_10);
    assert_eq!((requests, messages), (35, 102));
}
