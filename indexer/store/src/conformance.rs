//! One suite for every store: what the seams promise, as tests.
//!
//! An implementation calls [`conformance_suite!`](crate::conformance_suite) in a
//! test file of its own with an async function that makes an empty store:
//!
//! ```ignore
//! async fn make(setup: Setup) -> MyStore { ... }
//! indexer_store::conformance_suite!(make);
//! ```
//!
//! Each case gets a store of its own. A case fails by panicking.

mod appends;
mod concurrent;
mod edges;
mod fleet;
mod ingestor;
mod ingestors;
mod make;
mod patient;
mod random;
mod reader;
mod readers;
mod replica;
mod routes;
mod watches;
mod workload;

pub use appends::{
    a_batch_appended_again_changes_nothing, a_gap_is_reported_and_filled,
    a_restart_ends_what_was_held, a_too_large_batch_changes_nothing, outcomes_follow_commands,
    removed_endpoints_are_forgotten, revisions_grow_with_every_append,
};
pub use concurrent::{
    a_reader_that_sleeps_delays_nobody, readers_under_load_see_every_revision_as_it_was,
    several_writers_of_one_stream_are_one,
};
pub use edges::{
    a_batch_near_the_limit_arrives_whole, a_gap_given_up_is_told, a_reset_happens_once,
    parked_blocks_come_with_their_parent,
};
pub use ingestors::{
    endpoints_removed_under_load_leave_the_others, gaps_given_up_by_several_ingestors_count_once,
    overlapping_ingestors_are_one, revisions_of_concurrent_writers_are_unique,
};
pub use readers::{snapshots_under_load_are_of_one_moment, watches_resumed_from_everywhere_meet};
pub use routes::{
    a_route_recorded_again_changes_nothing, routes_are_seen_by_watchers,
    routes_expire_by_the_stores_clock, routes_expire_when_they_are_told_to,
    the_least_recently_used_routes_go_first, what_events_end_no_route_claims,
};
pub use watches::{
    a_resumed_watch_gets_only_what_is_new, a_watch_from_beyond_the_end_starts_anew,
    a_watch_from_nothing_gets_a_snapshot, an_idle_watch_says_that_it_is_alive,
    too_old_a_place_gets_a_snapshot,
};

/// What a case needs of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Nothing special; the history reaches back over everything in the case.
    Plain,
    /// The history is short: some hundred small batches push out the first.
    ShortHistory,
}

/// Runs every case on stores made by an `async fn(Setup) -> impl IndexWriter +
/// IndexWatch`. The calling crate needs `tokio` with its macros.
#[macro_export]
macro_rules! conformance_suite {
    ($make:path) => {
        $crate::conformance_suite!(
            @cases $make,
            Plain: [
                outcomes_follow_commands,
                revisions_grow_with_every_append,
                a_batch_appended_again_changes_nothing,
                a_gap_is_reported_and_filled,
                a_restart_ends_what_was_held,
                a_too_large_batch_changes_nothing,
                removed_endpoints_are_forgotten,
                a_watch_from_nothing_gets_a_snapshot,
                a_resumed_watch_gets_only_what_is_new,
                a_watch_from_beyond_the_end_starts_anew,
                an_idle_watch_says_that_it_is_alive,
                several_writers_of_one_stream_are_one,
                readers_under_load_see_every_revision_as_it_was,
                a_batch_near_the_limit_arrives_whole,
                a_reset_happens_once,
                a_gap_given_up_is_told,
                parked_blocks_come_with_their_parent,
                overlapping_ingestors_are_one,
                gaps_given_up_by_several_ingestors_count_once,
                revisions_of_concurrent_writers_are_unique,
                endpoints_removed_under_load_leave_the_others,
                snapshots_under_load_are_of_one_moment,
                watches_resumed_from_everywhere_meet,
                routes_are_seen_by_watchers,
                a_route_recorded_again_changes_nothing,
                the_least_recently_used_routes_go_first,
                routes_expire_by_the_stores_clock,
                routes_expire_when_they_are_told_to,
                what_events_end_no_route_claims,
            ],
            ShortHistory: [
                too_old_a_place_gets_a_snapshot,
                a_reader_that_sleeps_delays_nobody,
            ]
        );
    };
    (@cases $make:path, $($setup:ident: [$($case:ident,)*]),*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let store = $make($crate::conformance::Setup::$setup).await;
                $crate::conformance::$case(store).await;
            }
        )*)*
    };
}
