//! The bodies of both dialects, and what they ask.

use proto_api::{Failure, FailureKind, Input, InvalidQuery, KeyForm, KeyList, ScoreQuery, limits};
use proto_model::CacheSalt;
use serde::Deserialize;

use crate::http::body::WithTokens;
use crate::http::hash_number::HashNumber;
use crate::http::instances::InstanceNames;
use crate::scoring::{Outcome, Row};

/// Tenant of Mooncake, routing group of Dynamo: stands for all clusters.
const DEFAULT_GROUP: &str = "default";

/// Any body of either dialect. Fields that neither service reads are left
/// unread here, too, as clients send what their service ignores.
#[derive(Deserialize)]
pub(super) struct DialectJson {
    model_name: Option<String>,
    model: Option<String>,
    token_ids: Option<Vec<u32>>,
    /// Dynamo's local hashes.
    block_hashes: Option<Vec<HashNumber>>,
    /// Mooncake's rolling hashes.
    #[serde(alias = "block_hash")]
    seq_hashes: Option<Vec<HashNumber>>,
    lora_name: Option<String>,
    lora_id: Option<i64>,
    cache_salt: Option<String>,
    block_size: Option<u32>,
    instance_id: Option<String>,
    tenant_id: Option<String>,
    routing_group: Option<String>,
}

/// Whose words a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Dynamo,
    Mooncake,
}

/// One request, understood; its query travels beside it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) dialect: Dialect,
    /// Tenant or routing group.
    pub(super) group: String,
    /// Only this instance.
    instance: Option<String>,
    /// Only endpoints with this block size.
    block_size: Option<u32>,
    /// Whether the hashes have no place for an adapter.
    base_model_only: bool,
}

impl DialectJson {
    /// `/query`: token ids.
    pub(super) fn into_query(read: WithTokens<Self>) -> Result<(Asked, ScoreQuery), Failure> {
        let (mut this, list) = (read.body, read.token_ids);
        let ids = list
            .or_else(|| this.token_ids.take())
            .ok_or_else(|| missing("token_ids", "/query"))?;
        if ids.len() > limits::TOKENS {
            return Err(too_large("token_ids", ids.len(), limits::TOKENS));
        }
        let salt = this.cache_salt.take().filter(|salt| !salt.is_empty());
        if let Some(salt) = salt.as_ref().filter(|salt| salt.len() > limits::SALT_BYTES) {
            return Err(InvalidQuery::Salt(salt.len()).into());
        }
        let (asked, mut query) = this.into_asked(Input::Tokens(ids))?;
        query.salt = salt.map(CacheSalt::new);
        Ok((asked, query))
    }

    /// `/query_by_hash`: local hashes (Dynamo) or rolling ones (Mooncake).
    pub(super) fn into_query_by_hash(mut self) -> Result<(Asked, ScoreQuery), Failure> {
        self.refuse_salt()?;
        let dialect = self.dialect()?;
        let (field, values, form) = match dialect {
            Dialect::Dynamo => {
                self.refuse_dynamo_lora()?;
                ("block_hashes", self.block_hashes.take(), KeyForm::Local)
            }
            Dialect::Mooncake => ("seq_hashes", self.seq_hashes.take(), KeyForm::Rolling),
        };
        let values = values.ok_or_else(|| missing(field, "/query_by_hash"))?;
        if values.len() > limits::KEYS {
            return Err(too_large(field, values.len(), limits::KEYS));
        }
        let keys = KeyList {
            values: values.into_iter().map(|hash| hash.0).collect(),
            form,
            block_size: self.block_size.filter(|size| *size != 0),
            prompt_tokens: None,
        };
        let (mut asked, query) = self.into_asked(Input::Keys(keys))?;
        asked.base_model_only = dialect == Dialect::Dynamo;
        Ok((asked, query))
    }

    fn into_asked(self, input: Input) -> Result<(Asked, ScoreQuery), Failure> {
        let dialect = self.dialect()?;
        let lora = self.lora()?;
        let (model, group, block_size) = match dialect {
            // Dynamo's block size is the indexer's, and tenant_id is ignored.
            Dialect::Dynamo => (self.model_name, self.routing_group, None),
            Dialect::Mooncake => {
                let size = self.block_size.filter(|size| *size != 0);
                let size = size.ok_or_else(|| missing("block_size", "Mooncake's query routes"))?;
                (self.model, self.tenant_id, Some(size))
            }
        };
        let mut query = ScoreQuery::new(model.unwrap_or_default(), input);
        query.lora = lora;
        let group = group.filter(|group| !group.is_empty());
        // Dynamo's reply leaves them out; but whether a group exists, they tell.
        query.include_unmatched = dialect == Dialect::Mooncake || group.is_some();
        let asked = Asked {
            dialect,
            group: group.unwrap_or_else(|| DEFAULT_GROUP.to_owned()),
            instance: self.instance_id,
            block_size,
            base_model_only: false,
        };
        Ok((asked, query))
    }

