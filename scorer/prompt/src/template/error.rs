use minijinja::ErrorKind;

/// A template's source cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chat template, line {line}: {reason}")]
pub struct TemplateError {
    /// Line of the error, from 1; 0 if unknown.
    pub line: usize,
    /// What the compiler saw.
    pub reason: String,
}

impl TemplateError {
    pub(super) fn new(error: &minijinja::Error) -> Self {
        Self {
            line: error.line().unwrap_or(0),
            reason: describe(error),
        }
    }
}

/// A template could not be rendered for a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The template itself refuses the conversation (`raise_exception`).
    #[error("the chat template refuses the conversation: {message}")]
    Refused {
        /// The template's own words.
        message: String,
    },
    /// The template ran for too long.
    #[error(
        "the chat template used up its {limit} instructions; shorten the conversation or raise the fuel limit"
    )]
    OutOfFuel {
        /// The configured limit.
        limit: u64,
    },
    /// The template wrote too much.
    #[error(
        "the rendered prompt exceeds {limit} bytes; shorten the conversation or raise the limit"
    )]
    TooLong {
        /// The configured limit in bytes.
        limit: usize,
    },
    /// `continue_final_message` is set, and there is nothing to continue.
    #[error("continue_final_message cannot be followed: {reason}")]
    NothingToContinue {
        /// Why.
        reason: &'static str,
    },
    /// The template failed on this conversation.
    #[error("chat template, line {line}: {reason}")]
    Failed {
        /// Line of the failing statement, from 1; 0 if unknown.
        line: usize,
        /// What failed.
        reason: String,
    },
}

/// The cause that `raise_exception` leaves in the error chain.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) String);

impl RenderError {
    pub(super) fn from_jinja(error: &minijinja::Error, fuel: u64) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(Raised(message)) = current.downcast_ref() {
                return Self::Refused {
                    message: message.clone(),
                };
            }
            if is_out_of_fuel(current) {
                return Self::OutOfFuel { limit: fuel };
            }
            cause = current.source();
        }
        Self::Failed {
            line: error.line().unwrap_or(0),
            reason: describe(error),
        }
    }
}

fn is_out_of_fuel(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<minijinja::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::OutOfFuel)
}

fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
