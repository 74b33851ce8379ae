//! Text keys: what a prompt is compared by where only recorded routes are known.
//!
//! No tokens and no engine are needed: the prompt's text, as bytes, is cut into
//! blocks of equal length. The chain is that of profile `content`; a first byte
//! of its own in the scope keeps these keys apart from all keys of tokens.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::space::push_text;
use crate::{BlockKey, CONTENT_SEED, CacheSalt, ContentChain, KEY_VERSION, LocalHash, Scope};

/// Stands where scopes of tokens have their profile (0 and 1).
const TEXT: u8 = 2;

/// Tags of what a scope may have behind the model.
const LORA: u8 = 1;
const SALT: u8 = 2;

/// What two texts must share before their keys may be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSpace<'a> {
    /// The base model's name as requests use it, aliases resolved.
    pub model: &'a str,
    /// The LoRA adapter's name.
    pub lora: Option<&'a str>,
    /// Separates tenants. A secret: only its hash goes into the keys.
    pub salt: Option<&'a CacheSalt>,
    /// Bytes per block.
    pub block_bytes: u32,
}

impl TextSpace<'_> {
    /// The number that separates this space's keys from every other's.
    ///
    /// XXH3-64 with seed [`KEY_VERSION`] over
    /// `02 | block bytes LE (4) | len(model) LE (4) | model | lora | salt`, where
    /// `lora` is nothing, or `01 | len LE (4) | name`, and `salt` nothing, or
    /// `02 | len LE (4) | salt`. An empty salt is no salt.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let mut bytes = vec![TEXT];
        bytes.extend_from_slice(&self.block_bytes.to_le_bytes());
        push_text(&mut bytes, self.model);
        if let Some(lora) = self.lora {
            bytes.push(LORA);
            push_text(&mut bytes, lora);
        }
        if let Some(salt) = self.salt.map(CacheSalt::expose)
            && !salt.is_empty()
        {
            bytes.push(SALT);
            push_text(&mut bytes, salt);
        }
        Scope(xxh3_64_with_seed(&bytes, u64::from(KEY_VERSION)))
    }

    /// Replaces `out` by the keys of the text's whole blocks, of the first
    /// `max_blocks` at most. A block's local hash is XXH3-64 (seed 1337) over its
    /// bytes.
    pub fn keys(&self, text: &[u8], max_blocks: usize, out: &mut Vec<BlockKey>) {
        out.clear();
        // Blocks of nothing are refused where requests are read; here there are
        // none of them.
        let Some(size) = usize::try_from(self.block_bytes)
            .ok()
            .filter(|size| *size > 0)
        else {
            return;
        };
        let (scope, mut chain) = (self.scope(), ContentChain::root());
        let blocks = text.chunks_exact(size).take(max_blocks);
        out.extend(blocks.map(|block| {
            let local = LocalHash(xxh3_64_with_seed(block, CONTENT_SEED));
            scope.key(chain.push(local))
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Extras, KeySpace, Profile};

    fn keys(space: &TextSpace<'_>, text: &[u8]) -> Vec<BlockKey> {
        let mut keys = vec![BlockKey(0)];
        space.keys(text, usize::MAX, &mut keys);
        keys
    }

    fn space(model: &str) -> TextSpace<'_> {
        TextSpace {
            model,
            lora: None,
            salt: None,
            block_bytes: 8,
        }
    }

    #[test]
    fn only_whole_blocks_have_keys_and_no_more_than_asked() {
        let text = b"0123456789abcdef-rest";
        let all = keys(&space("m"), text);
        assert_eq!(all.len(), 2);
        assert_eq!(keys(&space("m"), &text[..7]), []);
        assert_eq!(keys(&space("m"), &text[..16]), all);
        let mut first = Vec::new();
        space("m").keys(text, 1, &mut first);
        assert_eq!(first, all[..1]);
        let none = TextSpace {
            block_bytes: 0,
            ..space("m")
        };
        assert_eq!(keys(&none, text), []);
    }

    #[test]
    fn everything_in_the_scope_tells_keys_apart() {
        let (salt, other) = (
            CacheSalt::new("s".to_owned()),
            CacheSalt::new("t".to_owned()),
        );
        let empty = CacheSalt::new(String::new());
        let all = [
            space("m"),
            space("n"),
            TextSpace {
                lora: Some("s"),
                ..space("m")
            },
            TextSpace {
                salt: Some(&salt),
                ..space("m")
            },
            TextSpace {
                salt: Some(&other),
                ..space("m")
            },
            TextSpace {
                block_bytes: 16,
                ..space("m")
            },
        ];
        let mut scopes: Vec<_> = all.iter().map(|space| space.scope().0).collect();
        let of_tokens = |profile| KeySpace {
            profile,
            model: "m".to_owned(),
            lora: None,
            block_size: 8,
            extras: Extras::Published,
        };
        scopes.extend([Profile::Content, Profile::Engine].map(|of| of_tokens(of).scope().0));
        let count = scopes.len();
        scopes.sort_unstable();
        scopes.dedup();
        assert_eq!(scopes.len(), count);
        let unsalted = TextSpace {
            salt: Some(&empty),
            ..space("m")
        };
        assert_eq!(unsalted.scope(), space("m").scope());
    }
}
