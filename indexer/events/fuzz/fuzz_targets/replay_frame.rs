//! Answers to replay requests: frames, then the payload.

#![no_main]

use indexer_events::{Limits, REPLAY_END, ReplayFrame, decode_batch, parse_replay};
use libfuzzer_sys::fuzz_target;

#[path = "frames.rs"]
mod frames;

fuzz_target!(|data: &[u8]| {
    let frames = frames::split(data);
    match parse_replay(&frames) {
        Ok(ReplayFrame::Message {
            sequence, payload, ..
        }) => {
            assert_ne!(sequence, REPLAY_END);
            assert_eq!(Some(&payload), frames.last());
            drop(decode_batch(&payload, &Limits::default()));
        }
        Ok(ReplayFrame::End) => assert!(frames.last().is_some_and(|payload| payload.is_empty())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
