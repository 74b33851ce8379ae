//! From text to token ids and back, as the engine's model would.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tokenizers::Tokenizer as ModelTokenizer;

/// Words that replies are made of.
const WORDS: usize = 64;

/// An engine's tokenizer.
pub struct Tokenizer {
    model: Option<ModelTokenizer>,
    words: Vec<Word>,
    end: Option<u32>,
}

/// A token that a reply can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) id: u32,
    pub(crate) text: String,
}

impl Tokenizer {
    /// The model's own: `tokenizer.json`.
    ///
    /// Replies are made of words that are one token each wherever they stand, so
    /// that a conversation's next prompt has the very tokens that were generated.
    ///
    /// # Errors
    /// If the file cannot be read, or its vocabulary has too few such words.
    pub fn from_file(path: &Path) -> Result<Self> {
        let model = ModelTokenizer::from_file(path)
            .map_err(|error| anyhow::anyhow!(error))
            .with_context(|| format!("read tokenizer {}", path.display()))?;
        let words = words(&model);
        ensure!(
            words.len() >= 2,
            "{}: no words of one token to make replies of",
            path.display()
        );
        let end = ["<|im_end|>", "<|endoftext|>", "</s>"];
        let end = end.iter().find_map(|token| model.token_to_id(token));
        Ok(Self {
            model: Some(model),
            words,
            end,
        })
    }

    /// No model's: every four bytes of text are a token. Cheap, and equal prefixes of
    /// texts have equal tokens, but no scorer counts them the same way.
    #[must_use]
    pub fn plain() -> Self {
        let text = |number: usize| format!(" w{number:02}");
        let word = |number| Word {
            id: plain_id(text(number).as_bytes()),
            text: text(number),
        };
        Self {
            model: None,
            words: (0..WORDS).map(word).collect(),
            end: None,
        }
    }

    /// The token ids of a text. Takes long for long texts.
    ///
    /// # Errors
    /// If the tokenizer cannot.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let Some(model) = &self.model else {
            return Ok(text.as_bytes().chunks(4).map(plain_id).collect());
        };
        let encoding = model
            .encode_fast(text, false)
            .map_err(|error| anyhow::anyhow!(error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// What ends a reply that is not cut off.
    pub(crate) fn end(&self) -> Option<u32> {
        self.end
    }

    /// The word with this number; any number is one.
    pub(crate) fn word(&self, number: u64) -> &Word {
        let count = self.words.len() as u64;
        let index = usize::try_from(number % count).expect("below the count of words");
        &self.words[index]
    }
}

fn plain_id(bytes: &[u8]) -> u32 {
    let mut four = [0; 4];
    four[..bytes.len()].copy_from_slice(bytes);
    u32::from_le_bytes(four) & 0x7fff_ffff
}

fn words(model: &ModelTokenizer) -> Vec<Word> {
    let size = u32::try_from(model.get_vocab_size(true)).unwrap_or(u32::MAX);
    let candidates = (0..size).filter_map(|id| {
        let text = model.decode(&[id], true).ok()?;
        let letters = text.strip_prefix(' ')?;
        let plain = letters.len() > 1 && letters.bytes().all(|byte| byte.is_ascii_lowercase());
        let again = model.encode_fast(text.as_str(), false).ok()?;
        (plain && again.get_ids() == [id]).then_some(Word { id, text })
    });
    candidates.take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Tokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vllm/model");
        Tokenizer::from_file(&folder.join("tokenizer.json")).unwrap()
    }

    #[test]
    fn a_reply_in_the_next_prompt_has_the_tokens_that_were_generated() {
        let tokenizer = recorded();
        let reply: Vec<_> = (0..200).map(|number| tokenizer.word(number * 7)).collect();
        let text: String = reply.iter().map(|word| word.text.as_str()).collect();
        let ids: Vec<u32> = reply.iter().map(|word| word.id).collect();
        let before = tokenizer.encode("<|im_start|>assistant\n").unwrap();
        let prompt = format!("<|im_start|>assistant\n{text}<|im_end|>\n");
        let all = tokenizer.encode(&prompt).unwrap();
        assert_eq!(all[..before.len()], before);
        assert_eq!(all[before.len()..][..ids.len()], ids);
    }

    #[test]
    fn plain_tokens_of_a_prefix_are_a_prefix() {
        let tokenizer = Tokenizer::plain();
        let short = tokenizer.encode("abcdefgh").unwrap();
        let long = tokenizer.encode("abcdefghij").unwrap();
        assert_eq!((short.len(), long.len()), (2, 3));
        assert_eq!(short, long[..2]);
    }
}
