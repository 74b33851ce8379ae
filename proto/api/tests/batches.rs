//! Batches and their outcomes on the wire.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use proto_api::{AppendRequest, BatchProblem, InvalidBatch, limits, v1};
use proto_model::*;

/// Room for every batch of these tests.
const ROOM: usize = 1 << 24;

fn any_publisher() -> impl Strategy<Value = Publisher> {
    ("[a-z]{1,9}", "[0-9.]{1,20}", any::<u32>()).prop_map(|(cluster, address, rank)| Publisher {
        endpoint: Endpoint::new(&cluster, &address).expect("valid"),
        rank: Rank(rank),
    })
}

fn any_medium() -> impl Strategy<Value = Medium> {
    proptest::sample::select(Medium::ALL.to_vec())
}

fn any_hashes() -> impl Strategy<Value = Vec<EngineHash>> {
    proptest::collection::vec(any::<u64>().prop_map(EngineHash), 0..40)
}

fn any_change() -> impl Strategy<Value = Change> {
    let place = || (any::<u16>(), any_medium(), any::<u16>());
    let parent = proptest::option::of(any::<u64>().prop_map(EngineHash));
    prop_oneof![
        (place(), parent, any_hashes()).prop_map(|((space, medium, group), parent, hashes)| {
            let block = |hash: EngineHash| StoredBlock {
                hash,
                local: LocalHash(!hash.0),
            };
            Change::Stored {
                space,
                medium,
                group,
                parent,
                blocks: hashes.into_iter().map(block).collect(),
            }
        }),
        (place(), any_hashes()).prop_map(|((space, medium, group), hashes)| {
            Change::StoredByHash {
                medium,
                group,
                space,
                hashes,
            }
        }),
        (place(), any_hashes()).prop_map(|((_, medium, group), hashes)| Change::Removed {
            medium,
            group,
            hashes,
        }),
        proptest::option::of(any_medium()).prop_map(|medium| Change::Cleared { medium }),
        any::<u16>().prop_map(|group| Change::GroupExcluded { group }),
        Just(Change::Unreadable),
    ]
}

fn any_space() -> impl Strategy<Value = KeySpace> {
    let lora = proptest::option::of("[a-z#]{0,8}");
    (
        any::<bool>(),
        "\\PC{0,12}",
        lora,
        any::<u32>(),
        any::<bool>(),
    )
        .prop_map(|(content, model, lora, block_size, hidden)| KeySpace {
            profile: if content {
                Profile::Content
            } else {
                Profile::Engine
            },
            model,
            lora,
            block_size,
            extras: if hidden {
                Extras::Hidden
            } else {
                Extras::Published
            },
        })
}

fn any_message() -> impl Strategy<Value = Message> {
    let stream = proptest::option::of(any::<[u8; 16]>().prop_map(StreamId));
    let changes = proptest::collection::vec(any_change(), 0..5);
    (any::<u64>(), any::<u64>(), stream, changes).prop_map(|(sequence, at, stream, changes)| {
        Message {
            sequence,
            timestamp: Timestamp(at),
            stream,
            changes,
        }
    })
}

fn any_route() -> impl Strategy<Value = RouteRecorded> {
    let kind = proptest::sample::select(vec![RouteKind::Speculative, RouteKind::Estimated]);
    let keys = proptest::collection::vec(any::<u64>().prop_map(BlockKey), 0..40);
    let expires_at = proptest::option::of((1..=u64::MAX).prop_map(Timestamp));
    let numbers = (any::<u64>(), expires_at, any::<u32>());
    (any_publisher(), kind, numbers, keys).prop_map(
        |(publisher, kind, (recorded_at, expires_at, capacity), keys)| RouteRecorded {
            publisher,
            kind,
            recorded_at: Timestamp(recorded_at),
            expires_at,
            capacity,
            keys,
        },
    )
}

fn any_command() -> impl Strategy<Value = Command> {
    let spaces = proptest::collection::vec(any_space(), 0..3);
    let messages = proptest::collection::vec(any_message(), 0..4);
    let incarnation = || any::<u64>().prop_map(Incarnation);
    prop_oneof![
        4 => (any_publisher(), "\\PC{0,12}", spaces, messages).prop_map(
            |(publisher, model, spaces, messages)| Command::Events(EventsCommand {
                publisher, model, spaces, messages,
            })
        ),
        1 => (any_publisher(), proptest::option::of(incarnation()), any::<u64>()).prop_map(
            |(publisher, incarnation, next)| Command::Gap { publisher, incarnation, next }
        ),
        1 => (any_publisher(), incarnation()).prop_map(
            |(publisher, incarnation)| Command::Reset { publisher, incarnation }
        ),
        1 => (any_publisher(), any::<bool>()).prop_map(|(publisher, all)| {
            let rank = (!all).then_some(publisher.rank);
            Command::EndpointRemoved { endpoint: publisher.endpoint, rank }
        }),
        1 => any_route().prop_map(Command::RouteRecorded),
        1 => any::<u64>().prop_map(|until| Command::Expire { until: Timestamp(until) }),
    ]
}

