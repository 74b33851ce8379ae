//! The tables of routes of an image.

use proto_model::{Publisher, RouteKind};

use super::{RestoreError, check_count, range};
use crate::image::{RouteKeyImage, RouteTableImage};
use crate::routes::RouteTable;
use crate::state::State;

/// Takes the pieces that are about routes.
#[derive(Debug, Default)]
pub(super) struct RouteRestorer {
    /// Tables announced and found; `None` where none were announced.
    tables: Option<(u64, u64)>,
    open: Option<(RouteTableImage, RouteTable)>,
    last: Option<(Publisher, RouteKind)>,
}

impl RouteRestorer {
    /// Whether pieces about routes have come.
    pub(super) fn begun(&self) -> bool {
        self.tables.is_some()
    }

    pub(super) fn begin(&mut self, tables: u64) -> Result<(), RestoreError> {
        if self.begun() {
            return Err(out_of_order("Routes", "RouteTable"));
        }
        self.tables = Some((tables, 0));
        Ok(())
    }

    pub(super) fn open(
        &mut self,
        state: &mut State,
        image: RouteTableImage,
    ) -> Result<(), RestoreError> {
        self.close(state)?;
        let (_, found) = self
            .tables
            .as_mut()
            .ok_or_else(|| out_of_order("RouteTable", "Routes"))?;
        *found += 1;
        let place = (image.publisher.clone(), image.kind);
        if self.last.as_ref().is_some_and(|last| *last >= place) {
            return Err(RestoreError::Repeated {
                what: "a table of routes".to_owned(),
                publisher: image.publisher,
            });
        }
        let holders = u64::from(state.holders.next.saturating_sub(1));
        range(&image.publisher, "holder", image.holder.0.into(), holders)?;
        let mut table = RouteTable::new(image.holder);
        table.touched = image.touched;
        self.last = Some(place);
        self.open = Some((image, table));
        Ok(())
    }

    pub(super) fn keys(&mut self, keys: &[RouteKeyImage]) -> Result<(), RestoreError> {
        let (image, table) = self
            .open
            .as_mut()
            .ok_or_else(|| out_of_order("RouteKeys", "RouteTable"))?;
        for key in keys {
            let expires_at = key.expires_at.map(|at| at.0);
            if !table.keys.touch(key.key.0, expires_at) {
                return Err(RestoreError::Repeated {
                    what: format!("routed key {:016x}", key.key.0),
                    publisher: image.publisher.clone(),
                });
            }
            table.keys.tell(key.key.0);
        }
        Ok(())
    }

    pub(super) fn end(&mut self, state: &mut State) -> Result<(), RestoreError> {
        self.close(state)?;
        let (announced, found) = self.tables.unwrap_or_default();
        check_count("tables of routes", announced, found)
    }

    fn close(&mut self, state: &mut State) -> Result<(), RestoreError> {
        let Some((image, table)) = self.open.take() else {
            return Ok(());
        };
        check_count("routed keys", image.keys, table.keys.len() as u64)?;
        // Entries of events come before tables of routes.
        let by_events = state.publishers.contains_key(&image.publisher);
        let (publisher, kind) = (image.publisher, image.kind);
        state.routes.restore(publisher, by_events, kind, table);
        Ok(())
    }
}

fn out_of_order(seen: &'static str, expected: &'static str) -> RestoreError {
    RestoreError::Order { seen, expected }
}
