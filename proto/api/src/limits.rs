//! The most that one request may hold. Part of the contract: a larger request
//! is refused with the limit in the message, never cut.

/// One gRPC message or HTTP body, in bytes.
pub const MESSAGE_BYTES: usize = 8 << 20;

/// Prompt text, or a chat or completion body, in bytes.
pub const PROMPT_BYTES: usize = 4 << 20;

/// Token ids of one prompt.
pub const TOKENS: usize = 1 << 20;

/// Block keys of one prompt.
pub const KEYS: usize = 1 << 20;

/// Tokens per block.
pub const BLOCK_SIZE: u32 = 1 << 16;

/// A model's or adapter's name, in bytes.
pub const NAME_BYTES: usize = 512;

/// A request id, in bytes.
pub const REQUEST_ID_BYTES: usize = 128;

/// A cache salt, in bytes.
pub const SALT_BYTES: usize = 4096;

/// Media items of one prompt.
pub const ITEMS: usize = 4096;

/// A media item's identifier, in bytes.
pub const IDENTIFIER_BYTES: usize = 512;

/// Candidate endpoints of one request.
pub const CANDIDATES: usize = 16_384;

/// Endpoints in one answer.
pub const ENDPOINTS: usize = 16_384;

/// Endpoints on one page of the list.
pub const PAGE: usize = 1000;

/// Warnings in one answer.
pub const WARNINGS: usize = 16;

/// Stores that one scorer follows.
pub const STORES: usize = 64;

/// A model's or adapter's name in a batch, in bytes. Engines' events may have
/// longer ones than requests.
pub const STORED_NAME_BYTES: usize = 8192;

/// Block keys of one recorded route.
pub const ROUTE_KEYS: usize = 1 << 16;

/// The host of a leader's address, in bytes: the longest DNS name.
pub const HOST_BYTES: usize = 255;

/// The latest that a speculative route expires, in milliseconds from when it was
/// recorded.
pub const ROUTE_LIFETIME_MS: u32 = 60_000;

/// Keys of estimated routes that are remembered for one endpoint.
pub const ROUTE_CAPACITY: u32 = 1 << 20;

/// One `RecordRouteRequest`, in bytes.
pub const ROUTE_MESSAGE_BYTES: usize = 1 << 20;

/// Lists of route keys in one answer.
pub const ROUTE_KEY_LISTS: usize = 4;

/// Blocks of a prompt's text that estimation looks at.
pub const TEXT_BLOCKS: u32 = 16_384;
