//! Chat templates: Jinja as `transformers` sets it up, for the engine renders
//! through it.

mod bounds;
mod content_format;
mod environment;
mod error;
mod filters;
mod methods;
mod output;
mod python;
mod shape;
mod source;
mod stack;
mod strftime;
mod text;
mod tojson;
pub(crate) mod value;

pub use content_format::ContentFormat;
pub use environment::Clock;
pub use error::{RenderError, TemplateError};

use std::collections::HashSet;

use minijinja::{Environment, Value};

use crate::conversation::{self, CONTINUE_TAG};
use crate::limits::RenderLimits;
use crate::request::ChatParts;
use output::Bounded;

const NAME: &str = "chat_template";

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    format: ContentFormat,
    /// Continuing a message needs a template that mentions its field.
    mentions_content: bool,
    limits: RenderLimits,
}

impl Template {
    /// Compiles a template's source.
    pub fn compile(
        source: &str,
        limits: RenderLimits,
        clock: Clock,
    ) -> Result<Self, TemplateError> {
        let source = source::prepare(source);
        shape::check(&source)?;
        stack::with(stack::COMPILE, || {
            Self::compile_shallow(source, limits, clock)
        })
        .map_err(|reason| TemplateError { line: 0, reason })?
    }

    fn compile_shallow(
        source: String,
        limits: RenderLimits,
        clock: Clock,
    ) -> Result<Self, TemplateError> {
        let format = ContentFormat::detect(&source);
        let mentions_content = source.contains("content");
        let mut environment = environment::new(limits, clock);
        environment
            .add_template_owned(NAME, source)
            .map_err(|error| TemplateError::new(&error))?;
        Ok(Self {
            environment,
            format,
            mentions_content,
            limits,
        })
    }

    /// The same template, told how it wants message content instead of the
    /// detected way (`--chat-template-content-format`).
    #[must_use]
    pub fn with_content_format(mut self, format: ContentFormat) -> Self {
        self.format = format;
        self
    }

    /// How the template wants message content.
    #[must_use]
    pub fn content_format(&self) -> ContentFormat {
        self.format
    }

    /// The variables that the template reads and does not set itself.
    pub fn variables(&self) -> Result<HashSet<String>, RenderError> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| self.failure(&error))?;
        Ok(template.undeclared_variables(false))
    }

    /// Renders a conversation with the model's special tokens as variables and
    /// `defaults` where the request sets nothing.
    pub(crate) fn render(
        &self,
        parts: ChatParts,
        special_tokens: &[(String, Value)],
        defaults: &[(String, Value)],
    ) -> Result<String, RenderError> {
        let continued = parts.continue_final_message;
        if continued && !self.mentions_content {
            return Err(RenderError::NothingToContinue {
                reason: "the template does not use the field \"content\"",
            });
        }
        if continued && parts.messages.is_empty() {
            return Err(RenderError::NothingToContinue {
                reason: "there are no messages",
            });
        }
        let (messages, final_text) = conversation::build(parts.messages, self.format, continued);
        let tools = parts
            .tools
            .map(|tools| tools.into_iter().map(value::from_json).collect::<Value>());
        let mut variables: Vec<(String, Value)> = special_tokens.to_vec();
        variables.extend(defaults.iter().cloned());
        variables.push(("documents".to_owned(), Value::from(())));
        variables.extend(
            parts
                .variables
                .into_iter()
                .map(|(name, json)| (name, value::from_json(json))),
        );
        variables.push(("messages".to_owned(), Value::from(messages)));
        variables.push(("tools".to_owned(), tools.unwrap_or_else(|| Value::from(()))));
        let rendered = self.run(Value::from_pairs(variables))?;
        if continued {
            cut_at_tag(rendered, final_text)
        } else {
            Ok(rendered)
        }
    }

    /// Renders as [`render`](Self::render) does, with the stack for what a
    /// hostile template can build from [`RenderLimits::REQUEST_FUEL`].
    pub(crate) fn render_hostile(
        &self,
        parts: ChatParts,
        special_tokens: &[(String, Value)],
        defaults: &[(String, Value)],
    ) -> Result<String, RenderError> {
        stack::with(stack::RENDER, || {
            self.render(parts, special_tokens, defaults)
        })
        .map_err(|reason| RenderError::Failed { line: 0, reason })?
    }

    fn failure(&self, error: &minijinja::Error) -> RenderError {
        RenderError::from_jinja(error, self.limits.fuel)
    }

    fn run(&self, context: Value) -> Result<String, RenderError> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| self.failure(&error))?;
        let mut output = Bounded::new(self.limits.output_bytes);
        let result = template.render_captured_to(context, &mut output);
        if output.overflowed() {
            return Err(RenderError::TooLong {
                limit: self.limits.output_bytes,
            });
        }
        result.map_err(|error| self.failure(&error))?;
        output.into_text()
    }
}

/// Ends the prompt where the message to continue ends, dropping what the
/// template puts after it.
fn cut_at_tag(mut rendered: String, final_text: Option<String>) -> Result<String, RenderError> {
    let Some(final_text) = final_text else {
        return Err(RenderError::NothingToContinue {
            reason: "the last message has no text",
        });
    };
    let at = rendered.rfind(CONTINUE_TAG.trim_end());
    let (Some(at), true) = (at, rendered.contains(text::strip(&final_text))) else {
        return Err(RenderError::NothingToContinue {
            reason: "the template changes or drops the last message",
        });
    };
    let keeps_spaces = rendered[at..].starts_with(CONTINUE_TAG);
    rendered.truncate(at);
    if !keeps_spaces {
        rendered.truncate(text::rstrip(&rendered).len());
    }
    Ok(rendered)
}
