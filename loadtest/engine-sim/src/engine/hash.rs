//! Block hashes as vLLM computes them: a chain over token ids and extra keys.
//!
//! Written from vLLM's rules and checked against its recordings. Nothing of the
//! index is used, so that a mistake in the index's own functions shows.

use sha2::{Digest as _, Sha256};

/// How an engine hashes blocks (`--prefix-caching-hash-algo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// vLLM 0.10: the chain is the low 64 bits of SHA-256 of canonical CBOR.
    Sha256Cbor64Bit,
    /// vLLM from 0.31 on: the chain is the whole SHA-256, extra keys are tagged.
    Sha256Cbor,
}

/// What is hashed beside the tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Extras {
    /// The adapter.
    pub lora: Option<Lora>,
    /// The request's `cache_salt`; part of the first block only.
    pub salt: Option<String>,
}

/// An adapter as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lora {
    /// Its number, from 1.
    pub id: u32,
    /// The model name that requests use.
    pub name: String,
    /// Its folder: hashed, but never published.
    pub path: String,
}

/// A link of the chain. 64-bit links stand in the last eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link([u8; 32]);

impl Link {
    /// The number that stands for it in events.
    #[must_use]
    pub fn published(&self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The rules of one engine, with the chain's root.
#[derive(Debug, Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    root: Link,
}

impl Hasher {
    /// `seed` is the text of `PYTHONHASHSEED`.
    #[must_use]
    pub fn new(algorithm: Algorithm, seed: &str) -> Self {
        let mut cbor = Vec::new();
        text(&mut cbor, seed);
        let root = digest(algorithm, &cbor);
        Self { algorithm, root }
    }

    /// The link of a full block. `parent` is the link of the block before it, none
    /// for a prompt's first block, which is also the one that a salt belongs to.
    #[must_use]
    pub fn link(&self, parent: Option<&Link>, tokens: &[u32], extras: &Extras) -> Link {
        let mut cbor = Vec::with_capacity(64 + tokens.len() * 5);
        head(&mut cbor, ARRAY, 3);
        self.parent(&mut cbor, parent.unwrap_or(&self.root));
        head(&mut cbor, ARRAY, tokens.len() as u64);
        for token in tokens {
            head(&mut cbor, UNSIGNED, u64::from(*token));
        }
        self.extras(&mut cbor, extras, parent.is_none());
        digest(self.algorithm, &cbor)
    }

    fn parent(&self, out: &mut Vec<u8>, parent: &Link) {
        match self.algorithm {
            Algorithm::Sha256Cbor64Bit => head(out, UNSIGNED, parent.published()),
            Algorithm::Sha256Cbor => {
                head(out, BYTES, 32);
                out.extend_from_slice(&parent.0);
            }
        }
    }

    fn extras(&self, out: &mut Vec<u8>, extras: &Extras, first: bool) {
        let salt = extras.salt.as_ref().filter(|_| first);
        let count = usize::from(extras.lora.is_some()) + usize::from(salt.is_some());
        if count == 0 {
            out.push(NULL);
            return;
        }
        head(out, ARRAY, count as u64);
        let tagged = self.algorithm == Algorithm::Sha256Cbor;
        if let Some(lora) = &extras.lora {
            if tagged {
                head(out, ARRAY, 3);
                text(out, "lora");
                text(out, &lora.name);
                text(out, &lora.path);
            } else {
                head(out, UNSIGNED, u64::from(lora.id));
            }
        }
        if let Some(salt) = salt {
            if tagged {
                head(out, ARRAY, 2);
                text(out, "cache_salt");
            }
            text(out, salt);
        }
    }
}

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const NULL: u8 = 0xf6;

fn digest(algorithm: Algorithm, cbor: &[u8]) -> Link {
    let mut digest: [u8; 32] = Sha256::digest(cbor).into();
    if algorithm == Algorithm::Sha256Cbor64Bit {
        digest[..24].fill(0);
    }
    Link(digest)
}

fn text(out: &mut Vec<u8>, text: &str) {
    head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// The shortest head, as canonical CBOR wants it.
fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend_from_slice(&[major | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by vLLM's own functions, seed 42.
    #[test]
    fn a_block_as_vllm_hashes_it() {
        let tokens = [1, 2, 151_644, 300];
        let none = Extras::default();
        let wide = Hasher::new(Algorithm::Sha256Cbor, "42");
        assert_eq!(
            wide.link(None, &tokens, &none).published(),
            0xd26c_f27b_247d_7dad
        );
        let narrow = Hasher::new(Algorithm::Sha256Cbor64Bit, "42");
        assert_eq!(narrow.root.published(), 12_056_132_650_316_601_216);
        assert_eq!(
            narrow.link(None, &tokens, &none).published(),
            17_663_169_021_945_590_087
        );
    }
}