    fn dialect(&self) -> Result<Dialect, Failure> {
        let named = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
        match (named(&self.model_name), named(&self.model)) {
            (true, false) => Ok(Dialect::Dynamo),
            (false, true) => Ok(Dialect::Mooncake),
            (both, _) => {
                let seen = if both {
                    "both are set"
                } else {
                    "neither is set"
                };
                let text = format!("set model_name (Dynamo) or model (Mooncake); {seen}");
                Err(invalid("model", text))
            }
        }
    }

    fn lora(&self) -> Result<Option<String>, Failure> {
        let name = self.lora_name.clone().filter(|name| !name.is_empty());
        // Mooncake's clients write -1 for "none".
        match (name, self.lora_id.filter(|id| *id >= 0)) {
            (Some(_), Some(_)) => Err(invalid(
                "lora_id",
                "lora_id and lora_name are both set; set lora_name only",
            )),
            (Some(name), None) if name.len() > limits::NAME_BYTES => {
                Err(InvalidQuery::NameTooLong {
                    field: "lora_name",
                    length: name.len(),
                }
                .into())
            }
            (name, id) => Ok(name.or_else(|| id.map(|id| format!("#{id}")))),
        }
    }

    fn refuse_salt(&self) -> Result<(), Failure> {
        match self.cache_salt.as_deref() {
            None | Some("") => Ok(()),
            Some(_) => Err(invalid(
                "cache_salt",
                "a salt changes the hashes themselves and cannot be added to them; \
                 leave it out, or send token_ids to /query",
            )),
        }
    }

    fn refuse_dynamo_lora(&self) -> Result<(), Failure> {
        match self.lora_name.as_deref() {
            None | Some("") => Ok(()),
            Some(_) => Err(invalid(
                "lora_name",
                "Dynamo seeds an adapter's local hashes with its name, so they are not comparable \
                 with this index's; send token_ids to /query",
            )),
        }
    }
}

impl Asked {
    /// Refuses an outcome that the hashes cannot have meant.
    pub(super) fn check(&self, outcome: Outcome) -> Result<Outcome, Failure> {
        if self.base_model_only && outcome.lora.is_some() {
            return Err(invalid(
                "model_name",
                "this is an adapter, whose hashes Dynamo seeds with its name; send token_ids to /query",
            ));
        }
        Ok(outcome)
    }

    /// The failure that Mooncake answers with an empty list: nobody serves the
    /// model, or not with blocks of this size.
    pub(super) fn means_nobody(&self, failure: &Failure) -> bool {
        let block_size = failure.field.as_deref() == Some("keys.block_size");
        self.dialect == Dialect::Mooncake && (failure.kind == FailureKind::NotFound || block_size)
    }

    /// Dynamo has an indexer per group, and says so if there is none.
    pub(super) fn no_group(&self) -> Option<Failure> {
        let asked = self.dialect == Dialect::Dynamo && self.group != DEFAULT_GROUP;
        asked.then(|| {
            let group: String = self.group.chars().take(64).collect();
            let text = format!("no endpoint of routing_group {group}; groups are clusters here");
            Failure::of_field(FailureKind::NotFound, "routing_group", text)
        })
    }

    /// Whether the request asks about this row.
    pub(super) fn wants(&self, row: &Row, instances: &InstanceNames) -> bool {
        let endpoint = &row.publisher.endpoint;
        (self.group == DEFAULT_GROUP || self.group == endpoint.cluster())
            && self.block_size.is_none_or(|size| size == row.block_size())
            && self
                .instance
                .as_ref()
                .is_none_or(|id| instances.means(id, endpoint))
    }
}

fn invalid(field: &'static str, text: impl Into<String>) -> Failure {
    Failure::of_field(FailureKind::InvalidArgument, field, text)
}

fn missing(field: &'static str, route: &str) -> Failure {
    invalid(field, format!("{field} is missing; {route} needs it"))
}

fn too_large(field: &'static str, size: usize, limit: usize) -> Failure {
    let text = format!("{field} has {size} elements; at most {limit} are allowed");
    Failure::of_field(FailureKind::TooLarge, field, text)
}
