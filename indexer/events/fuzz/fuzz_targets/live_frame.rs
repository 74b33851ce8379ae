//! Live messages: frames, topic, then the payload.

#![no_main]

use bytes::Bytes;
use indexer_events::{Limits, Topic, decode_batch, parse_live};
use libfuzzer_sys::fuzz_target;

#[path = "frames.rs"]
mod frames;

fuzz_target!(|data: &[u8]| {
    let frames: Vec<Bytes> = frames::split(data);
    if let Ok(frame) = parse_live(&frames) {
        assert_eq!(frame.stream.is_some(), frames[1].len() == 24);
        assert_eq!(frame.payload, frames[2]);
        if let Ok(Topic::Endpoint { address, model }) = Topic::parse(frame.topic) {
            assert_eq!(frame.topic, format!("kv@{address}@{model}"));
        }
        drop(decode_batch(&frame.payload, &Limits::default()));
    }
});
