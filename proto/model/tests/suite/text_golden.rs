//! `proto/golden/text-v1.json`: the text keys as they were published.
//!
//! The file changes only with a new format version. To write it anew, set
//! `KVATLAS_WRITE_GOLDEN=1`; `proto/golden/check.py` recomputes it independently.

use proto_model::{CacheSalt, TextSpace};
use serde::{Deserialize, Serialize};

/// One text and its keys.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Vector {
    name: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    block_bytes: u32,
    max_blocks: usize,
    /// Hexadecimal: the separators are no UTF-8.
    text: String,
    scope: String,
    keys: Vec<String>,
}

impl Vector {
    fn new(name: &str, block_bytes: u32, text: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            model: "Qwen3-32B".to_owned(),
            lora: None,
            salt: None,
            block_bytes,
            max_blocks: 4096,
            text: hex::encode(text),
            scope: String::new(),
            keys: Vec::new(),
        }
    }

    fn computed(mut self) -> Self {
        let salt = self.salt.clone().map(CacheSalt::new);
        let space = TextSpace {
            model: &self.model,
            lora: self.lora.as_deref(),
            salt: salt.as_ref(),
            block_bytes: self.block_bytes,
        };
        let mut keys = Vec::new();
        let text = hex::decode(&self.text).unwrap();
        space.keys(&text, self.max_blocks, &mut keys);
        self.scope = format!("{:016x}", space.scope().0);
        self.keys = keys.iter().map(|key| format!("{:016x}", key.0)).collect();
        self
    }
}

fn vectors() -> Vec<Vector> {
    let bytes: Vec<u8> = (0..1000_u32).map(|n| (n * 31 % 251) as u8).collect();
    vec![
        Vector::new("plain", 64, &bytes[..640]),
        Vector::new("a rest has no key", 64, &bytes[..200]),
        Vector::new("shorter than a block", 64, &bytes[..63]),
        Vector::new("long blocks", 300, &bytes),
        Vector::new(
            "a message and the next one",
            16,
            b"user\xfeHello, how are you?\xffassistant\xfeFine.\xff",
        ),
        Vector {
            max_blocks: 3,
            ..Vector::new("no more blocks than asked", 64, &bytes)
        },
        Vector {
            lora: Some("legal".to_owned()),
            ..Vector::new("adapter", 64, &bytes[..128])
        },
        Vector {
            salt: Some("tenant-7".to_owned()),
            ..Vector::new("salt", 64, &bytes[..128])
        },
        Vector {
            lora: Some("légal".to_owned()),
            salt: Some("tenant-7".to_owned()),
            model: "org/modèle".to_owned(),
            ..Vector::new("all of it", 64, &bytes[..128])
        },
    ]
}

#[test]
fn text_keys_are_as_they_were_published() {
    let computed: Vec<_> = vectors().into_iter().map(Vector::computed).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/text-v1.json");
    if std::env::var_os("KVATLAS_WRITE_GOLDEN").is_some() {
        let lines: Vec<_> = computed
            .iter()
            .map(|vector| serde_json::to_string(vector).unwrap())
            .collect();
        std::fs::write(path, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    let published: Vec<Vector> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(published, computed);
}
