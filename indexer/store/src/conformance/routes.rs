//! Cases about routes: what is known of caches from where requests were sent.

use std::time::{Duration, Instant};

use proto_model::{BlockKey, Command, RouteKind, RouteRecorded, Source, Timestamp};

use super::make::{batch, events, keys, message, one, publisher, removed, route, stored};
use super::patient::append;
use super::reader::Reader;
use crate::seam::{IndexWatch, IndexWriter};
use crate::stamp::clock;

/// How many keys the publisher is said to have, by events, by routes that events
/// will confirm, and by routes alone.
fn held(reader: &Reader, number: u32) -> [usize; 3] {
    let sources = [Source::Confirmed, Source::Speculative, Source::Estimated];
    sources.map(|source| reader.replica.held_from(&publisher(number), source).len())
}

fn one_route(number: u32, kind: RouteKind, keys: &[BlockKey]) -> Command {
    Command::RouteRecorded(route(&publisher(number), kind, keys))
}

/// Routes of both kinds are told beside what events told, also of an endpoint that
/// never says anything, to readers that are there and to those that come later.
pub async fn routes_are_seen_by_watchers(store: impl IndexWriter + IndexWatch) {
    let mut live = Reader::new(&store);
    let first = append(&store, &one(1, 0, 1, 1)).await;
    live.follow(&store, first.revision).await;
    let prompt = keys(&[1, 2, 3]);
    let commands = vec![
        one_route(1, RouteKind::Speculative, &prompt),
        one_route(2, RouteKind::Estimated, &prompt),
        one_route(2, RouteKind::Speculative, &prompt[..2]),
    ];
    let routed = append(&store, &batch(commands)).await;
    assert!(
        routed
            .outcomes
            .iter()
            .all(|outcome| outcome.refused.is_none())
    );
    assert!(routed.revision > first.revision);
    let mut late = Reader::new(&store);
    for reader in [&mut live, &mut late] {
        reader.follow(&store, routed.revision).await;
        assert_eq!((held(reader, 1), held(reader, 2)), ([1, 3, 0], [0, 2, 3]));
        assert_eq!(reader.replica.status(&publisher(2)), None);
    }
    assert_eq!(live.replica, late.replica);
}

/// A route that is recorded again, or a sweep that is made again, changes nothing.
pub async fn a_route_recorded_again_changes_nothing(store: impl IndexWriter + IndexWatch) {
    let mut reader = Reader::new(&store);
    let commands = vec![
        one_route(1, RouteKind::Speculative, &keys(&[1, 2, 3])),
        one_route(1, RouteKind::Estimated, &keys(&[1, 2, 3])),
        Command::Expire {
            until: Timestamp(1_500),
        },
    ];
    let routed = batch(commands);
    let first = append(&store, &routed).await.revision;
    reader.follow(&store, first).await;
    let before = reader.replica.clone();
    let again = append(&store, &routed).await.revision;
    reader.follow(&store, again).await;
    assert_eq!(reader.replica, before);
    assert_eq!(held(&reader, 1), [0, 3, 3]);
}

/// A table of routes has the capacity that the latest route names; what was used
/// least recently goes first, and of one prompt its tail.
pub async fn the_least_recently_used_routes_go_first(store: impl IndexWriter + IndexWatch) {
    let (old, new) = (keys(&[1, 2, 3]), keys(&[4, 5, 6]));
    let estimated = |keys: &[BlockKey]| {
        let route = route(&publisher(1), RouteKind::Estimated, keys);
        Command::RouteRecorded(RouteRecorded {
            capacity: 4,
            ..route
        })
    };
    let mut reader = Reader::new(&store);
    let mut last = None;
    for prompt in [&old, &new] {
        let appended = append(&store, &batch(vec![estimated(prompt)])).await;
        reader.follow(&store, appended.revision).await;
        last = Some(appended.revision);
    }
    let held = |reader: &Reader| {
        let held = reader.replica.held_from(&publisher(1), Source::Estimated);
        held.iter().map(|(_, key)| *key).collect::<Vec<_>>()
    };
    let mut expected = [&old[..1], &new[..]].concat();
    expected.sort_unstable();
    assert_eq!(held(&reader), expected);
    let mut late = Reader::new(&store);
    late.follow(&store, last.expect("appended")).await;
    assert_eq!(held(&late), expected);
}