fn any_batch() -> impl Strategy<Value = Batch> {
    proptest::collection::vec(any_command(), 0..5).prop_map(|commands| Batch { commands })
}

/// What the generated code makes of the bytes, written again by it: shortest
/// lengths, and fields in another order where it likes.
fn by_generated_code(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut written = Vec::new();
    while !rest.is_empty() {
        let (tag, _) = prost::encoding::decode_key(&mut rest).expect("a key");
        assert_eq!(tag, 1, "the only field");
        let command = v1::Command::decode_length_delimited(&mut rest).expect("a command");
        prost::encoding::message::encode(1, &command, &mut written);
    }
    written
}

proptest! {
    #[test]
    fn every_batch_survives_the_wire(batch in any_batch()) {
        let request = AppendRequest::of(&batch);
        prop_assert_eq!(request.batch(ROOM), Ok(batch.clone()));
        // Other languages read what is written here, and are read.
        let foreign = by_generated_code(&request.encode_to_vec());
        prop_assert_eq!(AppendRequest::from_bytes(foreign.into()).batch(ROOM), Ok(batch));
    }

    #[test]
    fn damaged_batches_never_panic_and_stay_in_bounds(
        batch in any_batch(), at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>(),
    ) {
        let mut bytes = AppendRequest::of(&batch).encode_to_vec();
        if !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut % (2 * bytes.len()));
        }
        let _ = AppendRequest::from_bytes(bytes.into()).batch(1 << 16);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = AppendRequest::from_bytes(bytes.into()).batch(1 << 16);
    }

    #[test]
    fn outcomes_survive_the_wire(
        numbers in any::<[u32; 3]>(), restarted in any::<bool>(), refused in 0..4_usize,
        gap in proptest::option::of(any::<(u64, u64)>()),
        cursor in proptest::option::of((any::<[u64; 3]>(), 0..4_usize)),
    ) {
        let trusts = [Trust::Estimated, Trust::Suspect, Trust::Partial, Trust::Exact];
        let outcome = Outcome {
            applied: numbers[0],
            duplicates: numbers[1],
            stale: numbers[2],
            restarted,
            gap: gap.map(|(expected, found)| SequenceGap { expected, found }),
            refused: [
                None,
                Some(Refusal::TooManyPublishers),
                Some(Refusal::BadSpace),
                Some(Refusal::TooManyRoutes),
            ][refused],
            cursor: cursor.map(|([incarnation, next, timestamp], trust)| Cursor {
                incarnation: Incarnation(incarnation),
                next,
                timestamp: Timestamp(timestamp),
                trust: trusts[trust],
            }),
        };
        let bytes = v1::AppendResponse::of(Revision(7), &[outcome]).encode_to_vec();
        let response = v1::AppendResponse::decode(bytes.as_slice()).expect("own encoding");
        prop_assert_eq!(response.read(1), Ok((Revision(7), vec![outcome])));
    }
}

fn one_run(hashes: usize) -> AppendRequest {
    let block = |hash: usize| StoredBlock {
        hash: EngineHash(hash as u64),
        local: LocalHash(hash as u64),
    };
    let change = Change::Stored {
        space: 0,
        medium: Medium::Gpu,
        group: 0,
        parent: None,
        blocks: (0..hashes).map(block).collect(),
    };
    let message = Message {
        sequence: 0,
        timestamp: Timestamp(1),
        stream: None,
        changes: vec![change],
    };
    let command = Command::Events(EventsCommand {
        publisher: Publisher {
            endpoint: Endpoint::new("c", "a").expect("valid"),
            rank: Rank(0),
        },
        model: "m".to_owned(),
        spaces: vec![],
        messages: vec![message],
    });
    AppendRequest::of(&Batch {
        commands: vec![command],
    })
}

#[test]
fn a_block_takes_sixteen_bytes() {
    let (few, many) = (one_run(1_000).len(), one_run(2_000).len());
    assert_eq!(many - few, 16_000);
}

#[test]
fn memory_is_bounded_before_it_is_taken() {
    let request = one_run(1_000);
    assert_eq!(
        request.batch(16_000),
        Err(InvalidBatch::TooLarge { limit: 16_000 })
    );
    assert!(request.batch(17_000).is_ok());
}

