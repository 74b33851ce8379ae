//! `ScoreRequest` to [`ScoreQuery`] and back.

use proto_model::{CacheSalt, MediaItem, Medium};

use crate::token_ids::{dense_count, from_dense};
use crate::v1::block_keys::Form;
use crate::v1::score_request::Input as WireInput;
use crate::v1::{self, ScoreRequest};
use crate::{
    Candidate, Estimation, Input, InvalidQuery, KeyForm, KeyList, MediumWeights, ScoreQuery, limits,
};

impl TryFrom<ScoreRequest> for ScoreQuery {
    type Error = InvalidQuery;

    fn try_from(request: ScoreRequest) -> Result<Self, Self::Error> {
        if request.request_id.len() > limits::REQUEST_ID_BYTES {
            return Err(InvalidQuery::RequestIdTooLong(request.request_id.len()));
        }
        let input = input(request.input)?;
        let estimation = request
            .estimation
            .map(|wire| estimation(&wire, &input))
            .transpose()?;
        if estimation.is_some() && request.include_token_ids {
            return Err(InvalidQuery::TokensWithEstimation);
        }
        Ok(Self {
            request_id: request.request_id,
            model: model(request.model, &input)?,
            lora: lora(request.lora)?,
            salt: salt(request.cache_salt, &input)?,
            items: items(request.items, &input)?,
            candidates: candidates(&request.candidates)?,
            weights: weights(request.weights.as_ref())?,
            limit: limit(request.limit)?,
            include_unmatched: request.include_unmatched,
            include_token_ids: request.include_token_ids,
            include_route_keys: request.include_route_keys,
            estimation,
            input,
        })
    }
}

fn model(model: String, input: &Input) -> Result<String, InvalidQuery> {
    let body_may_name_it = matches!(input, Input::Chat(_) | Input::Completion(_));
    if model.is_empty() && !body_may_name_it {
        return Err(InvalidQuery::ModelMissing);
    }
    name("model", model)
}

fn lora(lora: Option<String>) -> Result<Option<String>, InvalidQuery> {
    match lora {
        None => Ok(None),
        Some(lora) if lora.is_empty() => Err(InvalidQuery::LoraEmpty),
        Some(lora) => name("lora", lora).map(Some),
    }
}

fn name(field: &'static str, name: String) -> Result<String, InvalidQuery> {
    if name.len() > limits::NAME_BYTES {
        return Err(InvalidQuery::NameTooLong {
            field,
            length: name.len(),
        });
    }
    Ok(name)
}

fn input(input: Option<WireInput>) -> Result<Input, InvalidQuery> {
    let size = |form, size, unit, limit| match size {
        0 => Err(InvalidQuery::InputEmpty(form)),
        size if size > limit => Err(InvalidQuery::InputTooLarge {
            form,
            size,
            unit,
            limit,
        }),
        _ => Ok(()),
    };
    Ok(match input.ok_or(InvalidQuery::InputMissing)? {
        WireInput::Text(text) => {
            size("text", text.len(), "bytes", limits::PROMPT_BYTES)?;
            Input::Text(text)
        }
        WireInput::Chat(body) => {
            size("chat", body.len(), "bytes", limits::PROMPT_BYTES)?;
            Input::Chat(body)
        }
        WireInput::Completion(body) => {
            size("completion", body.len(), "bytes", limits::PROMPT_BYTES)?;
            Input::Completion(body)
        }
        WireInput::Tokens(tokens) => {
            size("tokens", tokens.ids.len(), "tokens", limits::TOKENS)?;
            Input::Tokens(tokens.ids)
        }
        WireInput::TokenIdsLe(bytes) => {
            let count = dense_count(&bytes);
            size("token_ids_le", count, "tokens", limits::TOKENS)?;
            Input::Tokens(from_dense(&bytes)?)
        }
        WireInput::Keys(keys) => {
            size("keys", keys.values.len(), "keys", limits::KEYS)?;
            Input::Keys(key_list(keys)?)
        }
    })
}

