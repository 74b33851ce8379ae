//! All mistakes of a configuration at once.

use std::collections::BTreeSet;

use proto_model::Endpoint;
use proto_model::engine::EngineHasher;

use super::{Identity, IngestConfig};
use crate::AddressError;

/// Most ranks of one engine.
const RANKS: u32 = 1024;

/// One mistake: the field, what was seen, and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is nothing to listen to.
    #[error("neither bind nor connect names a socket; give at least one")]
    NoSockets,
    /// A port would lie beyond the last.
    #[error("{field}: {problem}")]
    Address {
        /// Which address.
        field: String,
        /// What is wrong with it.
        problem: AddressError,
    },
    /// A connect address has no host or port to connect to.
    #[error("{field} is {seen}; name a host and a port other than 0 to connect to")]
    NotConnectable {
        /// Which address.
        field: String,
        /// What it is.
        seen: String,
    },
    /// Two entries need the same port.
    #[error("{first} and {second} both use {address}; give each its own")]
    SameAddress {
        /// The earlier entry.
        first: String,
        /// The later entry.
        second: String,
        /// The address of both.
        address: String,
    },
    /// An identity that names no endpoint.
    #[error("{field}: {problem}")]
    Endpoint {
        /// Which identity.
        field: String,
        /// What is wrong with it.
        problem: proto_model::EndpointError,
    },
    /// A name is empty.
    #[error("{field} is empty; give a name")]
    EmptyName {
        /// Which.
        field: String,
    },
    /// A model has two entries, or two models share a name.
    #[error("{field} {name:?} is used before; model names and aliases must differ")]
    SameModel {
        /// Which.
        field: String,
        /// The name.
        name: String,
    },
    /// A block size of nothing.
    #[error("{field} is 0; give the engine's --block-size, or leave it out")]
    BlockSize {
        /// Which.
        field: String,
    },
    /// Hash rules under which nothing can be computed.
    #[error("{field}: {problem}")]
    HashRules {
        /// Which.
        field: String,
        /// What is wrong with them.
        problem: proto_model::engine::HashRulesError,
    },
    /// More ranks than any engine has.
    #[error("{field} is {seen}; at most {RANKS} ranks can be listened to")]
    Ranks {
        /// Which.
        field: String,
        /// How many.
        seen: u32,
    },
    /// Numbers that do not fit together.
    #[error("{low_field} ({low}) exceeds {high_field} ({high}); it must be at most that")]
    Order {
        /// The one that is too large.
        low_field: &'static str,
        /// Its value.
        low: String,
        /// The one that bounds it.
        high_field: &'static str,
        /// Its value.
        high: String,
    },
}

