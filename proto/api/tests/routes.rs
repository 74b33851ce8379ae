//! Requests about routes: what is right survives the wire, what is wrong is named.

use std::time::Duration;

use proto_api::v1::score_request::Input as WireInput;
use proto_api::v1::{self, RecordRouteRequest, RemoveEndpointRequest, RouteKind, ScoreRequest};
use proto_api::{
    Estimation, Failure, FailureKind, InvalidQuery, InvalidRoute, RecordRoute, RemoveEndpoint,
    RouteClaim, ScoreQuery, limits,
};
use proto_model::{BlockKey, EndpointError, Rank};

fn good() -> RecordRouteRequest {
    RecordRouteRequest {
        cluster: "east".to_owned(),
        address: "10.0.0.1:8000".to_owned(),
        rank: 3,
        kind: RouteKind::Speculative.into(),
        keys: vec![1, u64::MAX],
        lifetime_ms: 5000,
        capacity: 0,
    }
}

fn record(change: impl FnOnce(&mut RecordRouteRequest)) -> Result<RecordRoute, InvalidRoute> {
    let mut request = good();
    change(&mut request);
    request.try_into()
}

#[test]
fn a_route_survives_the_wire() {
    let route = record(|_| ()).expect("valid");
    assert_eq!(route.endpoint.cluster(), Some("east"));
    assert_eq!(route.endpoint.address(), "10.0.0.1:8000");
    assert_eq!(route.rank, Rank(3));
    assert_eq!(route.keys, [BlockKey(1), BlockKey(u64::MAX)]);
    let lifetime = Duration::from_secs(5);
    assert_eq!(route.claim, RouteClaim::Speculative { lifetime });
    assert_eq!(RecordRouteRequest::from(route), good());

    let estimated = record(|request| {
        request.cluster.clear();
        request.kind = RouteKind::Estimated.into();
        request.lifetime_ms = 0;
    });
    let estimated = estimated.expect("valid");
    assert_eq!(estimated.endpoint.cluster(), None);
    assert_eq!(estimated.claim, RouteClaim::Estimated { capacity: 31_250 });
    let again = RecordRoute::try_from(RecordRouteRequest::from(estimated.clone()));
    assert_eq!(again, Ok(estimated));
}

#[test]
fn every_wrong_field_of_a_route_is_named() {
    type Change = fn(&mut RecordRouteRequest);
    let estimated: Change = |request| request.kind = RouteKind::Estimated.into();
    let cases: [(&str, InvalidRoute, Change); 9] = [
        (
            "address",
            InvalidRoute::Endpoint(EndpointError::Empty { part: "address" }),
            |request| request.address.clear(),
        ),
        (
            "cluster",
            InvalidRoute::Endpoint(EndpointError::Character {
                part: "cluster",
                found: '/',
            }),
            |request| request.cluster = "a/b".to_owned(),
        ),
        ("kind", InvalidRoute::Kind(0), |request| request.kind = 0),
        ("kind", InvalidRoute::Kind(9), |request| request.kind = 9),
        ("keys", InvalidRoute::KeysEmpty, |request| {
            request.keys.clear();
        }),
        ("lifetime_ms", InvalidRoute::Lifetime(0), |request| {
            request.lifetime_ms = 0;
        }),
        ("lifetime_ms", InvalidRoute::Lifetime(60_001), |request| {
            request.lifetime_ms = 60_001;
        }),
        (
            "lifetime_ms",
            InvalidRoute::LifetimeOfEstimated(5000),
            estimated,
        ),
        ("capacity", InvalidRoute::Capacity(1 << 21), |request| {
            request.kind = RouteKind::Estimated.into();
            request.lifetime_ms = 0;
            request.capacity = 1 << 21;
        }),
    ];
    for (field, expected, change) in cases {
        let error = record(change).expect_err(field);
        assert_eq!((error.field(), &error), (field, &expected));
        assert_eq!(Failure::from(error).kind, FailureKind::InvalidArgument);
    }
    let many = record(|request| request.keys = vec![0; limits::ROUTE_KEYS + 1]);
    let failure = Failure::from(many.expect_err("too many"));
    assert_eq!(failure.kind, FailureKind::TooLarge);
    assert!(record(|request| request.keys = vec![0; limits::ROUTE_KEYS]).is_ok());
}

#[test]
fn a_removal_survives_the_wire() {
    for rank in [None, Some(2)] {
        let request = RemoveEndpointRequest {
            cluster: String::new(),
            address: "[fd00::1]:8000".to_owned(),
            rank,
        };
        let removed = RemoveEndpoint::try_from(request.clone()).expect("valid");
        assert_eq!(removed.rank, rank.map(Rank));
        assert_eq!(RemoveEndpointRequest::from(removed), request);
    }
    let nowhere = RemoveEndpoint::try_from(RemoveEndpointRequest::default());
    assert_eq!(nowhere.expect_err("no address").field(), "address");
}

fn estimating(
    input: WireInput,
    block_bytes: u32,
    max_blocks: u32,
) -> Result<ScoreQuery, InvalidQuery> {
    ScoreQuery::try_from(ScoreRequest {
        model: "m".to_owned(),
        input: Some(input),
        estimation: Some(v1::Estimation {
            block_bytes,
            max_blocks,
        }),
        include_route_keys: true,
        ..Default::default()
    })
}

#[test]
fn estimation_is_checked_and_survives_the_wire() {
    let text = || WireInput::Text("Hello".to_owned());
    let query = estimating(text(), 0, 0).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(query.estimation, Some(Estimation::default()));
    assert!(query.include_route_keys);
    let query = estimating(text(), 1, limits::TEXT_BLOCKS).unwrap_or_else(|e| panic!("{e}"));
    let again = ScoreRequest::from(query);
    let estimation = again.estimation.expect("kept");
    assert_eq!((estimation.block_bytes, estimation.max_blocks), (1, 16_384));
    assert!(again.include_route_keys);

    let tokens = WireInput::Tokens(v1::TokenIds { ids: vec![1] });
    let error = estimating(tokens, 0, 0).err();
    assert_eq!(error, Some(InvalidQuery::EstimationNotWith("tokens")));
    for (block_bytes, max_blocks, part) in [(65_537, 0, "block_bytes"), (0, 16_385, "max_blocks")] {
        let error = estimating(text(), block_bytes, max_blocks).err();
        let Some(InvalidQuery::Estimation { part: named, .. }) = error else {
            panic!("{part} is refused");
        };
        assert_eq!(named, part);
    }
    let with_tokens = ScoreQuery::try_from(ScoreRequest {
        model: "m".to_owned(),
        input: Some(text()),
        estimation: Some(v1::Estimation::default()),
        include_token_ids: true,
        ..Default::default()
    });
    assert_eq!(with_tokens.err(), Some(InvalidQuery::TokensWithEstimation));
}
