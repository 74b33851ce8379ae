//! The prompt's keys for those who record where it goes.

use proto_api::{KeyProfile, RouteKeys, limits};
use proto_model::{BlockKey, KeySpace};

/// One list for each way in which endpoints cut prompts into blocks.
#[derive(Debug, Default)]
pub(crate) struct RouteKeyLists(Vec<RouteKeys>);

impl RouteKeyLists {
    /// Adds a space's keys, unless there is a list of its kind. A prompt without
    /// a whole block has nothing to record, and no record holds more keys than
    /// are kept here.
    pub(crate) fn add(&mut self, space: &KeySpace, keys: &[BlockKey]) {
        let profile = KeyProfile::from(space.profile);
        self.add_list(profile, space.block_size, keys);
    }

    /// Adds keys of a text.
    pub(crate) fn add_text(&mut self, block_bytes: u32, keys: &[BlockKey]) {
        self.add_list(KeyProfile::Text, block_bytes, keys);
    }

    fn add_list(&mut self, profile: KeyProfile, block_size: u32, keys: &[BlockKey]) {
        let same = |list: &RouteKeys| list.profile == profile && list.block_size == block_size;
        let full = self.0.len() >= limits::ROUTE_KEY_LISTS;
        if full || keys.is_empty() || self.0.iter().any(same) {
            return;
        }
        self.0.push(RouteKeys {
            profile,
            block_size,
            keys: keys[..keys.len().min(limits::ROUTE_KEYS)].to_vec(),
        });
    }

    pub(crate) fn into_lists(self) -> Vec<RouteKeys> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proto_model::{Extras, Profile};

    use super::*;

    fn space(profile: Profile, block_size: u32) -> KeySpace {
        KeySpace {
            profile,
            model: "m".to_owned(),
            lora: None,
            block_size,
            extras: Extras::Published,
        }
    }

    #[test]
    fn every_kind_is_listed_once_and_no_more_than_four() {
        let mut lists = RouteKeyLists::default();
        let key = [BlockKey(1)];
        lists.add(&space(Profile::Content, 16), &key);
        lists.add(&space(Profile::Content, 16), &[BlockKey(2)]);
        lists.add(&space(Profile::Content, 32), &[]);
        lists.add(&space(Profile::Engine, 16), &key);
        let many = vec![BlockKey(3); limits::ROUTE_KEYS + 1];
        lists.add_text(64, &many);
        lists.add(&space(Profile::Content, 64), &key);
        lists.add(&space(Profile::Content, 128), &key);
        let lists = lists.into_lists();
        let kinds: Vec<_> = lists
            .iter()
            .map(|list| (list.profile, list.block_size, list.keys.len()))
            .collect();
        let expected = [
            (KeyProfile::Content, 16, 1),
            (KeyProfile::Engine, 16, 1),
            (KeyProfile::Text, 64, limits::ROUTE_KEYS),
            (KeyProfile::Content, 64, 1),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(lists[0].keys, key, "the first of its kind");
    }
}
