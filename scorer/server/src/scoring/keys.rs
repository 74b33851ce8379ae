//! A prepared prompt's block keys, in every space that they can lie in.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto_api::{KeyForm, KeyList};
use proto_model::{
    BlockKey, CacheSalt, ContentChain, Coverage, ItemForm, KeySpace, LocalHash, MediaItem, Profile,
    PromptContext, TokenId, content_keys, engine_keys,
};

use super::{KeyCache, ScoreError, Target, Warnings};

/// A prompt from which keys can be computed without reading text any more.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// Token ids, with what else the keys depend on.
    Tokens(TokenPrompt),
    /// Hashes or keys that the caller computed.
    Keys(KeyList),
}

/// A tokenised prompt.
#[derive(Debug)]
pub(crate) struct TokenPrompt {
    pub(crate) ids: Vec<TokenId>,
    pub(crate) salt: Option<CacheSalt>,
    pub(crate) items: Vec<MediaItem>,
}

impl Prepared {
    /// Tokens of the whole prompt, if known.
    pub(crate) fn prompt_tokens(&self) -> Option<u32> {
        match self {
            Self::Tokens(prompt) => u32::try_from(prompt.ids.len()).ok(),
            Self::Keys(keys) => keys.prompt_tokens,
        }
    }

    /// How many keys the caller gave; 0 if there are tokens.
    pub(crate) fn keys(&self) -> u32 {
        match self {
            Self::Tokens(_) => 0,
            Self::Keys(keys) => u32::try_from(keys.values.len()).unwrap_or(u32::MAX),
        }
    }
}

/// One way to key the prompt: each gives keys of its own.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) space: Arc<KeySpace>,
    form: ItemForm,
}

/// All ways in which endpoints may have keyed the prompt.
pub(crate) fn plans(
    target: &Target<'_>,
    spaces: &[Arc<KeySpace>],
    prepared: &Prepared,
) -> Result<Vec<Plan>, ScoreError> {
    match prepared {
        Prepared::Tokens(prompt) => token_plans(target, spaces, prompt),
        Prepared::Keys(keys) => key_plans(target, spaces, keys),
    }
}

fn token_plans(
    target: &Target<'_>,
    spaces: &[Arc<KeySpace>],
    prompt: &TokenPrompt,
) -> Result<Vec<Plan>, ScoreError> {
    let hasher = target.configured.and_then(|model| model.hasher.as_ref());
    let form = target.configured.and_then(|model| model.item_form());
    let plain = prompt.items.is_empty() && prompt.salt.is_none();
    let forms = match form {
        Some(form) => vec![form],
        // A wrong form matches nothing, so trying both cannot mislead.
        None if !prompt.items.is_empty() => vec![ItemForm::IdentifierOffset, ItemForm::Identifier],
        None => vec![ItemForm::default()],
    };
    let mut seen = BTreeSet::new();
    let mut plans = Vec::new();
    for space in spaces {
        if space.profile == Profile::Engine && hasher.is_none() {
            continue;
        }
        // Spaces that differ only in whether extras are published have the
        // same keys for a prompt without any.
        let hidden = !plain && space.extras == proto_model::Extras::Hidden;
        if seen.insert((space.scope().0, hidden)) {
            let forms = if space.profile == Profile::Engine || hidden {
                &forms[..1]
            } else {
                &forms
            };
            plans.extend(forms.iter().map(|form| Plan {
                space: Arc::clone(space),
                form: *form,
            }));
        }
    }
    if plans.is_empty() && !spaces.is_empty() {
        return Err(ScoreError::HashRulesMissing {
            model: target.model.clone(),
        });
    }
    Ok(plans)
}

