//! Which of a model's chat templates a request gets.

use super::tokenizer_config::templates;
use super::{LoadError, ModelFiles, ModelOptions, TokenizerConfig};
use crate::template::Template;

/// A model's templates, chosen as vLLM chooses: a configured one for everything;
/// else the processor's, unless there are tools; else the tokenizer's.
#[derive(Debug, Default)]
pub(super) struct Templates {
    configured: Option<Template>,
    processor: Option<Template>,
    default: Option<Template>,
    tool_use: Option<Template>,
}

impl Templates {
    pub(super) fn load(
        files: &ModelFiles,
        config: &TokenizerConfig,
        options: &ModelOptions,
    ) -> Result<Self, LoadError> {
        if let Some(source) = &options.chat_template {
            let configured = compile("configuration", "default", source, options)?;
            return Ok(Self {
                configured: Some(configured),
                ..Self::default()
            });
        }
        let mut loaded = Self::default();
        if let Some(source) = processor_source(files)? {
            loaded.processor = Some(compile("processor", "default", &source, options)?);
        }
        for (file, name, source) in tokenizer_sources(files, config)? {
            let place = match name.as_str() {
                "default" => &mut loaded.default,
                "tool_use" => &mut loaded.tool_use,
                _ => continue,
            };
            *place = Some(compile(file, &name, &source, options)?);
        }
        Ok(loaded)
    }

    pub(super) fn pick(&self, has_tools: bool) -> Option<&Template> {
        let tokenizer = if has_tools {
            self.tool_use.as_ref()
        } else {
            None
        };
        let processor = if has_tools {
            None
        } else {
            self.processor.as_ref()
        };
        let first = self
            .configured
            .as_ref()
            .or(processor)
            .or(tokenizer)
            .or(self.default.as_ref());
        // A model whose only template is the processor's serves tools with it.
        first.or(self.processor.as_ref())
    }
}

/// The template of a multimodal model's processor, in a file of its own.
fn processor_source(files: &ModelFiles) -> Result<Option<String>, LoadError> {
    for (file, content) in [
        ("chat_template.json", files.chat_template_json()?),
        ("processor_config.json", files.processor_config()?),
    ] {
        let given = content.and_then(|mut content| {
            content
                .get_mut("chat_template")
                .map(serde_json::Value::take)
        });
        if let Some(given) = given.filter(|given| !given.is_null()) {
            let named = templates(given, file)?;
            return Ok(named
                .into_iter()
                .find(|(name, _)| name == "default")
                .map(|(_, source)| source));
        }
    }
    Ok(None)
}

/// The tokenizer's templates; template files come before the configuration.
fn tokenizer_sources(
    files: &ModelFiles,
    config: &TokenizerConfig,
) -> Result<Vec<(&'static str, String, String)>, LoadError> {
    const FILE: &str = "chat_template.jinja";
    let mut sources = Vec::new();
    let Some(content) = &files.chat_template else {
        let named = config.chat_templates.iter();
        return Ok(named
            .map(|(name, source)| ("tokenizer_config.json", name.clone(), source.clone()))
            .collect());
    };
    sources.push((FILE, "default".to_owned(), text(content, FILE)?));
    for (name, content) in &files.additional_templates {
        sources.push((
            "additional_chat_templates",
            name.clone(),
            text(content, name)?,
        ));
    }
    Ok(sources)
}

fn text(content: &[u8], file: &str) -> Result<String, LoadError> {
    std::str::from_utf8(content)
        .map(str::to_owned)
        .map_err(|_| LoadError::NotText {
            file: file.to_owned(),
        })
}

fn compile(
    file: &str,
    name: &str,
    source: &str,
    options: &ModelOptions,
) -> Result<Template, LoadError> {
    let compiled =
        Template::compile(source, options.render, options.clock.clone()).map_err(|source| {
            LoadError::Template {
                file: file.to_owned(),
                template: name.to_owned(),
                source,
            }
        })?;
    Ok(match options.content_format {
        Some(format) => compiled.with_content_format(format),
        None => compiled,
    })
}
