//! How large a request, and what its template makes of it, may be.

/// Bounds on one request body, checked before anything grows with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Messages of a chat request.
    pub messages: usize,
    /// Content parts and tool calls of one message, and tools and documents of a
    /// request.
    pub items: usize,
    /// Prompts of one completion request.
    pub prompts: usize,
    /// Token ids given in one request, over all its prompts.
    pub token_ids: usize,
    /// Bytes of a template in the request; 0 refuses such templates, as vLLM
    /// does without `--trust-request-chat-template`. A template that is allowed
    /// can use all memory of the process, or end it.
    pub template_bytes: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            messages: 16_384,
            items: 4_096,
            prompts: 1_024,
            token_ids: 4 << 20,
            template_bytes: 0,
        }
    }
}

/// Bounds on one rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderLimits {
    /// Template instructions that may run; a common template needs about 50 a
    /// message.
    pub fuel: u64,
    /// Bytes of the rendered prompt.
    pub output_bytes: usize,
}

impl RenderLimits {
    /// The most instructions for a template that came in a request, whatever
    /// `fuel` says.
    pub const REQUEST_FUEL: u64 = 100_000;
    /// The longest template in bytes that may come in a request, whatever
    /// [`RequestLimits::template_bytes`] says.
    pub const REQUEST_TEMPLATE_BYTES: usize = 64 << 10;

    /// The same bounds for a template that came in a request.
    pub(crate) fn for_request(self) -> Self {
        Self {
            fuel: self.fuel.min(Self::REQUEST_FUEL),
            ..self
        }
    }
}

impl Default for RenderLimits {
    fn default() -> Self {
        Self {
            fuel: 20_000_000,
            output_bytes: 64 << 20,
        }
    }
}
