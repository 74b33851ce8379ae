//! What is told of routes, and for how long they count.

use proto_model::*;

use super::*;

#[test]
fn a_route_has_a_holder_of_its_own_and_its_keys_come_in_order() {
    let mut bench = bench();
    let (outcome, deltas) = bench.apply(&speculative(1, &[9, 3, 5]));
    assert_eq!(outcome, Outcome::default());
    let holder = Holder(1);
    let expected = [
        Delta::HolderBegan {
            holder,
            publisher: publisher(0),
            source: Source::Speculative,
        },
        Delta::Stored {
            holder,
            medium: Medium::Gpu,
            keys: vec![BlockKey(9), BlockKey(3), BlockKey(5)],
        },
    ];
    assert_eq!(deltas, expected);
    let (_, again) = bench.apply(&speculative(1, &[9, 3, 5]));
    assert_eq!(again, []);
    let (_, more) = bench.apply(&speculative(2, &[9, 3, 5, 6]));
    let keys = vec![BlockKey(6)];
    let medium = Medium::Gpu;
    assert_eq!(
        more,
        [Delta::Stored {
            holder,
            medium,
            keys
        }]
    );
}

#[test]
fn tails_of_prompts_go_before_heads_and_old_prompts_before_new_ones() {
    let mut bench = bench();
    bench.apply(&estimated(5, &[1, 2, 3]));
    bench.apply(&estimated(5, &[11, 12, 13]));
    assert_eq!(bench.estimated(), [1, 2, 11, 12, 13]);
    bench.apply(&estimated(5, &[1]));
    bench.apply(&estimated(5, &[21, 22, 23]));
    assert_eq!(bench.estimated(), [1, 11, 21, 22, 23]);
    bench.apply(&estimated(2, &[22]));
    assert_eq!(
        bench.estimated(),
        [21, 22],
        "a smaller capacity counts at once"
    );
}

#[test]
fn of_a_prompt_longer_than_the_table_the_head_is_kept_and_the_rest_never_told() {
    let mut bench = bench();
    bench.apply(&estimated(3, &[7]));
    let (_, deltas) = bench.apply(&estimated(3, &[1, 2, 3, 4, 5, 4]));
    assert_eq!(bench.estimated(), [1, 2, 3]);
    let told: usize = deltas.iter().map(keys_of).sum();
    assert_eq!(told, 4, "one removed, three stored: {deltas:?}");
    bench.apply(&estimated(0, &[8, 9]));
    assert_eq!(bench.estimated(), [8], "no capacity is a capacity of one");
}

#[test]
fn a_key_expires_with_the_last_route_that_names_it() {
    let mut bench = bench();
    bench.apply(&speculative(10, &[1, 2]));
    bench.apply(&speculative(50, &[1, 3]));
    bench.apply(&speculative(20, &[1]));
    bench.apply(&expire(109));
    assert_eq!(bench.speculative(), [1, 2, 3]);
    bench.apply(&expire(110));
    assert_eq!(bench.speculative(), [1, 3]);
    let (_, again) = bench.apply(&expire(110));
    assert_eq!(again, []);
    bench.apply(&speculative(150, &[4]));
    assert_eq!(bench.speculative(), [4], "a route sweeps its own table");
}

/// How a table came to hold its keys must not show: a restored one would differ.
#[test]
fn keys_that_expire_together_are_told_in_ascending_order() {
    let mut bench = bench();
    bench.apply(&speculative(1, &[9, 3, 5, 7]));
    let (_, deltas) = bench.apply(&expire(101));
    let (holder, medium) = (Holder(1), Medium::Gpu);
    let keys = [3, 5, 7, 9].map(BlockKey).to_vec();
    assert_eq!(
        deltas,
        [Delta::Removed {
            holder,
            medium,
            keys
        }]
    );
}

#[test]
fn what_never_expires_is_not_made_to() {
    let mut bench = bench();
    bench.apply(&estimated(9, &[1]));
    bench.apply(&Command::RouteRecorded(route(
        RouteKind::Estimated,
        1,
        Some(5),
        &[1, 2],
    )));
    bench.apply(&expire(u64::MAX));
    assert_eq!(bench.estimated(), [1]);
}

#[test]
fn a_route_that_says_nothing_changes_nothing() {
    let mut bench = bench();
    let over = route(RouteKind::Speculative, 5, Some(5), &[1]);
    let empty = route(RouteKind::Estimated, 5, None, &[]);
    for route in [over, empty] {
        let (outcome, deltas) = bench.apply(&Command::RouteRecorded(route));
        assert_eq!((outcome, deltas), (Outcome::default(), vec![]));
    }
    assert_eq!(bench.state.next_publisher(None), None);
}