impl IngestConfig {
    /// Checks everything and returns all mistakes, not only the first.
    pub fn validate(&self) -> Result<(), Vec<ConfigError>> {
        let mut errors = Vec::new();
        if self.bind.is_empty() && self.connect.is_empty() {
            errors.push(ConfigError::NoSockets);
        }
        self.check_bind(&mut errors);
        self.check_connect(&mut errors);
        self.check_models(&mut errors);
        self.check_numbers(&mut errors);
        if let Err(problem) = Endpoint::new(&self.cluster, "x") {
            errors.push(ConfigError::Endpoint {
                field: "cluster".to_owned(),
                problem,
            });
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    fn check_bind(&self, errors: &mut Vec<ConfigError>) {
        let mut seen: Vec<(String, String)> = Vec::new();
        for (index, bind) in self.bind.iter().enumerate() {
            check_ranks(format!("bind[{index}].ranks"), bind.ranks.get(), errors);
            let field = format!("bind[{index}].address");
            for rank in 0..bind.ranks.get().min(RANKS) {
                match bind.address.for_rank(rank) {
                    Err(problem) => {
                        errors.push(ConfigError::Address {
                            field: field.clone(),
                            problem,
                        });
                        break;
                    }
                    Ok(address) if address.port() == 0 => {}
                    Ok(address) => note_address(&mut seen, &field, address.to_string(), errors),
                }
            }
            let last = bind.ranks.get() - 1;
            if let Some(port) = bind.replay_port
                && u32::from(port)
                    .checked_add(last)
                    .is_none_or(|last| last > u32::from(u16::MAX))
            {
                let problem = AddressError::RankBeyondPorts { port, rank: last };
                let field = format!("bind[{index}].replay_port");
                errors.push(ConfigError::Address { field, problem });
            }
            self.check_identity(
                &format!("bind[{index}].identity"),
                bind.identity.as_ref(),
                errors,
            );
        }
    }

    fn check_connect(&self, errors: &mut Vec<ConfigError>) {
        let mut seen: Vec<(String, String)> = Vec::new();
        for (index, connect) in self.connect.iter().enumerate() {
            check_ranks(
                format!("connect[{index}].ranks"),
                connect.ranks.get(),
                errors,
            );
            let named = [
                ("address", Some(&connect.address)),
                ("replay", connect.replay.as_ref()),
            ];
            for (name, address) in named {
                let Some(address) = address else { continue };
                let field = format!("connect[{index}].{name}");
                if address.port() == 0 || address.host() == "*" {
                    let seen = address.to_string();
                    errors.push(ConfigError::NotConnectable { field, seen });
                    continue;
                }
                for rank in 0..connect.ranks.get().min(RANKS) {
                    match address.for_rank(rank) {
                        Err(problem) => {
                            errors.push(ConfigError::Address {
                                field: field.clone(),
                                problem,
                            });
                            break;
                        }
                        Ok(address) => note_address(&mut seen, &field, address.to_string(), errors),
                    }
                }
            }
            let field = format!("connect[{index}].identity");
            self.check_identity(&field, connect.identity.as_ref(), errors);
        }
    }

    fn check_identity(
        &self,
        field: &str,
        identity: Option<&Identity>,
        errors: &mut Vec<ConfigError>,
    ) {
        let Some(identity) = identity else { return };
        let cluster = identity.cluster.as_deref().unwrap_or(&self.cluster);
        if let Err(problem) = Endpoint::new(cluster, &identity.address) {
            errors.push(ConfigError::Endpoint {
                field: field.to_owned(),
                problem,
            });
        }
        if identity.model.is_empty() {
            errors.push(ConfigError::EmptyName {
                field: format!("{field}.model"),
            });
        }
    }

    fn check_models(&self, errors: &mut Vec<ConfigError>) {
        let mut names = BTreeSet::new();
        for (index, model) in self.models.iter().enumerate() {
            let aliases = model.aliases.iter().map(|alias| ("aliases", alias));
            for (part, name) in std::iter::once(("name", &model.name)).chain(aliases) {
                let field = format!("models[{index}].{part}");
                if name.is_empty() {
                    errors.push(ConfigError::EmptyName { field });
                } else if !names.insert(name) {
                    errors.push(ConfigError::SameModel {
                        field,
                        name: name.clone(),
                    });
                }
            }
            if model.block_size == Some(0) {
                let field = format!("models[{index}].block_size");
                errors.push(ConfigError::BlockSize { field });
            }
            if let Some(Err(problem)) = model.hash.clone().map(EngineHasher::new) {
                errors.push(ConfigError::HashRules {
                    field: format!("models[{index}].hash"),
                    problem,
                });
            }
            for (adapter, found) in model.adapters.iter().enumerate() {
                if found.name.is_empty() {
                    let field = format!("models[{index}].adapters[{adapter}].name");
                    errors.push(ConfigError::EmptyName { field });
                }
            }
        }
    }

    fn check_numbers(&self, errors: &mut Vec<ConfigError>) {
        let bounds = &self.bounds;
        let mut at_most = |low_field, low: usize, high_field, high: usize| {
            if low > high {
                let (low, high) = (low.to_string(), high.to_string());
                errors.push(ConfigError::Order {
                    low_field,
                    low,
                    high_field,
                    high,
                });
            }
        };
        let message = bounds.message_bytes.get();
        at_most(
            "bounds.message_bytes",
            message,
            "bounds.queue_bytes",
            bounds.queue_bytes.get(),
        );
        let batch = self.batching.bytes.get();
        at_most(
            "batching.bytes",
            batch,
            "bounds.pending_bytes",
            bounds.pending_bytes.get(),
        );
        // A semaphore counts the queue's bytes in KiB.
        at_most(
            "bounds.queue_bytes",
            bounds.queue_bytes.get(),
            "1 TiB",
            1 << 40,
        );
        if self.backoff.initial > self.backoff.max {
            errors.push(ConfigError::Order {
                low_field: "backoff.initial",
                low: format!("{:?}", self.backoff.initial),
                high_field: "backoff.max",
                high: format!("{:?}", self.backoff.max),
            });
        }
    }
}

fn check_ranks(field: String, seen: u32, errors: &mut Vec<ConfigError>) {
    if seen > RANKS {
        errors.push(ConfigError::Ranks { field, seen });
    }
}

fn note_address(
    seen: &mut Vec<(String, String)>,
    field: &str,
    address: String,
    errors: &mut Vec<ConfigError>,
) {
    if let Some((first, _)) = seen.iter().find(|(_, other)| *other == address) {
        let (first, second) = (first.clone(), field.to_owned());
        errors.push(ConfigError::SameAddress {
            first,
            second,
            address,
        });
    } else {
        seen.push((field.to_owned(), address));
    }
}

#[cfg(test)]
mod tests;
