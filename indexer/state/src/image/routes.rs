//! The tables of routes in an image.

use proto_model::{BlockKey, Holder, Publisher, RouteKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ITEMS_PER_PIECE, ImagePiece};
use crate::routes::{RouteTable, Routes};

/// A table of routes without its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTableImage {
    /// Where requests were sent.
    pub publisher: Publisher,
    /// What that says.
    pub kind: RouteKind,
    /// What readers know the table by.
    pub holder: Holder,
    /// The newest time of a recorded route.
    pub touched: Timestamp,
    /// How many keys follow.
    pub keys: u64,
}

/// A key that a request was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteKeyImage {
    /// The key.
    pub key: BlockKey,
    /// When it expires; `None`: it stays as long as there is room.
    pub expires_at: Option<Timestamp>,
}

/// Goes through all tables.
#[derive(Debug)]
pub(super) struct RoutePieces<'a> {
    begun: bool,
    tables: std::vec::IntoIter<(&'a Publisher, RouteKind, &'a RouteTable)>,
    /// The table whose keys are coming, and the slot of the next one.
    open: Option<(&'a RouteTable, Option<u32>)>,
}

impl<'a> RoutePieces<'a> {
    pub(super) fn of(routes: &'a Routes) -> Self {
        let tables: Vec<_> = routes.tables().collect();
        Self {
            begun: false,
            tables: tables.into_iter(),
            open: None,
        }
    }
}

impl Iterator for RoutePieces<'_> {
    type Item = ImagePiece;

    fn next(&mut self) -> Option<ImagePiece> {
        let tables = self.tables.len() as u64;
        if !std::mem::replace(&mut self.begun, true) && tables > 0 {
            return Some(ImagePiece::Routes { tables });
        }
        if let Some((table, from)) = self.open.take() {
            let (page, next) = table.keys.page(from, ITEMS_PER_PIECE);
            self.open = next.map(|next| (table, Some(next)));
            let image = |(key, expires_at): (u64, Option<u64>)| RouteKeyImage {
                key: BlockKey(key),
                expires_at: expires_at.map(Timestamp),
            };
            return Some(ImagePiece::RouteKeys(page.into_iter().map(image).collect()));
        }
        let (publisher, kind, table) = self.tables.next()?;
        self.open = (table.keys.len() > 0).then_some((table, None));
        Some(ImagePiece::RouteTable(Box::new(RouteTableImage {
            publisher: publisher.clone(),
            kind,
            holder: table.holder,
            touched: table.touched,
            keys: table.keys.len() as u64,
        })))
    }
}
