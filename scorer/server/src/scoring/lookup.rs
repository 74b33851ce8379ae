//! From a prepared prompt to the best match of every holder.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use proto_model::{BlockKey, Holder, KeySpace};
use scorer_index::{HolderFilter, Match, PrefixIndex, Scratch};

use super::Warnings;
use super::keys::{Plan, Source};
use super::route_keys::RouteKeyLists;

/// Keys that a thread's working memory keeps room for between queries.
const KEPT_KEYS: usize = 64 * 1024;

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// Working memory of one thread, so that a query allocates little.
#[derive(Default)]
struct Workspace {
    keys: Vec<BlockKey>,
    scratch: Scratch,
}

impl Workspace {
    fn shrink(&mut self) {
        if self.keys.capacity() > KEPT_KEYS {
            self.keys = Vec::new();
        }
    }
}

/// What one holder holds of the prompt.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) holder: Holder,
    /// The space in which it matched.
    pub(crate) space: Arc<KeySpace>,
    /// All matched blocks, the prompt's last among them.
    pub(crate) full: Match,
    /// The matched blocks that the engine will reuse; `None` if there are none.
    pub(crate) reusable: Option<Match>,
}

impl Found {
    /// Blocks that the engine will not compute again.
    pub(crate) fn reusable_blocks(&self) -> u32 {
        self.reusable.map_or(0, |reusable| reusable.blocks)
    }

    /// What it is worth; the more the better.
    pub(super) fn worth(&self) -> (u64, u64) {
        let tokens = |blocks: u32| u64::from(blocks) * u64::from(self.space.block_size);
        (tokens(self.reusable_blocks()), tokens(self.full.blocks))
    }
}

/// One store's index, and who in it is asked about; `None`: everybody.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) index: &'a PrefixIndex,
    pub(crate) filter: Option<HolderFilter>,
}

/// Looks the prompt up under every plan in every index; its keys are computed
/// once, and given to `route_keys` where they are asked for. A holder that
/// matches under several plans is listed as often. Answers in the order of the
/// indexes.
pub(crate) fn lookup(
    asked: &[Asked<'_>],
    plans: &[Plan],
    source: &Source<'_>,
    mut route_keys: Option<&mut RouteKeyLists>,
    warnings: &mut Warnings,
) -> Vec<Vec<Found>> {
    WORKSPACE.with_borrow_mut(|workspace| {
        let mut found: Vec<Vec<Found>> = asked.iter().map(|_| Vec::new()).collect();
        for plan in plans {
            source.fill(plan, warnings, &mut workspace.keys);
            if let Some(lists) = &mut route_keys {
                lists.add(&plan.space, &workspace.keys);
            }
            for (asked, found) in asked.iter().zip(&mut found) {
                look(
                    asked,
                    plan,
                    source.prepared.prompt_tokens(),
                    workspace,
                    found,
                );
            }
        }
        workspace.shrink();
        found
    })
}

/// Looks ready-made keys up in every index. Answers in the order of the indexes.
pub(crate) fn lookup_keys(asked: &[Asked<'_>], keys: &[BlockKey]) -> Vec<Vec<Match>> {
    WORKSPACE.with_borrow_mut(|workspace| {
        let mut look = |asked: &Asked<'_>| {
            let index = asked.index;
            let found = index.lookup(keys, &mut workspace.scratch, asked.filter.as_ref());
            found.iter().collect()
        };
        asked.iter().map(&mut look).collect()
    })
}

/// One plan's matches. The engine always computes the prompt's last token, so
/// a block that ends with it is matched, but not reused.
fn look(
    asked: &Asked<'_>,
    plan: &Plan,
    prompt_tokens: Option<u32>,
    workspace: &mut Workspace,
    found: &mut Vec<Found>,
) {
    let (index, filter) = (asked.index, asked.filter.as_ref());
    let Workspace { keys, scratch } = workspace;
    let cap = match prompt_tokens {
        Some(tokens) => (tokens.saturating_sub(1) / plan.space.block_size.max(1)) as usize,
        None => keys.len(),
    };
    let first = found.len();
    for full in index.lookup(keys, scratch, filter).iter() {
        let space = Arc::clone(&plan.space);
        found.push(Found {
            holder: full.holder,
            space,
            full,
            reusable: Some(full),
        });
    }
    if keys.len() <= cap {
        return;
    }
    // Rare: the blocks cover the whole prompt. Which media the shorter prefix
    // lies on follows from a lookup of its own.
    let capped = index.lookup(&keys[..cap], scratch, filter);
    let capped: HashMap<Holder, Match> = capped.iter().map(|found| (found.holder, found)).collect();
    for found in &mut found[first..] {
        if found.full.blocks as usize > cap {
            found.reusable = capped.get(&found.holder).copied();
        }
    }
}
