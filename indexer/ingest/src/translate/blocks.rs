//! Blocks on their way, with the hash check.

use indexer_events::{BlockStored, ExtraKeys};
use proto_model::{EngineHash, KeySpace, Profile, StoredBlock, opaque_local_hash};

use super::{Shared, Translator};
use crate::check::{HashCheck, OtherHash, Verdict};
use crate::findings::{Description, FindingKind};
use crate::keyed::{Content, Keyed, KeyedStored};

impl Translator {
    /// The store's blocks with their local hashes.
    pub(super) fn blocks(
        &mut self,
        stored: &KeyedStored,
        keyed: &mut Keyed,
        space: &KeySpace,
        shared: &Shared,
    ) -> Vec<StoredBlock> {
        let Content::Blocks {
            blocks,
            first,
            original,
        } = stored.content
        else {
            return Vec::new();
        };
        if let (Some(tokens), Some(block)) = (first, keyed.blocks(blocks).first()) {
            self.compare_first(space, *block, keyed.tokens(tokens), shared);
        }
        let mut taken = keyed.take_blocks(blocks);
        if let Some(event) = keyed.original(original) {
            self.check(event, &mut taken, shared);
        }
        taken
    }

    /// Compares the blocks' hashes with what the model's rules give.
    fn check(&mut self, event: &BlockStored, blocks: &mut [StoredBlock], shared: &Shared) {
        let Some(check) = &mut self.check else {
            return;
        };
        let name = event.lora_name.as_deref();
        let lora = self.model.adapter(name, event.lora_id);
        let verdicts = check.check(event, lora.as_ref());
        let hidden = matches!(event.extra_keys, ExtraKeys::NotPublished);
        let chunks = event.chunks().into_iter().flatten();
        for (((hash, tokens, _), verdict), block) in chunks.zip(verdicts).zip(blocks) {
            match verdict {
                Verdict::Match => shared.metrics.hash_checks.add("match", 1),
                Verdict::Unknown => shared.metrics.hash_checks.add("unknown", 1),
                Verdict::Mismatch(expected) if hidden => {
                    // What the events do not say is hashed too: only the
                    // engine's hash tells this block from a plain one.
                    shared.metrics.hash_checks.add("hidden", 1);
                    block.local = opaque_local_hash(hash);
                    if self.check.as_ref().is_some_and(HashCheck::hopeless) {
                        self.report_mismatch(event, tokens, (hash, expected), shared);
                    }
                }
                Verdict::Mismatch(expected) => {
                    shared.metrics.hash_checks.add("mismatch", 1);
                    self.report_mismatch(event, tokens, (hash, expected), shared);
                }
            }
        }
    }

    fn report_mismatch(
        &self,
        event: &BlockStored,
        tokens: &[u32],
        (seen, expected): (EngineHash, EngineHash),
        shared: &Shared,
    ) {
        let rules = self.model.hasher.as_ref().map(|hasher| hasher.rules());
        let describe = || {
            let plain = event.parent_block_hash.is_none();
            let uses = plain.then(|| shared.probe.explain(tokens, seen)).flatten();
            let configured = rules.map_or_else(String::new, |rules| {
                let seed = rules.seed.as_deref().unwrap_or("unset");
                format!(
                    "{} with seed {seed}, vLLM {}",
                    rules.algorithm, rules.version
                )
            });
            Description {
                seen: format!("block hash {:#018x} of {} tokens", seen.0, tokens.len()),
                expected: format!("{:#018x} from {configured}", expected.0),
                advice: uses.map_or_else(
                    || {
                        "no usual setting gives this hash: compare the engine's PYTHONHASHSEED, \
                         --prefix-caching-hash-algo and version with this model's configuration"
                            .to_owned()
                    },
                    |uses| format!("the engine seems to run with {uses}; configure the same here"),
                ),
            }
        };
        self.add_finding(FindingKind::HashMismatch, describe, shared);
    }

    /// The same first block under two names: the engines' settings differ.
    fn compare_first(
        &self,
        space: &KeySpace,
        StoredBlock { hash, local }: StoredBlock,
        tokens: &[u32],
        shared: &Shared,
    ) {
        let scope = space.scope().0;
        let mut first_blocks = shared.first_blocks.lock();
        let other = first_blocks.note(scope, local, hash, &self.publisher);
        drop(first_blocks);
        let Some(OtherHash {
            publisher,
            hash: other,
        }) = other
        else {
            return;
        };
        shared.metrics.hash_checks.add("differs", 1);
        let describe = || {
            let uses = |hash| {
                let found = shared.probe.explain(tokens, hash);
                found.unwrap_or_else(|| "settings that are not among the usual".to_owned())
            };
            let consequence = match space.profile {
                Profile::Engine => "lookups miss one of them",
                Profile::Content => "profile content does not depend on it",
            };
            Description {
                seen: format!("block hash {:#018x} for a first block", hash.0),
                expected: format!("{:#018x}, as {publisher} names it", other.0),
                advice: format!(
                    "this one seems to use {}, the other {}; give all engines of the model the \
                     same PYTHONHASHSEED and --prefix-caching-hash-algo ({consequence})",
                    uses(hash),
                    uses(other),
                ),
            }
        };
        self.add_finding(FindingKind::HashesDiffer, describe, shared);
    }

    /// Remembers the block size and compares it with the configured one.
    pub(super) fn note_block_size(&mut self, seen: u32, shared: &Shared) {
        self.block_size = Some(seen);
        let Some(expected) = self.model.block_size.filter(|expected| *expected != seen) else {
            return;
        };
        let describe = || Description {
            seen: format!("blocks of {seen} tokens"),
            expected: format!("blocks of {expected} tokens, as configured"),
            advice: format!(
                "start the engine with --block-size {expected}, or configure {seen} for the model"
            ),
        };
        self.add_finding(FindingKind::BlockSize, describe, shared);
    }

    fn add_finding(
        &self,
        kind: FindingKind,
        describe: impl FnOnce() -> Description,
        shared: &Shared,
    ) {
        if shared.findings.add(kind, &self.subject, describe) {
            shared.metrics.findings.add(kind.as_str(), 1);
        }
    }
}
