//! Lets a test do the writer's part of a race between two of a reader's steps.

use std::cell::RefCell;
use std::sync::Arc;

use proto_model::{Medium, MediumSet};

use super::Core;
use crate::page::Page;
use crate::set_id::SetId;

type Action = Box<dyn FnOnce(&Core)>;

thread_local! {
    static NEXT: RefCell<Option<Action>> = const { RefCell::new(None) };
}

/// The next time that this thread's lookup has read an entry, does this first.
fn once(action: impl FnOnce(&Core) + 'static) {
    NEXT.set(Some(Box::new(action)));
}

/// The moment after an entry has been read and before its slot is.
pub(super) fn now(core: &Core) {
    if let Some(action) = NEXT.take() {
        action(core);
    }
}

#[test]
fn a_block_that_moves_between_entry_and_slot_is_followed() {
    let core = Core::new(7);
    assert!(core.pages[0].set(Arc::new(Page::new(&core.shares))).is_ok());
    let (key, set) = (42, SetId::one(3, MediumSet::EMPTY.with(Medium::Gpu)));
    let hash = core.hash(key);
    let put = move |core: &Core, slot: u32| {
        let (page, offset) = core.page(slot).expect("just set");
        page.put(offset, key, set, &core.shares);
    };
    put(&core, 10);
    let at = core.table[hash.sub].vacancy(hash.tag);
    core.table[hash.sub].insert(at, hash.tag, 10);
    once(move |core| {
        put(core, 20);
        core.table[hash.sub].set(at, hash.tag, 20);
        let (page, offset) = core.page(10).expect("just set");
        page.put_set(offset, SetId::EMPTY);
    });
    let found = core.find(key).expect("whole").expect("held all the time");
    assert_eq!((found.offset, found.set), (20, set));
}
