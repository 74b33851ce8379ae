//! Streams and requests of real engines: every published hash recomputed, and
//! every prompt's keys found among the keys of what the engine stored.

use std::collections::{HashMap, HashSet};

use proto_model::engine::{
    EngineDigest, EngineExtras, EngineHasher, EngineVersion, HashAlgorithm, HashRules,
};
use proto_model::{
    BlockKey, CacheSalt, ContentChain, Coverage, EngineHash, ExtraKey, ExtraRef, Extras, KeySpace,
    LocalHash, Lora, MediaItem, Profile, PromptContext, content_keys, engine_keys, event_extras,
    opaque_local_hash,
};
use serde_json::Value;

use crate::payload::{Stored, recording_lines, stored_events};

/// Recording, blocks stored in it, full blocks of its answered prompts.
const RECORDINGS: [(&str, usize, usize); 10] = [
    ("v0.10.1.1-builtin", 327, 637),
    ("v0.10.1.1-sha256_cbor_64bit", 327, 637),
    ("v0.10.1.1-sha256_cbor_64bit-dup", 126, 129),
    ("v0.23.0-sha256_cbor", 175, 331),
    ("v0.32.0-sha256", 162, 316),
    ("v0.32.0-sha256_cbor", 175, 331),
    ("v0.32.0-sha256_cbor-bytes-bs64", 84, 142),
    ("v0.32.0-sha256_cbor-mix", 773, 3723),
    ("v0.32.0-sha256_cbor-mm", 17, 13),
    ("v0.32.0-xxhash_cbor", 162, 316),
];

/// One recording and how its engine hashes.
struct Recording {
    tag: &'static str,
    hasher: EngineHasher,
    block_size: u32,
    extras: Extras,
    lora: Lora,
    events: Vec<Stored>,
    requests: Vec<Value>,
}

impl Recording {
    fn open(tag: &'static str) -> Self {
        let meta = &recording_lines(tag, "meta")[0];
        let version: EngineVersion = meta["vllm"]["version"].as_str().unwrap().parse().unwrap();
        let algorithm: HashAlgorithm = meta["algo"].as_str().unwrap().parse().unwrap();
        let seed = Some(meta["seed"].as_str().unwrap().to_owned());
        let published = version >= EngineVersion::new(0, 17, 0);
        Self {
            tag,
            hasher: EngineHasher::new(HashRules::new(algorithm, seed, Some(version))).unwrap(),
            block_size: u32::try_from(meta["block_size"].as_u64().unwrap()).unwrap(),
            extras: if published {
                Extras::Published
            } else {
                Extras::Hidden
            },
            lora: Lora {
                name: "my-adapter".to_owned(),
                id: Some(1),
                path: Some("/adapters/my-adapter".to_owned()),
            },
            events: stored_events(tag),
            requests: recording_lines(tag, "requests"),
        }
    }

    fn space(&self, profile: Profile, lora: Option<&str>) -> KeySpace {
        KeySpace {
            profile,
            model: "Qwen3-32B".to_owned(),
            lora: lora.map(str::to_owned),
            block_size: self.block_size,
            extras: self.extras,
        }
    }

