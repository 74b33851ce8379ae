//! Every hash that vLLM's own functions gave, over versions and algorithms.

use proto_model::engine::{EngineExtras, EngineHasher, EngineVersion, HashAlgorithm, HashRules};
use proto_model::{
    CacheSalt, Coverage, ExtraKey, Extras, KeySpace, Lora, MediaItem, Profile, PromptContext,
    block_extras, engine_keys, event_extras,
};
use serde::Deserialize;
use serde_json::Value;

use crate::payload::testdata;

#[derive(Deserialize)]
struct Case {
    vllm_version: EngineVersion,
    algo: HashAlgorithm,
    hash_seed: String,
    none_hash: String,
    case: String,
    block_size: u32,
    num_hash_lookahead_tokens: u32,
    lora: Option<CaseLora>,
    cache_salt: Option<String>,
    mm: Vec<CaseItem>,
    token_ids: Vec<u32>,
    extra_keys: Vec<Option<Vec<Value>>>,
    event_extra_keys: Option<Vec<Option<Vec<Value>>>>,
    block_hashes: Vec<String>,
    external: Vec<String>,
    external_rule: String,
}

#[derive(Deserialize)]
struct CaseLora {
    name: String,
    int_id: i64,
    path: String,
}

#[derive(Deserialize)]
struct CaseItem {
    identifier: String,
    offset: u32,
    length: u32,
}

/// A case in this crate's words.
struct Prompt {
    name: String,
    hasher: EngineHasher,
    lora: Option<Lora>,
    items: Vec<MediaItem>,
    salt: Option<CacheSalt>,
}

impl Prompt {
    fn of(case: &Case) -> Self {
        let seed = (case.hash_seed != "unset").then(|| case.hash_seed.clone());
        let rules = HashRules {
            lookahead_tokens: case.num_hash_lookahead_tokens,
            ..HashRules::new(case.algo, seed, Some(case.vllm_version))
        };
        let item = |item: &CaseItem| MediaItem {
            identifier: item.identifier.clone(),
            offset: item.offset,
            length: item.length,
        };
        Self {
            name: format!(
                "{} {} seed {} {} block size {}",
                case.vllm_version, case.algo, case.hash_seed, case.case, case.block_size
            ),
            hasher: EngineHasher::new(rules).expect("a case that an engine has run"),
            lora: case.lora.as_ref().map(|lora| Lora {
                name: lora.name.clone(),
                id: Some(lora.int_id),
                path: Some(lora.path.clone()),
            }),
            items: case.mm.iter().map(item).collect(),
            salt: case.cache_salt.clone().map(CacheSalt::new),
        }
    }

    fn context(&self) -> PromptContext<'_> {
        PromptContext {
            lora: self.lora.as_ref(),
            items: &self.items,
            salt: self.salt.as_ref(),
            embeds: &[],
        }
    }
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(testdata("vllm/golden_hashes.json")).expect("golden file");
    serde_json::from_str(&text).expect("golden cases")
}

#[test]
fn the_golden_file_is_whole() {
    let cases = cases();
    assert_eq!(cases.len(), 270);
    assert_eq!(
        cases
            .iter()
            .map(|case| case.block_hashes.len())
            .sum::<usize>(),
        1020
    );
}

#[test]
fn roots_and_whole_digests() {
    for case in cases() {
        let prompt = Prompt::of(&case);
        let name = &prompt.name;
        let digits = |bytes: &[u8]| hex::encode(bytes).trim_start_matches('0').to_owned();
        let expected = |text: &str| text.trim_start_matches('0').to_owned();
        let none = prompt.hasher.none_hash();
        assert_eq!(
            digits(none.as_bytes()),
            expected(&case.none_hash),
            "{name}: root"
        );

        let lora = prompt
            .lora
            .as_ref()
            .map(|lora| prompt.hasher.lora_key(lora).unwrap());
        let mut chain = prompt.hasher.root();
        let size = case.block_size as usize;
        assert_eq!(
            case.token_ids.len() / size,
            case.block_hashes.len(),
            "{name}"
        );
        for (index, block) in case.token_ids.chunks_exact(size).enumerate() {
            let extras = block_extras(
                &prompt.context(),
                prompt.hasher.item_form(),
                case.block_size,
                index,
            );
            let keys: Vec<_> = extras.iter().map(ExtraKey::borrowed).collect();
            let extras = EngineExtras {
                lora,
                keys: &keys,
                lookahead: &[],
            };
            let hash = chain.push(block, &extras);
            let digest = chain.digest();
            assert_eq!(
                digits(digest.as_bytes()),
                expected(&case.block_hashes[index]),
                "{name}: block {index}"
            );
            let whole = match case.external_rule.as_str() {
                "int as is" => decimal(digest.as_bytes()),
                "int64 of low 8 bytes big-endian" => hash.0.to_string(),
                rule => panic!("{name}: unknown rule {rule}"),
            };
            assert_eq!(whole, case.external[index], "{name}: external {index}");
        }
    }
}

