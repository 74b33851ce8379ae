//! `proto/golden/content-v1.json`: the key format as it was published.
//!
//! The file changes only with a new format version. To write it anew, set
//! `KVATLAS_WRITE_GOLDEN=1`; `proto/golden/check.py` recomputes it independently.

use proto_model::engine::{EngineHasher, HashRules};
use proto_model::{
    BlockKey, CacheSalt, Coverage, Extras, ItemForm, KEY_VERSION, KeySpace, LocalHash, Lora,
    MediaItem, Profile, PromptContext, block_extras, content_keys, engine_keys,
};
use serde::{Deserialize, Serialize};

/// One prompt and its keys. Numbers that do not fit a double are hexadecimal.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Vector {
    name: String,
    space: KeySpace,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<HashRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora_path: Option<String>,
    items_by: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    items: Vec<(String, u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    embeds: Vec<String>,
    tokens: Vec<u32>,
    scope: String,
    /// Of each block's own tokens and extra keys; profile `content` only.
    local_hashes: Vec<String>,
    keys: Vec<String>,
}

impl Vector {
    fn new(name: &str, block_size: u32, tokens: u32) -> Self {
        Self {
            name: name.to_owned(),
            space: KeySpace {
                profile: Profile::Content,
                model: "Qwen3-32B".to_owned(),
                lora: None,
                block_size,
                extras: Extras::Published,
            },
            engine: None,
            lora_path: None,
            items_by: "identifier and offset".to_owned(),
            items: Vec::new(),
            salt: None,
            embeds: Vec::new(),
            tokens: (0..tokens)
                .map(|i| (i * 7919 + block_size) % 151_936)
                .collect(),
            scope: String::new(),
            local_hashes: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn lora(mut self, name: &str) -> Self {
        self.space.lora = Some(name.to_owned());
        self
    }

    fn salted(mut self, salt: &str) -> Self {
        self.salt = Some(salt.to_owned());
        self
    }

    fn items(mut self, items: &[(&str, u32, u32)]) -> Self {
        self.items = items
            .iter()
            .map(|(name, from, len)| ((*name).to_owned(), *from, *len))
            .collect();
        self
    }

    fn engine(mut self, profile: Profile, algorithm: &str, version: &str) -> Self {
        self.space.profile = profile;
        let (algorithm, version) = (algorithm.parse().unwrap(), version.parse().unwrap());
        self.engine = Some(HashRules::new(
            algorithm,
            Some("42".to_owned()),
            Some(version),
        ));
        self.lora_path = self
            .space
            .lora
            .as_ref()
            .map(|name| format!("/adapters/{name}"));
        self
    }

    /// Fills in what is computed.
    fn computed(mut self) -> Self {
        let items: Vec<_> = self.items.iter().map(media_item).collect();
        let embeds: Vec<_> = self
            .embeds
            .iter()
            .map(|hex| hex::decode(hex).unwrap())
            .collect();
        let salt = self.salt.clone().map(CacheSalt::new);
        let lora = self.space.lora.clone().map(|name| Lora {
            name,
            id: Some(1),
            path: self.lora_path.clone(),
        });
        let context = PromptContext {
            lora: lora.as_ref(),
            items: &items,
            salt: salt.as_ref(),
            embeds: &embeds,
        };
        let form = match self.items_by.as_str() {
            "identifier" => ItemForm::Identifier,
            _ => ItemForm::IdentifierOffset,
        };
        let hasher = self
            .engine
            .clone()
            .map(|rules| EngineHasher::new(rules).unwrap());
        let (space, tokens, mut keys) = (&self.space, &self.tokens, Vec::new());
        let coverage = match (space.profile, &hasher) {
            (Profile::Engine, Some(hasher)) => {
                engine_keys(space, hasher, tokens, &context, &mut keys)
            }
            _ => content_keys(space, form, hasher.as_ref(), tokens, &context, &mut keys),
        };
        assert_eq!(coverage, Coverage::Complete);
        let locals = tokens
            .chunks_exact(space.block_size as usize)
            .enumerate()
            .map(|(i, block)| {
                hex(LocalHash::of(block, &block_extras(&context, form, space.block_size, i)).0)
            });
        self.local_hashes = match (space.profile, space.extras) {
            (Profile::Content, Extras::Published) => locals.collect(),
            _ => Vec::new(),
        };
        self.scope = hex(space.scope().0);
        self.keys = keys.iter().map(|BlockKey(key)| hex(*key)).collect();
        self
    }
}

fn media_item((identifier, offset, length): &(String, u32, u32)) -> MediaItem {
    MediaItem {
        identifier: identifier.clone(),
        offset: *offset,
        length: *length,
    }
}

fn hex(number: u64) -> String {
    format!("{number:016x}")
}

fn vectors() -> Vec<Vector> {
    let new = Vector::new;
    let image = "64488f7330769036e7e2b74e285eb6bfd0440fa5c078db0fb3446d2e382ce40b";
    let items = [(image, 5, 20), ("video:β", 30, 9)];
    let mut list = vec![
        new("plain, block size 16", 16, 70),
        new("plain, block size 1", 1, 3),
        new("plain, block size 64", 64, 200),
        new("plain, block size 128", 128, 256),
        new("plain, block size 1024", 1024, 2048),
        new("no full block", 16, 15),
        new("adapter", 16, 50).lora("my-adapter"),
        new("adapter by number", 16, 33).lora("#7"),
        new("adapter with a name beyond ASCII", 16, 33).lora("адаптер-β"),
        new("salt", 16, 50).salted("tenant-A"),
        new("salt beyond ASCII", 16, 50).salted("租户-é-😀"),
        new("empty salt is no salt", 16, 70).salted(""),
        new("items", 16, 64).items(&items),
        new("items by identifier", 16, 64).items(&items),
        new("adapter, items and salt", 16, 64)
            .lora("my-adapter")
            .items(&items)
            .salted("s"),
        new("embeddings", 16, 40),
        new("hidden extras, salt", 16, 50)
            .salted("tenant-A")
            .engine(Profile::Content, "sha256_cbor_64bit", "0.10.1"),
        new("hidden extras, plain", 16, 70).engine(Profile::Content, "sha256_cbor_64bit", "0.10.1"),
    ];
    list[13].items_by = "identifier".to_owned();
    list[15].embeds = vec!["ab".repeat(32), "cd".repeat(32)];
    list[15].tokens.fill(0);
    list[16].space.extras = Extras::Hidden;
    list[17].space.extras = Extras::Hidden;
    let engines = [
        ("builtin", "0.10.1"),
        ("sha256_cbor_64bit", "0.10.1"),
        ("sha256_cbor", "0.23.0"),
        ("sha256_cbor", "0.32.0"),
        ("sha256", "0.32.0"),
        ("xxhash", "0.32.0"),
        ("xxhash_cbor", "0.32.0"),
    ];
    for (algorithm, version) in engines {
        let name = |what: &str| format!("engine {algorithm} {version}, {what}");
        let engine = |vector: Vector| vector.engine(Profile::Engine, algorithm, version);
        list.push(engine(new(&name("plain"), 16, 40)));
        let full = new(&name("adapter, items and salt"), 16, 64);
        list.push(engine(full.lora("my-adapter").items(&items).salted("s")));
    }
    list.into_iter().map(Vector::computed).collect()
}

fn golden_path() -> String {
    format!(
        "{}/../golden/content-v{KEY_VERSION}.json",
        env!("CARGO_MANIFEST_DIR")
    )
}

#[test]
fn published_vectors_still_hold() {
    let vectors = vectors();
    if std::env::var_os("KVATLAS_WRITE_GOLDEN").is_some() {
        let lines: Vec<_> = vectors
            .iter()
            .map(|v| serde_json::to_string(v).unwrap())
            .collect();
        std::fs::write(golden_path(), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    let text = std::fs::read_to_string(golden_path()).expect("proto/golden/content-v1.json");
    let golden: Vec<Vector> = serde_json::from_str(&text).expect("golden vectors");
    assert_eq!(golden.len(), vectors.len());
    for (found, expected) in vectors.iter().zip(&golden) {
        assert_eq!(found, expected, "{}", expected.name);
    }
}

/// Computed with python-xxhash 4.1.0 from the description in
/// `docs/block-keys.md` alone.
#[test]
fn a_vector_from_elsewhere() {
    let space = KeySpace {
        profile: Profile::Content,
        model: "m".to_owned(),
        lora: Some("a".to_owned()),
        block_size: 4,
        extras: Extras::Published,
    };
    let items = [MediaItem {
        identifier: "img".to_owned(),
        offset: 3,
        length: 2,
    }];
    let salt = CacheSalt::new("s".to_owned());
    let context = PromptContext {
        items: &items,
        salt: Some(&salt),
        ..PromptContext::default()
    };
    let mut keys = Vec::new();
    let tokens = [1, 2, 151_644, 300, 5, 6, 7, 8, 9];
    let coverage = content_keys(
        &space,
        ItemForm::IdentifierOffset,
        None,
        &tokens,
        &context,
        &mut keys,
    );
    assert_eq!(coverage, Coverage::Complete);
    assert_eq!(space.scope().0, 0x63b2_2910_7204_5a12);
    assert_eq!(
        keys,
        [
            BlockKey(0x8ab9_3d3a_ce4e_b467),
            BlockKey(0x5a71_ccb6_2e09_a9cc)
        ]
    );
    assert_eq!(
        LocalHash::of(&tokens[..4], &[]),
        LocalHash(0x9f5a_cfc5_3ca6_14ef)
    );
}
