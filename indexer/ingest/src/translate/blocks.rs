//! Blocks to local hashes, with the hash check on the way.

use std::sync::Arc;

use indexer_events::BlockStored;
use proto_model::{
    EngineHash, Extras, KeySpace, LocalHash, Lora, Profile, StoredBlock, opaque_local_hash,
};

use super::{Shared, Translator};
use crate::check::{HashCheck, OtherHash, Verdict, without_lora};
use crate::findings::{Description, FindingKind};

impl Translator {
    /// The event's blocks with their local hashes.
    pub(super) fn blocks(
        &mut self,
        event: &BlockStored,
        lora: Option<&Lora>,
        space: &Arc<KeySpace>,
        shared: &mut Shared,
    ) -> Vec<StoredBlock> {
        let verdicts = self
            .check
            .as_mut()
            .map_or_else(Vec::new, |check| check.check(event, lora));
        let hidden = space.extras == Extras::Hidden;
        let name = event.lora_name.as_deref();
        let Some(chunks) = event.chunks() else {
            return Vec::new();
        };
        let mut blocks = Vec::with_capacity(chunks.len());
        for (index, (hash, tokens, extras)) in chunks.enumerate() {
            let verdict = verdicts.get(index).copied();
            let extras = without_lora(extras, name);
            let mut local = LocalHash::of(tokens, extras);
            match verdict {
                Some(Verdict::Match) => shared.metrics.hash_checks.add("match", 1),
                Some(Verdict::Unknown) => shared.metrics.hash_checks.add("unknown", 1),
                Some(Verdict::Mismatch(expected)) if hidden => {
                    // What the events do not say is hashed too: only the
                    // engine's hash tells this block from a plain one.
                    shared.metrics.hash_checks.add("hidden", 1);
                    local = opaque_local_hash(hash);
                    if self.check.as_ref().is_some_and(HashCheck::hopeless) {
                        self.report_mismatch(event, tokens, (hash, expected), shared);
                    }
                }
                Some(Verdict::Mismatch(expected)) => {
                    shared.metrics.hash_checks.add("mismatch", 1);
                    self.report_mismatch(event, tokens, (hash, expected), shared);
                }
                None => {}
            }
            let first = index == 0 && event.parent_block_hash.is_none();
            if first && extras.is_empty() && !hidden && lora.is_none() {
                self.compare_first(space, (local, hash), tokens, shared);
            }
            blocks.push(StoredBlock { hash, local });
        }
        blocks
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
        (local, hash): (LocalHash, EngineHash),
        tokens: &[u32],
        shared: &mut Shared,
    ) {
        let scope = space.scope().0;
        let other = shared
            .first_blocks
            .note(scope, local, hash, &self.publisher);
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
