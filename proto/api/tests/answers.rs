//! Answers and changes survive the wire, and malformed ones are told.

use proto_api::{
    EndpointScore, InvalidAnswer, InvalidChange, KeyProfile, ReplicaState, RouteKeys, ScoreAnswer,
    StoreStanding, v1,
};
use proto_model::{
    BlockKey, Cursor, Delta, Endpoint, Extras, Holder, Incarnation, KeySpace, Medium, Profile,
    Publisher, PublisherStatus, Rank, Revision, Source, SpaceAnnounced, Timestamp, Trust,
};

fn publisher() -> Publisher {
    let endpoint = Endpoint::new("east", "10.0.0.1:8000").expect("valid");
    Publisher {
        endpoint,
        rank: Rank(3),
    }
}

fn answer() -> ScoreAnswer {
    ScoreAnswer {
        model: "m".to_owned(),
        lora: Some("a".to_owned()),
        prompt_tokens: Some(100),
        endpoints: vec![EndpointScore {
            publisher: publisher(),
            matched_blocks: 6,
            reusable_tokens: 80,
            by_medium: [48, 16, 16, 0],
            score: 0.7,
            trust: Trust::Partial,
            incarnation: Incarnation(2),
            block_size: 16,
            profile: KeyProfile::Engine,
            last_event: Timestamp(12),
            speculative_tokens: 32,
        }],
        revision: Revision(9),
        age_ms: 5,
        state: ReplicaState::Stale,
        stores: vec![StoreStanding {
            cluster: "east".to_owned(),
            revision: Revision(9),
            age_ms: 5,
            state: ReplicaState::Starting,
        }],
        warnings: vec!["w".to_owned()],
        unknown_candidates: vec!["10.0.0.9".to_owned()],
        token_ids: vec![1, 2, 3],
        route_keys: vec![RouteKeys {
            profile: KeyProfile::Text,
            block_size: 64,
            keys: vec![BlockKey(1), BlockKey(u64::MAX)],
        }],
        prompt_blocks: 7,
    }
}

#[test]
fn an_answer_survives_the_wire() {
    let response = answer().into_response("7".to_owned());
    assert_eq!(response.request_id, "7");
    assert_eq!(response.block_size, 16);
    assert_eq!(response.endpoints[0].matched_tokens, 96);
    assert_eq!(ScoreAnswer::try_from(response), Ok(answer()));
}

#[test]
fn different_block_sizes_are_not_summed_up() {
    let mut mixed = answer();
    mixed.endpoints.push(EndpointScore {
        block_size: 64,
        ..mixed.endpoints[0].clone()
    });
    assert_eq!(mixed.into_response(String::new()).block_size, 0);
}

#[test]
fn blocks_of_text_are_no_tokens() {
    let mut estimated = answer();
    estimated.endpoints[0].profile = KeyProfile::Text;
    let response = estimated.clone().into_response(String::new());
    assert_eq!(response.endpoints[0].matched_tokens, 0);
    assert_eq!(ScoreAnswer::try_from(response), Ok(estimated));
}

#[test]
fn malformed_answers_are_told() {
    let broken = |change: fn(&mut v1::ScoreResponse)| {
        let mut response = answer().into_response(String::new());
        change(&mut response);
        ScoreAnswer::try_from(response)
    };
    assert!(matches!(
        broken(|r| r.endpoints[0].address.clear()),
        Err(InvalidAnswer::Endpoint { index: 0, .. })
    ));
    assert_eq!(
        broken(|r| r.endpoints[0].by_medium = None),
        Err(InvalidAnswer::Missing("by_medium"))
    );
    assert_eq!(
        broken(|r| r.endpoints[0].score = 2.0),
        Err(InvalidAnswer::Score {
            index: 0,
            score: 2.0
        })
    );
    assert_eq!(
        broken(|r| r.route_keys[0].profile = 0),
        Err(InvalidAnswer::Unknown {
            field: "profile",
            value: 0
        })
    );
    for field in ["trust", "profile", "state"] {
        let result = match field {
            "trust" => broken(|r| r.endpoints[0].trust = 77),
            "profile" => broken(|r| r.endpoints[0].profile = 77),
            _ => broken(|r| r.state = 77),
        };
        assert_eq!(result, Err(InvalidAnswer::Unknown { field, value: 77 }));
    }
}

fn deltas() -> Vec<Delta> {
    let space = KeySpace {
        profile: Profile::Content,
        model: "m".to_owned(),
        lora: Some("a".to_owned()),
        block_size: 16,
        extras: Extras::Hidden,
    };
    let cursor = Cursor {
        incarnation: Incarnation(4),
        next: 5,
        timestamp: Timestamp(6),
        trust: Trust::Suspect,
    };
    let keys = vec![BlockKey(1), BlockKey(u64::MAX)];
    vec![
        Delta::HolderBegan {
            holder: Holder(1),
            publisher: publisher(),
            source: Source::Estimated,
        },
        Delta::HolderEnded { holder: Holder(1) },
        Delta::Stored {
            holder: Holder(2),
            medium: Medium::Remote,
            keys: keys.clone(),
        },
        Delta::Removed {
            holder: Holder(2),
            medium: Medium::Gpu,
            keys,
        },
        Delta::Status(PublisherStatus {
            publisher: publisher(),
            model: "m".to_owned(),
            cursor,
            parked: 7,
            lost: 8,
        }),
        Delta::Space(SpaceAnnounced {
            publisher: publisher(),
            space,
        }),
        Delta::PublisherRemoved {
            publisher: publisher(),
        },
    ]
}

#[test]
fn every_change_survives_the_wire() {
    for delta in deltas() {
        assert_eq!(Delta::try_from(v1::Delta::from(&delta)), Ok(delta));
    }
}

#[test]
fn malformed_changes_are_told() {
    use v1::delta::Change;
    assert_eq!(
        Delta::try_from(v1::Delta { change: None }),
        Err(InvalidChange::Missing("change"))
    );
    let began = v1::HolderBegan {
        holder: 1,
        publisher: None,
        source: v1::Source::Confirmed.into(),
    };
    let change = Some(Change::HolderBegan(began));
    assert_eq!(
        Delta::try_from(v1::Delta { change }),
        Err(InvalidChange::Missing("publisher"))
    );
    let stored = v1::BlocksChanged {
        holder: 1,
        medium: 9,
        keys: vec![],
    };
    let change = Some(Change::Stored(stored));
    assert_eq!(
        Delta::try_from(v1::Delta { change }),
        Err(InvalidChange::Unknown {
            field: "medium",
            value: 9
        })
    );
    let Some(Change::Space(mut space)) = v1::Delta::from(&deltas()[5]).change else {
        panic!("the sixth delta announces a space");
    };
    space.space.as_mut().expect("set").scope ^= 1;
    let change = Some(Change::Space(space));
    assert!(matches!(
        Delta::try_from(v1::Delta { change }),
        Err(InvalidChange::Scope { .. })
    ));
}
