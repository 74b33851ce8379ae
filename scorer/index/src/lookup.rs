//! One walk along a prompt's keys.
//!
//! Blocks that were stored together lie side by side, so most steps compare
//! the next key in memory and find the same set id as before: no hashing and
//! no set work. Both are checked for every single block, because any holder
//! may have lost any block.

use std::sync::atomic::Ordering;

use proto_model::BlockKey;

use crate::set_id::SetId;
use crate::shared::{Core, Found, TOUCH, Torn};
use crate::survivors::Step;
use crate::{HolderFilter, Scratch};

/// After a run shorter than this, blocks are taken to lie here and there.
const SCATTERED: usize = 4;

/// Fills `scratch.matches`. What it holds after an error means nothing.
pub(crate) fn lookup(
    core: &Core,
    keys: &[BlockKey],
    scratch: &mut Scratch,
    candidates: Option<&HolderFilter>,
) -> Result<(), Torn> {
    scratch.matches.clear();
    let Some(mut found) = find_first(core, keys)? else {
        return Ok(());
    };
    let Scratch { matches, survivors } = scratch;
    survivors.begin(core, found.set, candidates)?;
    let (mut done, mut set, mut touched) = (1, found.set, 1);
    while done < keys.len() && !survivors.is_empty() {
        let run = same_set_run(found, set, &keys[done..]);
        found.offset += run.length;
        done += run.length;
        found.set = match run.next {
            Some(next) => {
                found.offset += 1;
                next
            }
            None if done == keys.len() => break,
            None => {
                if run.length < SCATTERED && done >= touched {
                    touched = keys.len().min(done + TOUCH);
                    core.touch(&keys[done..touched]);
                }
                let Some(elsewhere) = core.find(keys[done].0)? else {
                    break;
                };
                found = elsewhere;
                elsewhere.set
            }
        };
        if found.set != set {
            set = found.set;
            survivors.intersect(
                set,
                &mut Step {
                    core,
                    position: done as u32,
                    matches,
                },
            )?;
        }
        done += 1;
    }
    survivors.finish(&mut Step {
        core,
        position: done as u32,
        matches,
    });
    Ok(())
}

fn find_first<'a>(core: &'a Core, keys: &[BlockKey]) -> Result<Option<Found<'a>>, Torn> {
    keys.first().map_or(Ok(None), |key| core.find(key.0))
}

/// What follows a block in its page.
struct Run {
    /// Blocks that are the prompt's next ones and have the same set.
    length: usize,
    /// The set of the block after those, if that is the prompt's next, too.
    next: Option<SetId>,
}

fn same_set_run(found: Found<'_>, set: SetId, keys: &[BlockKey]) -> Run {
    let begin = found.offset + 1;
    let stored = found.page.sets[begin..]
        .iter()
        .zip(&found.page.keys[begin..]);
    let mut length = 0;
    for ((stored_set, stored_key), key) in stored.zip(keys) {
        // The set first: only then is the key surely the one that it belongs to.
        let next = SetId(stored_set.load(Ordering::Acquire));
        if stored_key.load(Ordering::Relaxed) != key.0 || next == SetId::EMPTY {
            break;
        }
        if next != set {
            return Run {
                length,
                next: Some(next),
            };
        }
        length += 1;
    }
    Run { length, next: None }
}