/// Routes count until their time, by the clock of those who record them, and
/// estimates as long as there is room.
pub async fn routes_expire_when_they_are_told_to(store: impl IndexWriter + IndexWatch) {
    let expire = |until| {
        batch(vec![Command::Expire {
            until: Timestamp(until),
        }])
    };
    let prompt = keys(&[1, 2, 3]);
    let later = RouteRecorded {
        expires_at: Some(Timestamp(3_000)),
        ..route(&publisher(1), RouteKind::Speculative, &prompt[..1])
    };
    let commands = vec![
        one_route(1, RouteKind::Speculative, &prompt),
        one_route(2, RouteKind::Estimated, &prompt),
        Command::RouteRecorded(later),
    ];
    append(&store, &batch(commands)).await;
    let mut reader = Reader::new(&store);
    for (until, left) in [(1_999, 3), (2_000, 1), (2_000, 1), (3_000, 0)] {
        let revision = append(&store, &expire(until)).await.revision;
        reader.follow(&store, revision).await;
        let found = (held(&reader, 1), held(&reader, 2));
        assert_eq!(found, ([0, left, 0], [0, 0, 3]), "until {until}");
    }
    let mut fresh = Reader::new(&store);
    fresh.follow(&store, reader.at.expect("a place")).await;
    assert_eq!(fresh.replica, reader.replica);
}

/// Times that a batch leaves to the store are those of the store's clock, which all
/// writers share.
pub async fn routes_expire_by_the_stores_clock(store: impl IndexWriter + IndexWatch) {
    const MINUTE: u64 = 60_000_000;
    let lasting = |number, micros| {
        Command::RouteRecorded(RouteRecorded {
            recorded_at: RouteRecorded::BY_STORE,
            expires_at: Some(Timestamp(micros)),
            ..route(&publisher(number), RouteKind::Estimated, &keys(&[1, 2]))
        })
    };
    let expire = |until| batch(vec![Command::Expire { until }]);
    append(&store, &batch(vec![lasting(1, 60 * MINUTE), lasting(2, 1)])).await;
    let mut reader = Reader::new(&store);
    let begun = Instant::now();
    loop {
        let swept = append(&store, &expire(RouteRecorded::BY_STORE)).await;
        reader.follow(&store, swept.revision).await;
        if held(&reader, 2) == [0, 0, 0] {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "never expires");
    }
    // The clock is that of this machine, since the store runs here.
    for (minutes, left) in [(30, 2), (90, 0)] {
        let until = Timestamp(clock().0 + minutes * MINUTE);
        let swept = append(&store, &expire(until)).await;
        reader.follow(&store, swept.revision).await;
        assert_eq!(held(&reader, 1), [0, 0, left], "in {minutes} minutes");
    }
}

/// A block that the engine gave up is not claimed by a route that was recorded
/// before; a new incarnation, and the endpoint's removal, end all routes.
pub async fn what_events_end_no_route_claims(store: impl IndexWriter + IndexWatch) {
    let prompt = keys(&[1, 2, 3]);
    let hold = message(0, 1, vec![stored(None, &[1, 2, 3])]);
    let give_up = message(1, 2, vec![removed(&[3])]);
    let routes = |number| {
        [RouteKind::Speculative, RouteKind::Estimated]
            .map(|kind| one_route(number, kind, &prompt))
            .to_vec()
    };
    let [first, silent] = [1, 2].map(publisher);
    let mut reader = Reader::new(&store);
    let steps = [
        (vec![events(&first, vec![hold])], [3, 0, 0], [0, 0, 0]),
        (routes(1), [3, 3, 3], [0, 0, 0]),
        (routes(2), [3, 3, 3], [0, 3, 3]),
        (vec![events(&first, vec![give_up])], [2, 2, 3], [0, 3, 3]),
        (one(1, 0, 5_000_000, 9).commands, [1, 0, 0], [0, 3, 3]),
        (routes(1), [1, 3, 3], [0, 3, 3]),
        (
            vec![Command::EndpointRemoved {
                endpoint: silent.endpoint,
                rank: None,
            }],
            [1, 3, 3],
            [0, 0, 0],
        ),
        (
            vec![Command::EndpointRemoved {
                endpoint: first.endpoint,
                rank: None,
            }],
            [0, 0, 0],
            [0, 0, 0],
        ),
    ];
    for (at, (commands, one, two)) in steps.into_iter().enumerate() {
        let revision = append(&store, &batch(commands)).await.revision;
        reader.follow(&store, revision).await;
        assert_eq!(
            (held(&reader, 1), held(&reader, 2)),
            (one, two),
            "step {at}"
        );
        let mut fresh = Reader::new(&store);
        fresh.follow(&store, revision).await;
        assert_eq!(fresh.replica, reader.replica, "step {at}");
    }
}
