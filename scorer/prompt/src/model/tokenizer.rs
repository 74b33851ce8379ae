//! Text to token ids, as `transformers` sets the tokenizer up.

use std::collections::HashSet;
use std::sync::Arc;

use proto_model::CacheSalt;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Encoding, PostProcessor, Tokenizer, TruncationDirection};

use super::reuse::{Reuse, TokenReuse};
use super::tokenizer_config::Token;
use super::{LoadError, ModelFiles, SpecialTokens, TokenizerConfig};
use crate::token_cache::TokenCache;

#[derive(Debug)]
pub(super) struct ModelTokenizer {
    inner: Tokenizer,
    reuse: Result<Reuse, &'static str>,
    cache: Option<Arc<TokenCache>>,
}

/// How many of a prompt's ids to keep, those that the post-processor adds included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) limit: Option<usize>,
    pub(super) first: bool,
}

impl ModelTokenizer {
    pub(super) fn load(
        files: &ModelFiles,
        config: &TokenizerConfig,
        special: &SpecialTokens,
        cache: Option<&Arc<TokenCache>>,
    ) -> Result<Self, LoadError> {
        let failed = |error: tokenizers::Error| LoadError::Tokenizer {
            reason: error.to_string(),
        };
        let mut inner = Tokenizer::from_bytes(&files.tokenizer).map_err(failed)?;
        // The file may ask for both; an engine asks per request only.
        inner.with_truncation(None).map_err(failed)?;
        inner.with_padding(None);
        add_missing_tokens(&mut inner, files, config, special)?;
        if let Some(processor) = bos_and_eos(&inner, config, special)? {
            inner.with_post_processor(Some(processor));
        }
        let reuse = match cache {
            Some(cache) => Reuse::of(&inner, cache),
            None => Err("no cache is given"),
        };
        Ok(Self {
            inner,
            reuse,
            cache: cache.cloned(),
        })
    }

    pub(super) fn reuse(&self) -> TokenReuse {
        match &self.reuse {
            Ok(reuse) => reuse.extent(),
            Err(because) => TokenReuse::Nothing { because },
        }
    }

    /// The ids of a text, of which what was seen before is not computed again.
    pub(super) fn encode(
        &self,
        text: &str,
        add_special_tokens: bool,
        keep: Keep,
        salt: Option<&CacheSalt>,
    ) -> Result<Vec<u32>, String> {
        let Ok(reuse) = &self.reuse else {
            if let Some(cache) = &self.cache {
                cache.bypass();
            }
            return self.encode_in_full(text, add_special_tokens, keep);
        };
        let ids = reuse.ids(&self.inner, text, salt);
        let mut ids = ids.map_err(|error| error.to_string())?;
        if let Some(limit) = keep.limit {
            let room = limit.saturating_sub(self.added(add_special_tokens));
            truncate(&mut ids, room, keep.first);
        }
        Ok(reuse.framed(ids, add_special_tokens))
    }

    /// How many ids the post-processor adds.
    fn added(&self, add_special_tokens: bool) -> usize {
        let processor = self.inner.get_post_processor();
        processor
            .filter(|_| add_special_tokens)
            .map_or(0, |processor| processor.added_tokens(false))
    }

    /// The ids of a text by the library alone.
    pub(super) fn encode_in_full(
        &self,
        text: &str,
        add_special_tokens: bool,
        keep: Keep,
    ) -> Result<Vec<u32>, String> {
        let reason = |error: tokenizers::Error| error.to_string();
        let Some(limit) = keep.limit else {
            let encoding = self.inner.encode_fast(text, add_special_tokens);
            return Ok(ids(encoding.map_err(reason)?));
        };
        let mut encoding = self.inner.encode_fast(text, false).map_err(reason)?;
        let direction = if keep.first {
            TruncationDirection::Right
        } else {
            TruncationDirection::Left
        };
        let room = limit.saturating_sub(self.added(add_special_tokens));
        encoding.truncate(room, 0, direction);
        let encoding = self
            .inner
            .post_process(encoding, None, add_special_tokens)
            .map_err(reason)?;
        Ok(ids(encoding))
    }
}