fn key_list(keys: v1::BlockKeys) -> Result<KeyList, InvalidQuery> {
    let form = match Form::try_from(keys.form) {
        Ok(Form::Key) => KeyForm::Key,
        Ok(Form::Rolling) => KeyForm::Rolling,
        Ok(Form::Local) => KeyForm::Local,
        Ok(Form::Unspecified) | Err(_) => return Err(InvalidQuery::KeyForm(keys.form)),
    };
    if keys.block_size == 0 && form == KeyForm::Key {
        return Err(InvalidQuery::BlockSizeMissing);
    }
    if keys.block_size > limits::BLOCK_SIZE {
        return Err(InvalidQuery::BlockSizeTooLarge(keys.block_size));
    }
    let blocks = keys.values.len() as u64 * u64::from(keys.block_size);
    if keys.prompt_tokens != 0 && u64::from(keys.prompt_tokens) < blocks {
        return Err(InvalidQuery::PromptTooShort {
            prompt_tokens: keys.prompt_tokens,
            blocks: keys.values.len(),
            block_size: keys.block_size,
        });
    }
    Ok(KeyList {
        values: keys.values,
        form,
        block_size: (keys.block_size != 0).then_some(keys.block_size),
        prompt_tokens: (keys.prompt_tokens != 0).then_some(keys.prompt_tokens),
    })
}

fn salt(salt: Option<String>, input: &Input) -> Result<Option<CacheSalt>, InvalidQuery> {
    let Some(salt) = salt else { return Ok(None) };
    if matches!(input, Input::Keys(_)) {
        return Err(InvalidQuery::NotWithKeys("cache_salt"));
    }
    if salt.is_empty() || salt.len() > limits::SALT_BYTES {
        return Err(InvalidQuery::Salt(salt.len()));
    }
    Ok(Some(CacheSalt::new(salt)))
}

fn items(items: Vec<v1::MediaItem>, input: &Input) -> Result<Vec<MediaItem>, InvalidQuery> {
    match input {
        _ if items.is_empty() => return Ok(Vec::new()),
        Input::Tokens(_) => {}
        Input::Keys(_) => return Err(InvalidQuery::NotWithKeys("items")),
        other => return Err(InvalidQuery::ItemsNotWith(other.kind())),
    }
    if items.len() > limits::ITEMS {
        return Err(InvalidQuery::TooManyItems(items.len()));
    }
    let mut items = items
        .into_iter()
        .enumerate()
        .map(|(index, wire)| item(index, wire))
        .collect::<Result<Vec<_>, _>>()?;
    items.sort_by_key(|item| item.offset);
    Ok(items)
}

fn item(index: usize, item: v1::MediaItem) -> Result<MediaItem, InvalidQuery> {
    let wrong = |part, seen, expected| {
        Err(InvalidQuery::Item {
            index,
            part,
            seen,
            expected,
        })
    };
    let bytes = item.identifier.len();
    if bytes == 0 || bytes > limits::IDENTIFIER_BYTES {
        return wrong("identifier", bytes as u64, "1 to 512 bytes");
    }
    if item.length == 0 {
        return wrong("length", 0, "at least 1 token");
    }
    if item.offset.checked_add(item.length).is_none() {
        return wrong(
            "offset",
            u64::from(item.offset),
            "an item that ends before 2^32 tokens",
        );
    }
    Ok(MediaItem {
        identifier: item.identifier,
        offset: item.offset,
        length: item.length,
    })
}

fn candidates(names: &[String]) -> Result<Vec<Candidate>, InvalidQuery> {
    if names.len() > limits::CANDIDATES {
        return Err(InvalidQuery::TooManyCandidates(names.len()));
    }
    let parse = |(index, name): (usize, &String)| {
        name.parse()
            .map_err(|error| InvalidQuery::Candidate { index, error })
    };
    names.iter().enumerate().map(parse).collect()
}

