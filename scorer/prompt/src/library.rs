//! Loaded models by name: lazily, once, shared, and not too many.

mod error;
mod slot;

pub use error::LibraryError;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::hub::{HubConfig, HubModel};
use crate::model::{Model, ModelOptions, TokenReuse};
use crate::token_cache::TokenCache;
use slot::Slot;

/// Which models there are and how they are kept.
#[derive(Clone)]
pub struct LibraryConfig {
    /// The known models by the name that requests use.
    pub models: BTreeMap<String, ModelSource>,
    /// What to do with names that are not among them.
    pub unlisted: Unlisted,
    /// Where hub models are found.
    pub hub: HubConfig,
    /// Models held in memory at once, at least 1; beyond it the least recently
    /// used goes.
    pub capacity: usize,
    /// How long a failure to load is remembered before the next attempt.
    pub failure_ttl: Duration,
    /// Bytes of token ids, and of the texts they belong to, that are remembered for
    /// all models together, so that a conversation's next turn costs its new text
    /// only. 0: every prompt is tokenised in full.
    pub token_cache_bytes: usize,
    /// The clock that `failure_ttl` is measured with.
    pub now: fn() -> Instant,
}

impl Default for LibraryConfig {
    fn default() -> Self {
        Self {
            models: BTreeMap::new(),
            unlisted: Unlisted::FromCache,
            hub: HubConfig::default(),
            capacity: 16,
            failure_ttl: Duration::from_secs(30),
            token_cache_bytes: 256 << 20,
            now: Instant::now,
        }
    }
}

impl fmt::Debug for LibraryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibraryConfig")
            .field("models", &self.models.keys())
            .field("unlisted", &self.unlisted)
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

/// What a name that is not configured may do. Names come from requests, so the
/// default lets them reach neither the network nor any directory but the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unlisted {
    /// Nothing: the name is unknown.
    Refuse,
    /// Name a hub model that is in the local cache.
    #[default]
    FromCache,
    /// Name any hub model; it is downloaded if it is not in the cache.
    Download,
}

/// One configured model.
#[derive(Debug, Clone)]
pub struct ModelSource {
    /// Where its files are.
    pub location: ModelLocation,
    /// How the engines serve it.
    pub options: ModelOptions,
}

/// Where a model's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelLocation {
    /// In a directory.
    Directory(PathBuf),
    /// On the hub, or in its cache.
    Hub(HubModel),
}

/// Models, loaded when they are first asked for. Shared between threads.
#[derive(Debug)]
pub struct ModelLibrary {
    config: LibraryConfig,
    token_cache: Arc<TokenCache>,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_name: HashMap<String, Entry>,
    /// Counts uses, to tell the least recent.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<Slot>,
    last_use: u64,
}

impl ModelLibrary {
    /// An empty library.
    #[must_use]
    pub fn new(config: LibraryConfig) -> Self {
        Self {
            token_cache: Arc::new(TokenCache::new(config.token_cache_bytes)),
            config,
            slots: Mutex::default(),
        }
    }

    /// What all models remember of texts and their token ids.
    #[must_use]
    pub fn token_cache(&self) -> &Arc<TokenCache> {
        &self.token_cache
    }

    /// The model of this name, loaded now if it is not. Blocks on files and,
    /// where that is allowed, on the network: call it where blocking is.
    /// Requests for one model that come together load it once.
    pub fn get(&self, name: &str) -> Result<Arc<Model>, LibraryError> {
        let location = self.location(name)?;
        let slot = self.slot(name)?;
        slot.get_or_load(self.config.failure_ttl, self.config.now, || {
            self.load(name, location)
        })
    }

    /// The model of this name if it is loaded; never blocks on loading.
    #[must_use]
    pub fn loaded(&self, name: &str) -> Option<Arc<Model>> {
        let mut slots = self.slots.lock();
        slots.uses += 1;
        let uses = slots.uses;
        let entry = slots.by_name.get_mut(name)?;
        entry.last_use = uses;
        entry.slot.loaded()
    }

    /// Forgets what is known of a model, so that the next request reads its
    /// files again. Requests under way keep the model they have.
    pub fn reload(&self, name: &str) {
        self.slots.lock().by_name.remove(name);
    }

    fn location(&self, name: &str) -> Result<(ModelLocation, ModelOptions), LibraryError> {
        if let Some(source) = self.config.models.get(name) {
            return Ok((source.location.clone(), source.options.clone()));
        }
        let model = match self.config.unlisted {
            Unlisted::Refuse => None,
            Unlisted::FromCache | Unlisted::Download => HubModel::named(name).ok(),
        };
        let unknown = || LibraryError::Unknown {
            model: name.chars().take(128).collect(),
        };
        Ok((
            ModelLocation::Hub(model.ok_or_else(unknown)?),
            ModelOptions::default(),
        ))
    }

    fn load(&self, name: &str, from: (ModelLocation, ModelOptions)) -> Result<Model, LibraryError> {
        let (location, mut options) = from;
        let directory = match location {
            ModelLocation::Directory(directory) => directory,
            ModelLocation::Hub(model) => {
                let listed = self.config.models.contains_key(name);
                let may_download = listed || self.config.unlisted == Unlisted::Download;
                let found = if may_download {
                    self.config.hub.fetch(&model)
                } else {
                    self.config.hub.cached(&model)
                };
                found.map_err(|error| LibraryError::Hub(Arc::new(error)))?
            }
        };
        tracing::info!(model = name, directory = %directory.display(), "loading tokenizer and chat template");
        if self.config.token_cache_bytes > 0 {
            let cache = || Arc::clone(&self.token_cache);
            options.token_cache.get_or_insert_with(cache);
        }
        let model = Model::from_directory(name, &directory, options)
            .map_err(|error| LibraryError::Load(Arc::new(error)))?;
        let reuse = model.token_reuse();
        if matches!(reuse, TokenReuse::Words) || self.config.token_cache_bytes == 0 {
            tracing::info!(model = name, %reuse, "model loaded");
        } else {
            tracing::warn!(model = name, %reuse, "model loaded; tokenising costs more than it does with other tokenizers");
        }
        Ok(model)
    }

    fn slot(&self, name: &str) -> Result<Arc<Slot>, LibraryError> {
        let mut slots = self.slots.lock();
        slots.uses += 1;
        let last_use = slots.uses;
        if let Some(entry) = slots.by_name.get_mut(name) {
            entry.last_use = last_use;
            return Ok(Arc::clone(&entry.slot));
        }
        if slots.by_name.len() >= self.config.capacity.max(1) {
            slots.evict(self.config.capacity)?;
        }
        let slot = Arc::new(Slot::default());
        slots.by_name.insert(
            name.to_owned(),
            Entry {
                slot: Arc::clone(&slot),
                last_use,
            },
        );
        Ok(slot)
    }
}

impl Slots {
    /// Drops a remembered failure, or else the least recently used model.
    fn evict(&mut self, capacity: usize) -> Result<(), LibraryError> {
        let idle = self
            .by_name
            .iter()
            .filter(|(_, entry)| !entry.slot.is_loading());
        let victim = idle.min_by_key(|(_, entry)| (entry.slot.loaded().is_some(), entry.last_use));
        let Some(name) = victim.map(|(name, _)| name.clone()) else {
            return Err(LibraryError::Busy { loading: capacity });
        };
        self.by_name.remove(&name);
        Ok(())
    }
}
