//! Names that are listed more than once.
//!
//! Private addresses repeat from cluster to cluster, so two stores, or two
//! clusters under one label, can list different engines by one name; or two
//! stores the same engine. Nobody can tell which. What one of them holds is never
//! added to what another one holds: the least of them is told, as `suspect`.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto_model::{Publisher, Trust};

use super::Warnings;
use super::rows::Row;
use super::view::Directories;

/// Leaves one row of every name.
pub(crate) fn settle(directories: &Directories<'_>, rows: &mut Vec<Row>, warnings: &mut Warnings) {
    let mut shared: BTreeMap<Arc<Publisher>, usize> = BTreeMap::new();
    for row in &*rows {
        if shared.contains_key(&row.publisher) {
            continue;
        }
        let listed = directories.listed(&row.publisher);
        if listed > 1 {
            shared.insert(Arc::clone(&row.publisher), listed);
        }
    }
    let Some(first) = shared.keys().next().map(ToString::to_string) else {
        return;
    };
    let names = shared.len();
    let (mut of_shared, mut others): (Vec<_>, Vec<_>) = std::mem::take(rows)
        .into_iter()
        .partition(|row| shared.contains_key(&row.publisher));
    of_shared.sort_by(|a, b| a.publisher.cmp(&b.publisher));
    for same in of_shared.chunk_by(|a, b| a.publisher == b.publisher) {
        let listed = shared.get(&same[0].publisher).copied().unwrap_or(0);
        others.extend(least(same, listed));
    }
    *rows = others;
    warnings.push(format!(
        "{first} and {more} other names are listed by several stores, or by several clusters of \
         one; the least of what each of them holds is told. Give every store a cluster of its own",
        more = names - 1,
    ));
}

/// The least of the rows of one name, which `listed` publishers have.
fn least(same: &[Row], listed: usize) -> Option<Row> {
    let worth = |row: &Row| (row.score, row.reusable_tokens(), row.matched_blocks());
    let least = same.iter().min_by(|a, b| {
        let order = worth(a).partial_cmp(&worth(b));
        order.unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut row = least?.clone();
    if same.len() < listed {
        row.forget();
    }
    row.cap_trust(Trust::Suspect);
    Some(row)
}
