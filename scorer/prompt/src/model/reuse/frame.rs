//! What the post-processor puts around a prompt's ids.

use tokenizers::{Encoding, Tokenizer};

/// The ids before and after any prompt, without and with special tokens.
#[derive(Debug)]
pub(super) struct Frame([Around; 2]);

#[derive(Debug)]
struct Around {
    before: Vec<u32>,
    after: Vec<u32>,
}

/// Ids that no vocabulary has.
const PROBES: [&[u32]; 3] = [
    &[u32::MAX - 1],
    &[],
    &[u32::MAX - 2, u32::MAX - 1, u32::MAX - 2],
];

impl Frame {
    /// Finds it by asking. No post-processor of the library looks at the ids it is
    /// given, so one that puts the same around three texts does so around all.
    pub(super) fn of(tokenizer: &Tokenizer) -> Result<Self, &'static str> {
        let frame = [false, true].map(|add| Around::of(tokenizer, add));
        let [Some(without), Some(with)] = frame else {
            return Err("the post-processor does more than to put tokens before and after");
        };
        Ok(Self([without, with]))
    }

    pub(super) fn around(&self, ids: Vec<u32>, add_special_tokens: bool) -> Vec<u32> {
        let Around { before, after } = &self.0[usize::from(add_special_tokens)];
        if before.is_empty() && after.is_empty() {
            return ids;
        }
        [before, ids.as_slice(), after].concat()
    }
}

impl Around {
    fn of(tokenizer: &Tokenizer, add: bool) -> Option<Self> {
        let processed = |probe: &[u32]| {
            let tokens = probe.iter().map(|id| (*id, String::new(), (0, 0), None, 0));
            let encoding: Encoding = tokens.collect();
            let encoding = tokenizer.post_process(encoding, None, add).ok()?;
            Some(encoding.get_ids().to_vec())
        };
        let [probe, ..] = PROBES;
        let found = processed(probe)?;
        let at = found.iter().position(|id| probe.contains(id))?;
        let around = Self {
            before: found[..at].to_vec(),
            after: found[at + 1..].to_vec(),
        };
        let holds = |probe: &[u32]| {
            let expected = [&around.before, probe, &around.after].concat();
            processed(probe) == Some(expected)
        };
        PROBES.iter().all(|probe| holds(probe)).then_some(around)
    }
}