/// Keeps so many ids, the first or the last.
pub(super) fn truncate(ids: &mut Vec<u32>, limit: usize, first: bool) {
    if first {
        ids.truncate(limit);
    } else {
        ids.drain(..ids.len().saturating_sub(limit));
    }
}

fn ids(encoding: Encoding) -> Vec<u32> {
    encoding.get_ids().to_vec()
}

/// Adds the tokens that the other files list and `tokenizer.json` does not.
fn add_missing_tokens(
    tokenizer: &mut Tokenizer,
    files: &ModelFiles,
    config: &TokenizerConfig,
    special: &SpecialTokens,
) -> Result<(), LoadError> {
    let mut known: HashSet<String> = tokenizer
        .get_added_tokens_decoder()
        .into_values()
        .map(|token| token.content)
        .collect();
    let mut missing: Vec<Token> = config.added_tokens.clone();
    if !config.lists_added_tokens {
        missing.extend(older_added_tokens(files, special)?);
    }
    missing.extend(special.tokens.iter().cloned());
    missing.retain(|token| !token.content.is_empty() && known.insert(token.content.clone()));
    for token in missing {
        let added = AddedToken::from(token.content, token.special)
            .single_word(token.single_word)
            .lstrip(token.lstrip)
            .rstrip(token.rstrip)
            .normalized(token.normalized);
        if token.special {
            tokenizer.add_special_tokens(&[added]);
        } else {
            tokenizer.add_tokens(&[added]);
        }
    }
    Ok(())
}

/// `added_tokens.json`: token to id, added in the order of the ids.
fn older_added_tokens(
    files: &ModelFiles,
    special: &SpecialTokens,
) -> Result<Vec<Token>, LoadError> {
    let Some(map) = files.added_tokens()? else {
        return Ok(Vec::new());
    };
    let Some(map) = map.as_object() else {
        return Ok(Vec::new());
    };
    let mut tokens: Vec<_> = map
        .iter()
        .filter_map(|(token, id)| Some((id.as_u64()?, token)))
        .collect();
    tokens.sort();
    let is_special = |content: &str| special.tokens.iter().any(|token| token.content == content);
    let tokens = tokens.into_iter().map(|(_, content)| {
        let special = is_special(content);
        Token {
            content: content.clone(),
            special,
            normalized: !special,
            ..Token::default()
        }
    });
    Ok(tokens.collect())
}

/// Classes that put the `bos_token` first unless told otherwise.
const CLASSES_WITH_BOS: [&str; 3] = ["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer"];

/// What replaces the file's own post-processor when the configuration says
/// whether `bos_token` and `eos_token` are added.
fn bos_and_eos(
    tokenizer: &Tokenizer,
    config: &TokenizerConfig,
    special: &SpecialTokens,
) -> Result<Option<TemplateProcessing>, LoadError> {
    if config.add_bos_token.is_none() && config.add_eos_token.is_none() {
        return Ok(None);
    }
    let class = config
        .tokenizer_class
        .as_deref()
        .map(|class| class.trim_end_matches("Fast"));
    let adds_bos = class.is_some_and(|class| CLASSES_WITH_BOS.contains(&class));
    let token = |wanted: bool, name: &str| {
        let token = special.get(name).filter(|_| wanted)?;
        Some((token.to_owned(), tokenizer.token_to_id(token)?))
    };
    let bos = token(config.add_bos_token.unwrap_or(adds_bos), "bos_token");
    let eos = token(config.add_eos_token.unwrap_or(false), "eos_token");
    let mut template: Vec<String> = Vec::new();
    template.extend(bos.iter().map(|(token, _)| format!("{token}:0")));
    template.push("$A:0".to_owned());
    template.extend(eos.iter().map(|(token, _)| format!("{token}:0")));
    let mut tokens: Vec<(String, u32)> = bos.into_iter().chain(eos).collect();
    tokens.dedup();
    TemplateProcessing::builder()
        .try_single(template)
        .map_err(|reason| LoadError::Tokenizer { reason })?
        .special_tokens(tokens)
        .build()
        .map(Some)
        .map_err(|error| LoadError::Tokenizer {
            reason: error.to_string(),
        })
}
