//! Payloads: what decodes must be consistent, and tight limits must hold.

#![no_main]

use indexer_events::{EngineEvent, Limits, Spare, Visit, decode_batch, visit_batch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(decoded) = decode_batch(data, &Limits::default()) {
        assert!(decoded.batch.events.len() + decoded.errors.len() <= data.len());
        decoded.batch.events.iter().for_each(check);
        for error in &decoded.errors {
            assert!(!error.to_string().is_empty());
        }
        compare(data, &decoded.batch.events);
    }
    let tight = Limits {
        events: 4,
        hashes: 4,
        tokens: 64,
        extra_keys: 2,
        text_bytes: 16,
        decoded_bytes: 4096,
        ..Limits::default()
    };
    if let Ok(decoded) = decode_batch(data, &tight) {
        assert!(decoded.batch.events.len() + decoded.errors.len() <= tight.events);
        for event in &decoded.batch.events {
            if let EngineEvent::BlockStored(stored) = event {
                assert!(stored.block_hashes.len() <= tight.hashes);
                assert!(stored.token_ids.len() <= tight.tokens);
            }
        }
    }
});

/// Visiting shows what collecting keeps.
fn compare(data: &[u8], collected: &[EngineEvent]) {
    let mut events = Vec::new();
    let visited = visit_batch(data, &Limits::default(), &mut Spare::default(), |visit| match visit {
        Visit::Begin(_) => events.clear(),
        Visit::Stored(event) => events.push(EngineEvent::BlockStored(Box::new(event.clone()))),
        Visit::Removed(event) => events.push(EngineEvent::BlockRemoved(event.clone())),
        Visit::Cleared { medium } => events.push(EngineEvent::AllBlocksCleared { medium }),
    });
    assert!(visited.is_ok());
    assert_eq!(events, collected);
}

fn check(event: &EngineEvent) {
    let EngineEvent::BlockStored(stored) = event else {
        return;
    };
    let Some(chunks) = stored.chunks() else {
        return;
    };
    assert_eq!(chunks.len(), stored.block_hashes.len());
    let mut tokens = 0;
    for (_, chunk, _) in chunks {
        assert_eq!(chunk.len(), stored.block_size as usize);
        tokens += chunk.len();
    }
    assert_eq!(tokens, stored.token_ids.len());
}
