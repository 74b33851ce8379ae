use crate::json::JsonError;

/// Why a request body is refused. The text names the place in the body, what was
/// found there and what is allowed; values that may be secret are not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than the limit.
    #[error(
        "body of {bytes} bytes exceeds the limit of {limit} bytes; shorten the prompt or raise the limit"
    )]
    TooLarge {
        /// The body's size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The body is not JSON that can be represented exactly.
    #[error("body is not usable JSON; send one JSON object in UTF-8")]
    Json(#[source] JsonError),
    /// A field has another type than the API gives it.
    #[error("{path}: found {found}, allowed is {allowed}")]
    WrongType {
        /// Where, such as `messages[2].content`.
        path: String,
        /// The JSON type that was found.
        found: &'static str,
        /// The types that are allowed.
        allowed: &'static str,
    },
    /// A required field is absent.
    #[error("{path}: missing; give {allowed}")]
    Missing {
        /// Where the field should be.
        path: String,
        /// What is allowed there.
        allowed: &'static str,
    },
    /// A field has a value outside the allowed ones.
    #[error("{path}: found {found}, allowed is {allowed}")]
    BadValue {
        /// Where.
        path: String,
        /// What was found, shortened.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A list is longer than the limit.
    #[error("{path}: {count} entries exceed the limit of {limit}")]
    TooMany {
        /// Which list.
        path: String,
        /// Its length.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Two fields contradict each other.
    #[error("{path}: {reason}")]
    Conflict {
        /// The field to change.
        path: String,
        /// The contradiction and its fix.
        reason: &'static str,
    },
    /// The prompt holds media. How many tokens an item takes is known only to the
    /// engine's processor, so the token ids cannot be computed here.
    #[error(
        "{path}: a part of type {kind:?} takes a number of tokens that only the engine knows; \
         send the prompt's token ids together with its media items (identifier, offset, length) instead"
    )]
    MediaNeedsTokens {
        /// Which part.
        path: String,
        /// Its type, such as `image_url`.
        kind: String,
    },
    /// The request brings its own template, and such templates are switched off.
    #[error(
        "chat_template: templates in requests are switched off, as in vLLM without \
         --trust-request-chat-template; leave it out, or allow it in this service too"
    )]
    TemplateNotAllowed,
}