fn key_plans(
    target: &Target<'_>,
    spaces: &[Arc<KeySpace>],
    keys: &KeyList,
) -> Result<Vec<Plan>, ScoreError> {
    let any_profile = keys.form == KeyForm::Key;
    let usable = |space: &&Arc<KeySpace>| any_profile || space.profile == Profile::Content;
    let usable: Vec<_> = spaces.iter().filter(usable).collect();
    let sizes: BTreeSet<u32> = usable.iter().map(|space| space.block_size).collect();
    let model = || target.model.clone();
    let size = match (keys.block_size, sizes.first()) {
        (_, None) if spaces.is_empty() => return Ok(Vec::new()),
        (_, None) => return Err(ScoreError::KeysNeedContent { model: model() }),
        (Some(given), _) if sizes.contains(&given) => given,
        (None, Some(only)) if sizes.len() == 1 => *only,
        (given, _) => {
            let known = sizes.into_iter().collect();
            return Err(match given {
                Some(given) => ScoreError::UnknownBlockSize {
                    model: model(),
                    given,
                    known,
                },
                None => ScoreError::AmbiguousBlockSize {
                    model: model(),
                    known,
                },
            });
        }
    };
    let mut scopes = BTreeSet::new();
    let plans = usable.into_iter().filter(|space| {
        // Keys carry their scope, so one plan finds them all.
        let scope = if any_profile { 0 } else { space.scope().0 };
        space.block_size == size && scopes.insert(scope)
    });
    Ok(plans
        .map(|space| Plan {
            space: Arc::clone(space),
            form: ItemForm::default(),
        })
        .collect())
}

/// What a prompt's keys are made from.
pub(crate) struct Source<'a> {
    pub(crate) target: &'a Target<'a>,
    pub(crate) prepared: &'a Prepared,
    pub(crate) cache: &'a KeyCache,
}

impl Source<'_> {
    /// Replaces `out` by the prompt's keys under the plan.
    pub(crate) fn fill(&self, plan: &Plan, warnings: &mut Warnings, out: &mut Vec<BlockKey>) {
        match self.prepared {
            Prepared::Tokens(prompt) => self.fill_from_tokens(plan, prompt, warnings, out),
            Prepared::Keys(keys) => fill_from_keys(&plan.space, keys, out),
        }
    }

    fn fill_from_tokens(
        &self,
        plan: &Plan,
        prompt: &TokenPrompt,
        warnings: &mut Warnings,
        out: &mut Vec<BlockKey>,
    ) {
        let (space, ids) = (&plan.space, &prompt.ids);
        let configured = self.target.configured;
        let hasher = configured.and_then(|model| model.hasher.as_ref());
        let context = PromptContext {
            lora: self.target.lora.as_ref(),
            items: &prompt.items,
            salt: prompt.salt.as_ref(),
            embeds: &[],
        };
        let plain = context.is_plain() && context.lora.is_none();
        let coverage = match (space.profile, hasher) {
            (Profile::Engine, Some(hasher)) if plain && self.cache.serves(hasher) => {
                self.cache.keys(space, hasher, ids, out);
                Coverage::Complete
            }
            (Profile::Engine, Some(hasher)) => engine_keys(space, hasher, ids, &context, out),
            _ => content_keys(space, plan.form, hasher, ids, &context, out),
        };
        if let Coverage::Unknowable { from_block, reason } = coverage {
            warnings.push(format!("keys end before block {from_block}: {reason}"));
        }
    }
}

fn fill_from_keys(space: &KeySpace, keys: &KeyList, out: &mut Vec<BlockKey>) {
    out.clear();
    let scope = space.scope();
    match keys.form {
        KeyForm::Key => out.extend(keys.values.iter().copied().map(BlockKey)),
        KeyForm::Rolling => out.extend(keys.values.iter().map(|chain| scope.key(*chain))),
        KeyForm::Local => {
            let mut chain = ContentChain::root();
            let values = keys
                .values
                .iter()
                .map(|local| chain.push(LocalHash(*local)));
            out.extend(values.map(|value| scope.key(value)));
        }
    }
}
