//! Names that are listed more than once.
//!
//! Private addresses repeat from cluster to cluster, so two stores, or two
//! clusters under one label, can list different engines by one name; or two
//! stores the same engine. Nobody can tell which. What one of them holds is never
//! added to what another one holds: the least of them is told, as `suspect`.
//!
//! Where at most one of the name is known by its events, the others are what
//! routes were recorded under before any event told the engine's own cluster: the
//! same engine, so the most of them is told.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use proto_model::{Publisher, Trust};

use super::Warnings;
use super::rows::Row;
use super::view::{Directories, Listed};

/// Leaves one row of every name.
pub(crate) fn settle(directories: &Directories<'_>, rows: &mut Vec<Row>, warnings: &mut Warnings) {
    let mut shared: BTreeMap<Arc<Publisher>, Listed> = BTreeMap::new();
    for row in &*rows {
        if shared.contains_key(&row.publisher) {
            continue;
        }
        let listed = directories.listed(&row.publisher);
        if listed.all > 1 {
            shared.insert(Arc::clone(&row.publisher), listed);
        }
    }
    if shared.is_empty() {
        return;
    }
    let mut doubtful = shared.iter().filter(|(_, listed)| listed.by_events > 1);
    let first = doubtful.next().map(|(name, _)| name.to_string());
    let more = doubtful.count();
    let (mut of_shared, mut others): (Vec<_>, Vec<_>) = std::mem::take(rows)
        .into_iter()
        .partition(|row| shared.contains_key(&row.publisher));
    of_shared.sort_by(|a, b| a.publisher.cmp(&b.publisher));
    for same in of_shared.chunk_by(|a, b| a.publisher == b.publisher) {
        let listed = shared.get(&same[0].publisher).copied().unwrap_or_default();
        others.extend(match listed.by_events {
            0 | 1 => most(same),
            by_events => least(same, by_events),
        });
    }
    *rows = others;
    if let Some(first) = first {
        warnings.push(format!(
            "{first} and {more} other names are listed by several stores, or by several clusters \
             of one; the least of what each of them holds is told. Give every store a cluster of \
             its own",
        ));
    }
}

/// What tells rows of one name apart.
fn worth(row: &Row) -> (f64, u32, u32) {
    (row.score, row.reusable_tokens(), row.matched_blocks())
}

fn by_worth(a: &&Row, b: &&Row) -> Ordering {
    worth(a).partial_cmp(&worth(b)).unwrap_or(Ordering::Equal)
}

/// The most of the rows of one name, all of which are one engine's. Its standing
/// is that of its events, if there are any.
fn most(same: &[Row]) -> Option<Row> {
    let mut row = same.iter().max_by(by_worth)?.clone();
    row.status = same.iter().find_map(|row| row.status);
    Some(row)
}

/// The least of the rows of one name, which `listed` publishers have.
fn least(same: &[Row], listed: usize) -> Option<Row> {
    let mut row = same.iter().min_by(by_worth)?.clone();
    if same.len() < listed {
        row.forget();
    }
    row.cap_trust(Trust::Suspect);
    Some(row)
}
