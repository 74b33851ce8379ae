//! Checks, in tests, that the writer's books and the shared parts agree.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use hashbrown::HashMap;

use crate::lanes;
use crate::page::PAGE;
use crate::set_id::{SetId, SetView};
use crate::shared::Core;

/// Goes through all slots and the table. Returns blocks, and living memberships
/// by holder slot.
pub(crate) fn audit(core: &Core) -> (usize, HashMap<u32, u64>) {
    let (mut blocks, mut references, mut memberships) = (0, HashMap::new(), HashMap::new());
    for (number, page) in core.pages.iter().enumerate() {
        let Some(page) = page.get() else { continue };
        page.audit(&core.shares);
        for offset in 0..PAGE {
            let set = page.set(offset);
            if set == SetId::EMPTY {
                continue;
            }
            blocks += 1;
            let found = core
                .find(page.key(offset))
                .expect("whole")
                .expect("in the table");
            assert!(
                std::ptr::eq(found.page, &**page) && found.offset == offset,
                "page {number}"
            );
            *references.entry(set).or_insert(0_u64) += 1;
        }
    }
    for (set, count) in &references {
        let lanes = match set.view() {
            SetView::Empty => Vec::new(),
            SetView::One { slot, media } => lanes::lone(slot, media).collect(),
            SetView::Record(record) => {
                let lanes = core.lanes(record).expect("exists");
                let header = header(core, record);
                assert_eq!(header >> 16, *count, "references to {record}");
                lanes
                    .iter()
                    .map(|lane| lane.load(Ordering::Relaxed))
                    .collect()
            }
        };
        assert!(lanes.is_sorted_by(|a, b| lanes::head(*a) < lanes::head(*b)));
        assert!(lanes.iter().all(|lane| lane & lanes::SLOTS != 0));
        for slot in lanes.into_iter().flat_map(lanes::members) {
            if core.holder(slot).is_some() {
                *memberships.entry(slot).or_default() += count;
            }
        }
    }
    let entries: usize = core.table.iter().map(|table| table.taken().count()).sum();
    assert_eq!(entries, blocks, "every entry has a block");
    (blocks, memberships)
}

fn header(core: &Core, record: u32) -> u64 {
    use crate::shared::SET_PAGE;
    let page = core
        .set_pages
        .get(record as usize / SET_PAGE)
        .and_then(OnceLock::get);
    page.expect("exists").0[record as usize % SET_PAGE].load(Ordering::Relaxed)
}