#[test]
fn engine_keys_are_the_hashes_in_their_space() {
    let mut keys = Vec::new();
    for case in cases() {
        let prompt = Prompt::of(&case);
        let space = KeySpace {
            profile: Profile::Engine,
            model: "Qwen3-32B".to_owned(),
            lora: None,
            block_size: case.block_size,
            extras: Extras::Published,
        };
        let coverage = engine_keys(
            &space,
            &prompt.hasher,
            &case.token_ids,
            &prompt.context(),
            &mut keys,
        );
        assert_eq!(coverage, Coverage::Complete);
        let hashes: Vec<_> = keys.iter().map(|key| key.0 ^ space.scope().0).collect();
        let low = |digits: &String| {
            let bytes = hex::decode(format!("{digits:0>64}")).unwrap();
            u64::from_be_bytes(bytes[24..].try_into().unwrap())
        };
        let expected: Vec<u64> = case.block_hashes.iter().map(low).collect();
        assert_eq!(hashes, expected, "{}", prompt.name);
    }
}

#[test]
fn extra_keys_as_hashed_and_as_published() {
    for case in cases() {
        let prompt = Prompt::of(&case);
        let form = prompt.hasher.item_form();
        let ours = |index| block_extras(&prompt.context(), form, case.block_size, index);
        let name = prompt.lora.as_ref().map(|lora| lora.name.as_str());
        for (index, hashed) in case.extra_keys.iter().enumerate() {
            let hashed: Vec<_> = hashed.iter().flatten().filter_map(untagged).collect();
            assert_eq!(
                ours(index),
                event_extras(&hashed, name),
                "{}: block {index}",
                prompt.name
            );
        }
        for (index, published) in case.event_extra_keys.iter().flatten().enumerate() {
            let published: Vec<_> = published.iter().flatten().filter_map(untagged).collect();
            assert_eq!(
                ours(index),
                event_extras(&published, name),
                "{}: {index}",
                prompt.name
            );
            // The adapter really stood there, so it was taken away above.
            if let Some(name) = name {
                assert_eq!(published.first(), Some(&ExtraKey::Text(name.to_owned())));
            }
        }
    }
}

/// One hashed extra key in event form; the adapter where it is tagged or a
/// number is left out, as the event form cannot say it.
fn untagged(key: &Value) -> Option<ExtraKey> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match key {
        Value::Number(_) => None,
        Value::String(string) => Some(ExtraKey::Text(string.clone())),
        Value::Array(parts) => match (parts[0].as_str(), parts.len()) {
            (Some("lora"), 3) => None,
            (Some("cache_salt"), 2) => Some(ExtraKey::Text(text(&parts[1]))),
            (Some("mm"), 3) => Some(ExtraKey::Item {
                identifier: text(&parts[1]),
                offset: parts[2].as_i64().unwrap(),
            }),
            (_, 2) => Some(ExtraKey::Item {
                identifier: text(&parts[0]),
                offset: parts[1].as_i64().unwrap(),
            }),
            other => panic!("unknown extra key {other:?}"),
        },
        other => panic!("unknown extra key {other:?}"),
    }
}

/// A big-endian number in decimal digits.
fn decimal(big_endian: &[u8]) -> String {
    let mut digits = vec![0_u8];
    for byte in big_endian {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 10) as u8;
            carry /= 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(b'0' + digit))
        .collect()
}
