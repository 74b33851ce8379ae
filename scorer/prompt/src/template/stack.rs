//! Work that recurses deeper than the stack of the caller's thread may allow.
//! A stack that overflows ends the process.

use std::thread;

/// Bytes for compiling what [`super::shape`] lets through.
pub(super) const COMPILE: usize = 64 << 20;
/// Bytes for comparing and freeing the deepest value that a request's template
/// can build, one level per unit of its fuel. A namespace that contains itself has
/// no depth, and no stack is enough to compare it.
pub(super) const RENDER: usize = 512 << 20;

/// Runs `work` with a stack of that many bytes; only those in use take memory.
pub(super) fn with<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("template".to_owned())
            .stack_size(bytes)
            .spawn_scoped(scope, work)
            .map_err(|error| format!("no thread for it: {error}"))?
            .join()
            .map_err(|_| "it panicked".to_owned())
    })
}
