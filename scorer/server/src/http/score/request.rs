//! The request's JSON.

use proto_api::v1::block_keys::Form;
use proto_api::v1::score_request::Input;
use proto_api::v1::{BlockKeys, Estimation, MediaItem, MediumWeights, ScoreRequest, TokenIds};
use proto_api::{Failure, FailureKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::hash_number::HashNumber;

/// Fields as in `kvatlas.v1.ScoreRequest`; bodies are JSON objects as they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreJson {
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    model: String,
    text: Option<String>,
    chat: Option<Box<RawValue>>,
    completion: Option<Box<RawValue>>,
    tokens: Option<Vec<u32>>,
    keys: Option<KeysJson>,
    lora: Option<String>,
    cache_salt: Option<String>,
    #[serde(default)]
    items: Vec<ItemJson>,
    #[serde(default)]
    candidates: Vec<String>,
    weights: Option<WeightsJson>,
    #[serde(default)]
    limit: u32,
    #[serde(default)]
    include_unmatched: bool,
    #[serde(default)]
    include_token_ids: bool,
    #[serde(default)]
    include_route_keys: bool,
    estimation: Option<EstimationJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EstimationJson {
    #[serde(default)]
    block_bytes: u32,
    #[serde(default)]
    max_blocks: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysJson {
    values: Vec<HashNumber>,
    #[serde(default)]
    block_size: u32,
    form: FormJson,
    #[serde(default)]
    prompt_tokens: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum FormJson {
    Key,
    Rolling,
    Local,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemJson {
    identifier: String,
    offset: u32,
    length: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsJson {
    gpu: Option<f64>,
    cpu: Option<f64>,
    disk: Option<f64>,
    remote: Option<f64>,
}

impl ScoreJson {
    /// The message, which is then checked like one that came by gRPC. `tokens` are
    /// those that were taken out of the body.
    pub(super) fn into_request(self, tokens: Option<Vec<u32>>) -> Result<ScoreRequest, Failure> {
        let inputs = [
            self.text.map(Input::Text),
            self.chat.map(|body| Input::Chat(raw(body))),
            self.completion.map(|body| Input::Completion(raw(body))),
            tokens
                .or(self.tokens)
                .map(|ids| Input::Tokens(TokenIds { ids })),
            self.keys.map(|keys| Input::Keys(keys.into())),
        ];
        let mut inputs = inputs.into_iter().flatten();
        let input = inputs.next();
        if inputs.next().is_some() {
            let text = "several inputs are set; set one of text, chat, completion, tokens, keys";
            return Err(Failure::of_field(
                FailureKind::InvalidArgument,
                "input",
                text,
            ));
        }
        let item = |item: ItemJson| MediaItem {
            identifier: item.identifier,
            offset: item.offset,
            length: item.length,
        };
        let weights = |weights: WeightsJson| MediumWeights {
            gpu: weights.gpu,
            cpu: weights.cpu,
            disk: weights.disk,
            remote: weights.remote,
        };
        Ok(ScoreRequest {
            request_id: self.request_id,
            model: self.model,
            input,
            lora: self.lora,
            cache_salt: self.cache_salt,
            items: self.items.into_iter().map(item).collect(),
            candidates: self.candidates,
            weights: self.weights.map(weights),
            limit: self.limit,
            include_unmatched: self.include_unmatched,
            include_token_ids: self.include_token_ids,
            include_route_keys: self.include_route_keys,
            estimation: self.estimation.map(|estimation| Estimation {
                block_bytes: estimation.block_bytes,
                max_blocks: estimation.max_blocks,
            }),
        })
    }
}

fn raw(body: Box<RawValue>) -> axum::body::Bytes {
    Box::<str>::from(body).into_string().into()
}

impl From<KeysJson> for BlockKeys {
    fn from(keys: KeysJson) -> Self {
        let form = match keys.form {
            FormJson::Key => Form::Key,
            FormJson::Rolling => Form::Rolling,
            FormJson::Local => Form::Local,
        };
        Self {
            values: keys.values.into_iter().map(|hash| hash.0).collect(),
            block_size: keys.block_size,
            form: form.into(),
            prompt_tokens: keys.prompt_tokens,
        }
    }
}
