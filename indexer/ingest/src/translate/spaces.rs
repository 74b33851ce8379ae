//! The key spaces of one publisher, so that its messages share them.

use std::sync::Arc;

use proto_model::{Extras, KeySpace};

use crate::keyed::StoreKind;
use crate::models::ModelRules;

/// Key spaces remembered per publisher.
const SPACES: usize = 256;

/// The key spaces that a publisher has stored in lately.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    known: Vec<Known>,
}

/// A key space, and what stores in it have in common.
#[derive(Debug)]
struct Known {
    lora_name: Option<Box<str>>,
    lora_id: Option<i64>,
    block_size: u32,
    extras: Extras,
    space: Arc<KeySpace>,
}

impl Known {
    fn is(&self, kind: &StoreKind) -> bool {
        self.block_size == kind.block_size
            && self.extras == kind.extras
            && self.lora_id == kind.lora_id
            && self.lora_name == kind.lora_name
    }
}

impl Spaces {
    /// The space of a store. It must always be asked with the same model.
    pub(super) fn of(&mut self, model: &ModelRules, kind: &StoreKind) -> Arc<KeySpace> {
        if let Some(known) = self.known.iter().find(|known| known.is(kind)) {
            return Arc::clone(&known.space);
        }
        if self.known.len() >= SPACES {
            self.known.clear();
        }
        let lora = model.adapter(kind.lora_name.as_deref(), kind.lora_id);
        let space = KeySpace {
            profile: model.profile,
            model: model.name.to_string(),
            lora: lora.map(|lora| lora.name),
            block_size: kind.block_size,
            extras: kind.extras,
        };
        let same = self.known.iter().find(|known| *known.space == space);
        let space = same.map_or_else(|| Arc::new(space), |same| Arc::clone(&same.space));
        self.known.push(Known {
            lora_name: kind.lora_name.clone(),
            lora_id: kind.lora_id,
            block_size: kind.block_size,
            extras: kind.extras,
            space: Arc::clone(&space),
        });
        space
    }
}
