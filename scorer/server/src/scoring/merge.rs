//! From what holders hold to what endpoints hold.
//!
//! One endpoint may have several holders, and match in several spaces. Within a
//! space, what events have told and what a routing decision lets expect make one
//! figure; of several spaces the one that is worth most is told.

use std::collections::HashMap;
use std::sync::Arc;

use proto_model::{KeySpace, Publisher, Source};

use super::held::Held;
use super::lookup::Found;
use crate::replica::{Directory, KnownPublisher};

/// The most that an endpoint holds.
#[derive(Debug, Clone)]
pub(super) struct Best<'a> {
    pub(super) known: &'a KnownPublisher,
    pub(super) space: Arc<KeySpace>,
    pub(super) held: Held,
}

/// What one endpoint's holders hold in one space.
#[derive(Debug, Clone, Copy)]
struct Pair<'a> {
    known: &'a KnownPublisher,
    confirmed: Option<&'a Found>,
    speculative: Option<&'a Found>,
}

/// What each endpoint holds, in no order.
/// `one_plan` says that no holder can have been found twice.
pub(super) fn best_of_each<'a>(
    directory: &'a Directory,
    found: &'a [Found],
    one_plan: bool,
) -> Vec<Best<'a>> {
    let told = |found: &'a Found| {
        let (known, source) = directory.holder(found.holder)?;
        (source != Source::Estimated).then_some((found, known, source))
    };
    let told: Vec<_> = found.iter().filter_map(told).collect();
    let confirmed = |(_, _, source): &(_, _, Source)| *source == Source::Confirmed;
    // Nearly always: one space, and nothing but events.
    if one_plan && told.iter().all(confirmed) {
        let best = |(found, known, _): (&'a Found, &'a KnownPublisher, Source)| Best {
            known,
            space: Arc::clone(&found.space),
            held: Held::of(Some(found), None),
        };
        return told.into_iter().map(best).collect();
    }
    best_of_spaces(pairs(told))
}

fn pairs<'a>(
    told: Vec<(&'a Found, &'a KnownPublisher, Source)>,
) -> HashMap<(*const Publisher, *const KeySpace), Pair<'a>> {
    let mut pairs = HashMap::with_capacity(told.len());
    for (found, known, source) in told {
        let place = (Arc::as_ptr(&known.name), Arc::as_ptr(&found.space));
        let pair = pairs.entry(place).or_insert(Pair {
            known,
            confirmed: None,
            speculative: None,
        });
        let best = match source {
            Source::Confirmed => &mut pair.confirmed,
            Source::Speculative | Source::Estimated => &mut pair.speculative,
        };
        if best.is_none_or(|best: &Found| best.worth() < found.worth()) {
            *best = Some(found);
        }
    }
    pairs
}

fn best_of_spaces<'a>(
    pairs: HashMap<(*const Publisher, *const KeySpace), Pair<'a>>,
) -> Vec<Best<'a>> {
    let mut best: HashMap<*const Publisher, Best<'a>> = HashMap::with_capacity(pairs.len());
    for ((publisher, _), pair) in pairs {
        let Some(space) = pair
            .confirmed
            .or(pair.speculative)
            .map(|found| &found.space)
        else {
            continue;
        };
        let held = Held::of(pair.confirmed, pair.speculative);
        let rank = |held: &Held, space: &KeySpace| (held.worth(space.block_size), space.scope().0);
        match best.get(&publisher) {
            // Of equals always the same, whatever the order here.
            Some(other) if rank(&other.held, &other.space) >= rank(&held, space) => {}
            _ => {
                let space = Arc::clone(space);
                let known = pair.known;
                best.insert(publisher, Best { known, space, held });
            }
        }
    }
    best.into_values().collect()
}
