//! Every way in which a request can be wrong is told by its field.

use proto_api::v1::block_keys::Form;
use proto_api::v1::score_request::Input as WireInput;
use proto_api::v1::{BlockKeys, MediaItem, MediumWeights, ScoreRequest, TokenIds};
use proto_api::{Failure, FailureKind, Input, InvalidQuery, ScoreQuery, limits};

fn good() -> ScoreRequest {
    ScoreRequest {
        model: "m".to_owned(),
        input: Some(WireInput::Tokens(TokenIds { ids: vec![1, 2, 3] })),
        ..Default::default()
    }
}

fn keys(change: impl FnOnce(&mut BlockKeys)) -> Option<WireInput> {
    let mut keys = BlockKeys {
        values: vec![1, 2],
        block_size: 16,
        form: Form::Rolling.into(),
        prompt_tokens: 0,
    };
    change(&mut keys);
    Some(WireInput::Keys(keys))
}

fn item(identifier: &str, offset: u32, length: u32) -> MediaItem {
    MediaItem {
        identifier: identifier.to_owned(),
        offset,
        length,
    }
}

#[test]
fn every_wrong_field_is_named() {
    let long = |bytes: usize| "x".repeat(bytes + 1);
    let weight = |gpu| {
        Some(MediumWeights {
            gpu: Some(gpu),
            ..Default::default()
        })
    };
    let text = |text: String| Some(WireInput::Text(text));
    let salt = Some("s".to_owned());
    let cases: Vec<(&str, FailureKind, ScoreRequest)> = {
        use FailureKind::{InvalidArgument as Invalid, TooLarge};
        vec![
            (
                "request_id",
                Invalid,
                ScoreRequest {
                    request_id: long(limits::REQUEST_ID_BYTES),
                    ..good()
                },
            ),
            (
                "model",
                Invalid,
                ScoreRequest {
                    model: String::new(),
                    ..good()
                },
            ),
            (
                "model",
                Invalid,
                ScoreRequest {
                    model: long(limits::NAME_BYTES),
                    ..good()
                },
            ),
            (
                "lora",
                Invalid,
                ScoreRequest {
                    lora: Some(String::new()),
                    ..good()
                },
            ),
            (
                "lora",
                Invalid,
                ScoreRequest {
                    lora: Some(long(limits::NAME_BYTES)),
                    ..good()
                },
            ),
            (
                "input",
                Invalid,
                ScoreRequest {
                    input: None,
                    ..good()
                },
            ),
            (
                "text",
                Invalid,
                ScoreRequest {
                    input: text(String::new()),
                    ..good()
                },
            ),
            (
                "text",
                TooLarge,
                ScoreRequest {
                    input: text(long(limits::PROMPT_BYTES)),
                    ..good()
                },
            ),
            (
                "chat",
                Invalid,
                ScoreRequest {
                    input: Some(WireInput::Chat("".into())),
                    ..good()
                },
            ),
            (
                "completion",
                TooLarge,
                ScoreRequest {
                    input: Some(WireInput::Completion(long(limits::PROMPT_BYTES).into())),
                    ..good()
                },
            ),
            (
                "tokens",
                TooLarge,
                ScoreRequest {
                    input: Some(WireInput::Tokens(TokenIds {
                        ids: vec![0; limits::TOKENS + 1],
                    })),
                    ..good()
                },
            ),
            (
                "token_ids_le",
                Invalid,
                ScoreRequest {
                    input: Some(WireInput::dense(&[])),
                    ..good()
                },
            ),
            (
                "token_ids_le",
                Invalid,
                ScoreRequest {
                    input: Some(WireInput::TokenIdsLe(vec![1, 0, 0, 0, 2].into())),
                    ..good()
                },
            ),
            (
                "token_ids_le",
                TooLarge,
                ScoreRequest {
                    input: Some(WireInput::dense(&vec![0; limits::TOKENS + 1])),
                    ..good()
                },
            ),
            (
                "keys",
                Invalid,
                ScoreRequest {
                    input: keys(|k| k.values.clear()),
                    ..good()
                },
            ),
            (
                "keys.form",
                Invalid,
                ScoreRequest {
                    input: keys(|k| k.form = 0),
                    ..good()
                },
            ),
            (
                "keys.form",
                Invalid,
                ScoreRequest {
                    input: keys(|k| k.form = 9),
                    ..good()
                },
            ),
            (
                "keys.block_size",
                Invalid,
                ScoreRequest {
                    input: keys(|k| {
                        k.form = Form::Key.into();
                        k.block_size = 0;
                    }),
                    ..good()
                },
            ),
            (
                "keys.block_size",
                Invalid,
                ScoreRequest {
                    input: keys(|k| k.block_size = limits::BLOCK_SIZE + 1),
                    ..good()
                },
            ),
            (
                "keys.prompt_tokens",
                Invalid,
                ScoreRequest {
                    input: keys(|k| k.prompt_tokens = 31),
                    ..good()
                },
            ),
            (
                "cache_salt",
                Invalid,
                ScoreRequest {
                    cache_salt: Some(String::new()),
                    ..good()
                },
            ),
            (
                "cache_salt",
                Invalid,
                ScoreRequest {
                    cache_salt: Some(long(limits::SALT_BYTES)),
                    ..good()
                },
            ),
            (
                "cache_salt",
                Invalid,
                ScoreRequest {
                    cache_salt: salt,
                    input: keys(|_| {}),
                    ..good()
                },
            ),
            (
                "items",
                Invalid,
                ScoreRequest {
                    items: vec![item("a", 0, 1)],
                    input: text("t".into()),
                    ..good()
                },
            ),
            (
                "items",
                Invalid,
                ScoreRequest {
                    items: vec![item("a", 0, 1)],
                    input: keys(|_| {}),
                    ..good()
                },
            ),
            (
                "items",
                Invalid,
                ScoreRequest {
                    items: vec![item("", 0, 1)],
                    ..good()
                },
            ),
            (
                "items",
                Invalid,
                ScoreRequest {
                    items: vec![item("a", 0, 0)],
                    ..good()
                },
            ),
            (
                "items",
                Invalid,
                ScoreRequest {
                    items: vec![item("a", u32::MAX, 1)],
                    ..good()
                },
            ),
            (
                "items",
                TooLarge,
                ScoreRequest {
                    items: vec![item("a", 0, 1); limits::ITEMS + 1],
                    ..good()
                },
            ),
            (
                "candidates",
                Invalid,
                ScoreRequest {
                    candidates: vec!["a b".to_owned()],
                    ..good()
                },
            ),
            (
                "candidates",
                TooLarge,
                ScoreRequest {
                    candidates: vec!["a".to_owned(); limits::CANDIDATES + 1],
                    ..good()
                },
            ),
            (
                "weights",
                Invalid,
                ScoreRequest {
                    weights: weight(1.5),
                    ..good()
                },
            ),
            (
                "weights",
                Invalid,
                ScoreRequest {
                    weights: weight(f64::NAN),
                    ..good()
                },
            ),
            (
                "limit",
                Invalid,
                ScoreRequest {
                    limit: u32::MAX,
                    ..good()
                },
            ),
        ]
    };
    for (field, kind, request) in cases {
        let error = ScoreQuery::try_from(request).expect_err(field);
        assert_eq!(
            field.split('.').next(),
            error.field().split('.').next(),
            "{error}"
        );
        let named = error.to_string();
        let failure = Failure::from(error);
        assert_eq!(failure.kind, kind, "{named}");
        assert_eq!(failure.message, named);
    }
}

#[test]
fn a_body_may_name_the_model() {
    let input = Some(WireInput::Chat("{}".into()));
    let request = ScoreRequest {
        model: String::new(),
        input,
        ..good()
    };
    assert_eq!(
        ScoreQuery::try_from(request).map(|query| query.model),
        Ok(String::new())
    );
}

#[test]
fn a_not_with_keys_error_names_the_other_field() {
    let request = ScoreRequest {
        cache_salt: Some("s".to_owned()),
        input: keys(|_| {}),
        ..good()
    };
    assert_eq!(
        ScoreQuery::try_from(request),
        Err(InvalidQuery::NotWithKeys("cache_salt"))
    );
}

#[test]
fn items_are_sorted_by_place() {
    let request = ScoreRequest {
        items: vec![item("b", 9, 2), item("a", 1, 2)],
        ..good()
    };
    let query = ScoreQuery::try_from(request).expect("valid");
    assert_eq!(
        query
            .items
            .iter()
            .map(|item| item.offset)
            .collect::<Vec<_>>(),
        [1, 9]
    );
    assert!(matches!(query.input, Input::Tokens(_)));
}