fn weights(wire: Option<&v1::MediumWeights>) -> Result<MediumWeights, InvalidQuery> {
    let Some(wire) = wire else {
        return Ok(MediumWeights::default());
    };
    let weights = MediumWeights {
        gpu: wire.gpu,
        cpu: wire.cpu,
        disk: wire.disk,
        remote: wire.remote,
    };
    for medium in Medium::ALL {
        if let Some(weight) = weights.get(medium)
            && !(0.0..=1.0).contains(&weight)
        {
            return Err(InvalidQuery::Weight {
                medium: medium.as_str(),
                weight,
            });
        }
    }
    Ok(weights)
}

fn limit(limit: u32) -> Result<Option<usize>, InvalidQuery> {
    match limit {
        0 => Ok(None),
        limit if limit as usize > limits::ENDPOINTS => Err(InvalidQuery::LimitTooLarge(limit)),
        limit => Ok(Some(limit as usize)),
    }
}

fn estimation(wire: &v1::Estimation, input: &Input) -> Result<Estimation, InvalidQuery> {
    if !matches!(
        input,
        Input::Text(_) | Input::Chat(_) | Input::Completion(_)
    ) {
        return Err(InvalidQuery::EstimationNotWith(input.kind()));
    }
    let or_default = |part, given: u32, default, limit: u32| match given {
        0 => Ok(default),
        seen if seen > limit => Err(InvalidQuery::Estimation { part, seen, limit }),
        seen => Ok(seen),
    };
    let default = Estimation::default();
    let (bytes, blocks) = (limits::BLOCK_SIZE, limits::TEXT_BLOCKS);
    Ok(Estimation {
        block_bytes: or_default("block_bytes", wire.block_bytes, default.block_bytes, bytes)?,
        max_blocks: or_default("max_blocks", wire.max_blocks, default.max_blocks, blocks)?,
    })
}

impl From<ScoreQuery> for ScoreRequest {
    fn from(query: ScoreQuery) -> Self {
        let weights = (query.weights != MediumWeights::default()).then_some(v1::MediumWeights {
            gpu: query.weights.gpu,
            cpu: query.weights.cpu,
            disk: query.weights.disk,
            remote: query.weights.remote,
        });
        Self {
            request_id: query.request_id,
            model: query.model,
            input: Some(query.input.into()),
            lora: query.lora,
            cache_salt: query.salt.map(|salt| salt.expose().to_owned()),
            items: query.items.into_iter().map(wire_item).collect(),
            candidates: query.candidates.iter().map(Candidate::to_string).collect(),
            weights,
            limit: query
                .limit
                .map_or(0, |limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            include_unmatched: query.include_unmatched,
            include_token_ids: query.include_token_ids,
            include_route_keys: query.include_route_keys,
            estimation: query.estimation.map(|estimation| v1::Estimation {
                block_bytes: estimation.block_bytes,
                max_blocks: estimation.max_blocks,
            }),
        }
    }
}

fn wire_item(item: MediaItem) -> v1::MediaItem {
    v1::MediaItem {
        identifier: item.identifier,
        offset: item.offset,
        length: item.length,
    }
}

impl From<Input> for WireInput {
    fn from(input: Input) -> Self {
        match input {
            Input::Text(text) => Self::Text(text),
            Input::Chat(body) => Self::Chat(body),
            Input::Completion(body) => Self::Completion(body),
            Input::Tokens(ids) => Self::dense(&ids),
            Input::Keys(keys) => Self::Keys(v1::BlockKeys {
                values: keys.values,
                block_size: keys.block_size.unwrap_or(0),
                form: match keys.form {
                    KeyForm::Key => Form::Key,
                    KeyForm::Rolling => Form::Rolling,
                    KeyForm::Local => Form::Local,
                }
                .into(),
                prompt_tokens: keys.prompt_tokens.unwrap_or(0),
            }),
        }
    }
}
