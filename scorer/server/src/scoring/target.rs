//! What a request's model name stands for.

use std::collections::BTreeSet;
use std::sync::Arc;

use proto_model::{Extras, KeySpace, Lora};

use super::view::Directories;
use super::{ScoreError, Warnings};
use crate::models::{ConfiguredModel, ModelCatalog};

/// The model and adapter that a query is about.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// The base model.
    pub(crate) model: String,
    /// The adapter, with what the configuration adds to its name.
    pub(crate) lora: Option<Lora>,
    /// The model's settings, if it has any.
    pub(crate) configured: Option<&'a ConfiguredModel>,
}

impl<'a> Target<'a> {
    /// Resolves aliases and adapters, by configuration first and by what
    /// endpoints have announced second.
    pub(crate) fn resolve(
        catalog: &'a ModelCatalog,
        directories: &Directories<'_>,
        model: &str,
        lora: Option<&str>,
    ) -> Result<Self, ScoreError> {
        if model.is_empty() {
            return Err(ScoreError::ModelMissing);
        }
        let (model, named) = match catalog.find(model) {
            Some((found, adapter)) => (found.config.name.clone(), adapter.cloned()),
            None => announced(directories, model)?
                .ok_or_else(|| unknown(catalog, directories, model))?,
        };
        let configured = catalog.find(&model).map(|(found, _)| found);
        let lora = lora.map(bare).or(named).map(|lora| {
            configured
                .and_then(|found| found.adapter(&lora.name))
                .cloned()
                .unwrap_or(lora)
        });
        Ok(Self {
            model,
            lora,
            configured,
        })
    }

    /// The spaces in which the query's blocks can have keys.
    pub(crate) fn spaces(&self, directories: &Directories<'_>) -> Vec<Arc<KeySpace>> {
        directories
            .spaces(&self.model)
            .into_iter()
            .filter(|space| self.fits(space))
            .cloned()
            .collect()
    }

    /// The space that endpoints will store the query's blocks in as soon as they
    /// store any, if the configuration says how long blocks are.
    pub(crate) fn configured_space(&self) -> Option<Arc<KeySpace>> {
        let config = &self.configured?.config;
        Some(Arc::new(KeySpace {
            profile: config.profile,
            model: self.model.clone(),
            lora: self.lora.as_ref().map(|lora| lora.name.clone()),
            block_size: config.block_size?,
            extras: Extras::Published,
        }))
    }

    /// Says what in the spaces is not as the configuration has it.
    pub(crate) fn warn(&self, spaces: &[Arc<KeySpace>], warnings: &mut Warnings) {
        if spaces.is_empty() {
            warnings.push(match &self.lora {
                Some(lora) => format!(
                    "no endpoint has stored blocks of model {} with adapter {}",
                    self.model, lora.name
                ),
                None => format!("no endpoint has stored blocks of model {}", self.model),
            });
        }
        let Some(configured) = self.configured.map(|model| &model.config) else {
            return;
        };
        for space in spaces {
            if let Some(size) = configured
                .block_size
                .filter(|size| *size != space.block_size)
            {
                warnings.push(format!(
                    "endpoints store blocks of {} tokens, but {size} is configured for model {}",
                    space.block_size, self.model
                ));
            }
        }
    }

    /// Whether blocks of the query's adapter lie in the space. Events of some
    /// versions carry the adapter's number only, which stands there as `#id`.
    fn fits(&self, space: &KeySpace) -> bool {
        match (&self.lora, &space.lora) {
            (None, None) => true,
            (Some(lora), Some(name)) => {
                lora.name == *name || lora.id.is_some_and(|id| *name == format!("#{id}"))
            }
            _ => false,
        }
    }
}

/// A name that only endpoints have announced: a base model, or an adapter.
fn announced(
    directories: &Directories<'_>,
    name: &str,
) -> Result<Option<(String, Option<Lora>)>, ScoreError> {
    if directories.know_model(name) {
        return Ok(Some((name.to_owned(), None)));
    }
    let mut models = directories.models_with_adapter(name).into_iter();
    match (models.next(), models.next()) {
        (Some(_), Some(_)) => Err(ambiguous(directories, name)),
        (base, _) => Ok(base.map(|base| (base.to_owned(), Some(bare(name))))),
    }
}

fn bare(name: &str) -> Lora {
    Lora {
        name: name.to_owned(),
        id: None,
        path: None,
    }
}

fn ambiguous(directories: &Directories<'_>, lora: &str) -> ScoreError {
    let models = directories
        .models_with_adapter(lora)
        .into_iter()
        .map(str::to_owned)
        .collect();
    ScoreError::AmbiguousAdapter {
        lora: lora.to_owned(),
        models,
    }
}

fn unknown(catalog: &ModelCatalog, directories: &Directories<'_>, model: &str) -> ScoreError {
    let configured = catalog.models().map(|model| model.config.name.as_str());
    let known: BTreeSet<&str> = directories.models().into_iter().chain(configured).collect();
    ScoreError::UnknownModel {
        model: model.chars().take(128).collect(),
        known: known.into_iter().map(str::to_owned).collect(),
    }
}