    /// Every block with its extra keys as published, or as guessed where hidden:
    /// plain, or one of the salts that the requests name.
    fn replay(&self, mut block: impl FnMut(&Stored, Block<'_>)) {
        let salts: HashSet<&str> = self.requests.iter().filter_map(salt).collect();
        let mut digests: HashMap<EngineHash, EngineDigest> = HashMap::new();
        for event in &self.events {
            let lora = event
                .lora_name
                .as_ref()
                .map(|_| self.hasher.lora_key(&self.lora).unwrap());
            let mut parent = event.parent.as_ref().map(|hash| hash.short);
            let size = event.block_size;
            assert_eq!(
                event.tokens.len(),
                size * event.hashes.len(),
                "{}",
                self.tag
            );
            for (index, tokens) in event.tokens.chunks_exact(size).enumerate() {
                let mut chain = match parent {
                    None => self.hasher.root(),
                    Some(hash) => self.hasher.after_digest(digests[&hash]).unwrap(),
                };
                let published = &event.hashes[index];
                let list = event.extras.get(index).map_or(&[][..], Vec::as_slice);
                let list = event_extras(list, event.lora_name.as_deref());
                let mut keys: Vec<_> = list.iter().map(ExtraKey::borrowed).collect();
                if self.extras == Extras::Hidden && parent.is_none() {
                    let fits = |salt: &&&str| {
                        let keys = [ExtraRef::Text(salt)];
                        let extras = EngineExtras {
                            lora,
                            keys: &keys,
                            lookahead: &[],
                        };
                        self.hasher.root().push(tokens, &extras) == published.short
                    };
                    keys.extend(salts.iter().find(fits).map(|salt| ExtraRef::Text(salt)));
                }
                let extras = EngineExtras {
                    lora,
                    keys: &keys,
                    lookahead: &[],
                };
                let plain = chain.peek(
                    tokens,
                    &EngineExtras {
                        lora,
                        ..Default::default()
                    },
                );
                let hash = chain.push(tokens, &extras);
                let whole = published.bytes.as_deref();
                assert_eq!(hash, published.short, "{}", self.tag);
                assert!(whole.is_none_or(|bytes| bytes == chain.digest().as_bytes()));
                if let Some(mut again) = parent.and_then(|h| self.hasher.after_published(h)) {
                    assert_eq!(again.push(tokens, &extras), hash, "{}", self.tag);
                }
                block(
                    event,
                    Block {
                        tokens,
                        extras: list,
                        parent,
                        hash,
                        plain: plain == hash,
                    },
                );
                digests.insert(hash, chain.digest());
                parent = Some(hash);
            }
        }
    }

    /// The keys that an ingestor and the state would make of the stream.
    fn content_keys(&self) -> HashSet<BlockKey> {
        let mut chains: HashMap<EngineHash, u64> = HashMap::new();
        let mut keys = HashSet::new();
        self.replay(|event, block| {
            let local = match self.extras {
                Extras::Hidden if !block.plain => opaque_local_hash(block.hash),
                _ => LocalHash::of(block.tokens, block.extras),
            };
            let mut chain = block.parent.map_or_else(ContentChain::root, |parent| {
                ContentChain::after(chains[&parent])
            });
            let value = chain.push(local);
            chains.insert(block.hash, value);
            let space = self.space(Profile::Content, event.lora_name.as_deref());
            keys.insert(space.scope().key(value));
        });
        keys
    }

    fn engine_keys(&self) -> HashSet<BlockKey> {
        let scope = self.space(Profile::Engine, None).scope();
        let mut keys = HashSet::new();
        self.replay(|_, block| {
            keys.insert(scope.engine_key(block.hash));
        });
        keys
    }

    /// Calls with each answered request's tokens and context.
    fn prompts(&self, mut prompt: impl FnMut(&[u32], &PromptContext<'_>)) {
        for request in self
            .requests
            .iter()
            .filter(|request| request["status"] == 200)
        {
            let tokens = request["prompt_token_ids"].as_array().into_iter().flatten();
            let token = |token: &Value| u32::try_from(token.as_u64().unwrap()).unwrap();
            let tokens: Vec<u32> = tokens.map(token).collect();
            let salt = salt(request).map(|salt| CacheSalt::new(salt.to_owned()));
            let items = images(request["note"].as_str().unwrap_or_default(), &tokens);
            let context = PromptContext {
                lora: (request["body"]["model"] == "my-adapter").then_some(&self.lora),
                items: &items,
                salt: salt.as_ref(),
                embeds: &[],
            };
            prompt(&tokens, &context);
        }
    }
}

/// The images of a recorded prompt: runs of the patch token, named (by the start
/// of their identifier) by what the recording's note says of them.
fn images(note: &str, tokens: &[u32]) -> Vec<MediaItem> {
    const PATCH: u32 = 4098;
    const RED: &str = "64488f7330769036e7e2b74e285eb6bfd0440fa5c078db0fb3446d2e382ce40b";
    const BLUE: &str = "b52493b8eff83c2c83d603bef75832806c340c53f829dcc4bd0d4804b85c3594";
    const GREEN: &str = "c71058b4065cafcfd8d7f109ba2be8cfaa863887fedc05ebc996b324cc2d76a7";
    let identifiers: &[&str] = match note {
        "one red image first" | "same again" => &[RED],
        "blue image, same text" => &[BLUE],
        "red + blue" => &[RED, BLUE],
        "red twice" => &[RED, RED],
        "text before, image later" | "text before, image later, salted" => &[GREEN],
        _ => return Vec::new(),
    };
    let mut offset = 0;
    let runs = tokens
        .chunk_by(|a, b| (*a == PATCH) == (*b == PATCH))
        .filter_map(|run| {
            let first = offset;
            offset += run.len();
            (run[0] == PATCH).then_some((first, run.len()))
        });
    let item = |((offset, length), identifier): ((usize, usize), &&str)| MediaItem {
        identifier: (*identifier).to_owned(),
        offset: u32::try_from(offset).unwrap(),
        length: u32::try_from(length).unwrap(),
    };
    runs.zip(identifiers).map(item).collect()
}

/// One stored block.
struct Block<'a> {
    tokens: &'a [u32],
    extras: &'a [ExtraKey],
    parent: Option<EngineHash>,
    hash: EngineHash,
    /// Whether the hash is the one without extra keys.
    plain: bool,
}

fn salt(request: &Value) -> Option<&str> {
    request["body"]["cache_salt"].as_str()
}

#[test]
fn every_published_hash_is_recomputed() {
    for (tag, expected, _) in RECORDINGS {
        let mut blocks = 0;
        Recording::open(tag).replay(|_, _| blocks += 1);
        assert_eq!(blocks, expected, "{tag}: blocks stored");
    }
}

#[test]
fn prompts_have_the_keys_of_what_was_stored() {
    for (tag, _, expected) in RECORDINGS {
        let recording = Recording::open(tag);
        let (content, engine) = (recording.content_keys(), recording.engine_keys());
        let hasher = &recording.hasher;
        let mut out = Vec::new();
        let mut blocks = 0;
        recording.prompts(|tokens, context| {
            let lora = context.lora.map(|lora| lora.name.as_str());
            let space = recording.space(Profile::Content, lora);
            let form = hasher.item_form();
            let coverage = content_keys(&space, form, Some(hasher), tokens, context, &mut out);
            assert_eq!(coverage, Coverage::Complete);
            assert!(
                out.iter().all(|key| content.contains(key)),
                "{tag}: content"
            );
            blocks += out.len();
            let space = recording.space(Profile::Engine, None);
            let coverage = engine_keys(&space, hasher, tokens, context, &mut out);
            assert_eq!(coverage, Coverage::Complete);
            assert!(out.iter().all(|key| engine.contains(key)), "{tag}: engine");
        });
        assert_eq!(blocks, expected, "{tag}: full blocks in prompts");
    }
}
