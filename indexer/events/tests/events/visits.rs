//! Events that are visited are those that are collected, whatever came before
//! through the same vectors.

use indexer_events::{EngineEvent, Envelope, Limits, Spare, Visit, decode_batch, visit_batch};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fabric::{Value, payload, stored_with};

/// What [`decode_batch`] gives, from visits.
fn visited(
    bytes: &[u8],
    limits: &Limits,
    spare: &mut Spare,
) -> Result<(Vec<EngineEvent>, Envelope), indexer_events::BatchError> {
    let mut events = Vec::new();
    let envelope = visit_batch(bytes, limits, spare, |visit| match visit {
        Visit::Begin(_) => events.clear(),
        Visit::Stored(event) => events.push(EngineEvent::BlockStored(Box::new(event.clone()))),
        Visit::Removed(event) => events.push(EngineEvent::BlockRemoved(event.clone())),
        Visit::Cleared { medium } => events.push(EngineEvent::AllBlocksCleared { medium }),
    })?;
    Ok((events, envelope))
}

/// Both ways give the same, errors included.
pub(crate) fn compare(bytes: &[u8], limits: &Limits, spare: &mut Spare) {
    let collected = decode_batch(bytes, limits).map(|decoded| {
        let envelope = Envelope {
            timestamp: decoded.batch.timestamp,
            data_parallel_rank: decoded.batch.data_parallel_rank,
            errors: decoded.errors,
            unknown_fields: decoded.unknown_fields,
        };
        (decoded.batch.events, envelope)
    });
    match (visited(bytes, limits, spare), collected) {
        // As text: a timestamp that is no number equals nothing.
        (Err(visited), Err(collected)) => {
            assert_eq!(format!("{visited:?}"), format!("{collected:?}"));
        }
        (visited, collected) => assert_eq!(visited, collected),
    }
}

fn number() -> impl Strategy<Value = (u32, Value)> {
    let wide = |shift: u32| any::<u32>().prop_map(move |number| number >> shift);
    let number = prop_oneof![wide(0), wide(8), wide(16), wide(24), wide(26)];
    number.prop_flat_map(|number| {
        let unsigned = Value::Unsigned(u64::from(number));
        let signed = Value::Wide(i64::from(number));
        prop_oneof![4 => Just((number, unsigned)), 1 => Just((number, signed))]
    })
}

proptest! {
    #[test]
    fn token_ids_of_all_widths_stay_what_they_are(numbers in vec(number(), 0..200)) {
        let (expected, values): (Vec<u32>, Vec<Value>) = numbers.into_iter().unzip();
        let bytes = payload(vec![stored_with("token_ids", Value::Array(values))]);
        let decoded = decode_batch(&bytes, &Limits::default()).unwrap();
        let [EngineEvent::BlockStored(stored)] = &decoded.batch.events[..] else {
            panic!("expected one store, got {:?}", decoded.batch.events);
        };
        prop_assert_eq!(&stored.token_ids, &expected);
    }

    #[test]
    fn one_message_leaves_nothing_in_the_next(
        tokens in vec(vec(any::<u32>(), 0..40), 1..6),
        cut in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut spare = Spare::default();
        for tokens in tokens {
            let ids: Vec<u64> = tokens.iter().copied().map(u64::from).collect();
            let event = || stored_with("token_ids", Value::numbers(&ids));
            let mut bytes = payload(vec![event(), event()]);
            compare(&bytes, &Limits::DEFAULT, &mut spare);
            let at = cut.index(bytes.len());
            bytes[at] = byte;
            compare(&bytes, &Limits::DEFAULT, &mut spare);
            bytes.truncate(at);
            compare(&bytes, &Limits::DEFAULT, &mut spare);
        }
    }
}

#[test]
fn of_two_lists_of_events_the_later_counts_in_both_ways() {
    let cleared = || Value::Array(vec![Value::Array(vec![Value::text("AllBlocksCleared")])]);
    let batch = Value::Map(vec![
        (Value::text("ts"), Value::Unsigned(1)),
        (Value::text("events"), cleared()),
        (Value::text("events"), Value::Array(vec![])),
    ]);
    let bytes = batch.encode();
    compare(&bytes, &Limits::DEFAULT, &mut Spare::default());
    let limits = Limits::default();
    let (events, _) = visited(&bytes, &limits, &mut Spare::default()).unwrap();
    assert!(events.is_empty());
}