#[test]
fn lists_may_come_in_pieces_and_unknown_fields_are_passed_over() {
    // Stored{medium: GPU, hashes: [1, 2], locals: [3], hashes: 5 unpacked, ...}.
    let fixed = |value: u64| value.to_le_bytes();
    let mut stored = vec![0x10, 1, 0x2a, 16];
    stored.extend(fixed(1).into_iter().chain(fixed(2)));
    stored.extend([0x32, 8].into_iter().chain(fixed(3)));
    stored.extend([0x29].into_iter().chain(fixed(5)));
    stored.extend([0x31].into_iter().chain(fixed(6)));
    stored.extend([0x32, 8].into_iter().chain(fixed(7)));
    // Field 99, a varint, from a newer writer.
    stored.extend([0x98, 0x06, 0x01]);
    let nested = |tag: u8, body: &[u8]| {
        let mut bytes = vec![tag << 3 | 2, u8::try_from(body.len()).expect("short")];
        bytes.extend_from_slice(body);
        bytes
    };
    let publisher = nested(1, &[nested(1, b"c"), nested(2, b"a")].concat());
    let message = nested(4, &nested(4, &nested(1, &stored)));
    let bytes = nested(1, &nested(1, &[publisher, message].concat()));
    let batch = AppendRequest::from_bytes(Bytes::from(bytes)).batch(ROOM);
    let Command::Events(events) = &batch.expect("valid").commands[0] else {
        panic!("events were sent");
    };
    let Change::Stored { blocks, .. } = &events.messages[0].changes[0] else {
        panic!("a run was sent");
    };
    let pairs: Vec<_> = blocks.iter().map(|b| (b.hash.0, b.local.0)).collect();
    assert_eq!(pairs, [(1, 3), (2, 6), (5, 7)]);
}

#[test]
fn the_fault_is_told_with_its_place() {
    let request = one_run(3);
    let mut bytes = request.encode_to_vec();
    let end = bytes.len();
    // The packed locals claim to be there and are not a multiple of eight long.
    bytes.truncate(end - 1);
    let error = AppendRequest::from_bytes(bytes.into()).batch(ROOM);
    let error = error.expect_err("cut short");
    assert!(
        matches!(
            &error,
            InvalidBatch::Field { field, problem: BatchProblem::NotProtobuf(_) } if field == "batch"
        ),
        "{error}"
    );
    assert!(error.to_string().starts_with("batch: "), "{error}");
}

fn route(keys: usize) -> RouteRecorded {
    RouteRecorded {
        publisher: Publisher {
            endpoint: Endpoint::new("a", "b").expect("valid"),
            rank: Rank(0),
        },
        kind: RouteKind::Speculative,
        recorded_at: Timestamp(1),
        expires_at: Some(Timestamp(2)),
        capacity: 1,
        keys: (0..keys as u64).map(BlockKey).collect(),
    }
}

fn read_route(route: RouteRecorded) -> Result<RouteRecorded, InvalidBatch> {
    let commands = vec![Command::RouteRecorded(route)];
    let batch = AppendRequest::of(&Batch { commands }).batch(ROOM)?;
    match batch.commands.into_iter().next() {
        Some(Command::RouteRecorded(route)) => Ok(route),
        other => panic!("a route was sent, not {other:?}"),
    }
}

#[test]
fn a_route_has_a_bound() {
    let max = limits::ROUTE_KEYS;
    assert_eq!(read_route(route(max)), Ok(route(max)));
    let field = "commands[0].route_recorded.keys".to_owned();
    let found = max + 1;
    let problem = BatchProblem::TooMany { found, max };
    assert_eq!(
        read_route(route(found)),
        Err(InvalidBatch::Field { field, problem })
    );
}

#[test]
fn a_route_that_expired_at_the_beginning_of_time_does_not_become_one_for_ever() {
    let expired = RouteRecorded {
        expires_at: Some(Timestamp(0)),
        ..route(1)
    };
    let read = read_route(expired).expect("valid").expires_at;
    assert_eq!(read, Some(Timestamp(1)), "still before any time there is");
}

#[test]
fn a_route_says_of_what_kind_it_is() {
    let wire = v1::RouteRecorded {
        publisher: Some(v1::PublisherName {
            cluster: "a".to_owned(),
            address: "b".to_owned(),
            rank: 0,
        }),
        ..v1::RouteRecorded::default()
    };
    let command = v1::Command {
        command: Some(v1::command::Command::RouteRecorded(wire)),
    };
    let mut bytes = Vec::new();
    prost::encoding::message::encode(1, &command, &mut bytes);
    assert_eq!(
        AppendRequest::from_bytes(bytes.into()).batch(ROOM),
        Err(InvalidBatch::Field {
            field: "commands[0].route_recorded.kind".to_owned(),
            problem: BatchProblem::Unknown(0),
        })
    );
}
