//! Against real HTTP servers, kind and hostile.

mod engine;
mod hostile;
mod polls;
mod texts;
