//! What is recorded of a decision, so that the next one knows of it.

use std::net::SocketAddr;
use std::time::Duration;

use proto_api::v1;
use router_discovery::Strategy;

use super::question::Known;
use super::stats::Mode;

/// Keys of one record; what lies behind is not told.
const KEYS: usize = 65_536;

/// What became of a record.
#[derive(Debug)]
pub(super) enum Record {
    /// To be sent.
    Route(v1::RecordRouteRequest),
    /// It would say nothing new, or nothing is to be recorded.
    Needless,
    /// It cannot be said under which name or in which keys.
    Unknown,
}

/// The record of a request that goes to `address`; takes the keys it needs.
pub(super) fn of(
    known: &mut Known,
    strategy: &Strategy,
    address: SocketAddr,
    cluster: Option<&str>,
    speculation: Duration,
) -> Record {
    let (kind, lifetime, capacity) = match (known.mode, strategy) {
        (Mode::Tracking, _) => (v1::RouteKind::Speculative, speculation, 0),
        (Mode::Estimated, Strategy::Estimated(rules)) => {
            (v1::RouteKind::Estimated, Duration::ZERO, rules.capacity)
        }
        _ => return Record::Needless,
    };
    let holding = known.holdings.of(address);
    // The engine chooses the rank by itself: nobody knows where the blocks will be.
    if holding.is_some_and(|h| h.ranked && h.best.reusable_tokens == 0)
        && known.mode == Mode::Tracking
    {
        return Record::Unknown;
    }
    let row = holding.map(|holding| holding.best);
    let place = match row {
        Some(row) => known
            .keys
            .iter()
            .position(|keys| keys.profile == row.profile && keys.block_size == row.block_size),
        None => (known.keys.len() == 1).then_some(0),
    };
    let (cluster, address, rank) = match row {
        Some(row) => (row.cluster.clone(), row.address.clone(), row.rank),
        None => (
            cluster.unwrap_or_default().to_owned(),
            address.to_string(),
            0,
        ),
    };
    let confirmed = row.map_or(0, |row| match row.speculative_tokens {
        0 => row.matched_blocks as usize,
        _ => 0,
    });
    let Some(place) = place else {
        // A prompt shorter than a block has no keys at all.
        return if known.keys.is_empty() {
            Record::Needless
        } else {
            Record::Unknown
        };
    };
    let mut keys = known.keys.swap_remove(place).keys;
    keys.truncate(KEYS);
    if keys.is_empty() || (kind == v1::RouteKind::Speculative && confirmed >= keys.len()) {
        return Record::Needless;
    }
    Record::Route(v1::RecordRouteRequest {
        cluster,
        address,
        rank,
        kind: kind.into(),
        keys,
        lifetime_ms: u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX),
        capacity,
    })
}
