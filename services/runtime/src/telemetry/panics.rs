//! A panic is a bug: it must stand in the log, in the log's own form.

use std::backtrace::Backtrace;
use std::panic::{self, PanicHookInfo};

/// From now on panics go to the log instead of to standard error.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(log_panic));
}

fn log_panic(info: &PanicHookInfo<'_>) {
    // Empty unless RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let thread = std::thread::current();
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        location = info.location().map(tracing::field::display),
        %backtrace,
        "panic: {}",
        message(info)
    );
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text")
}
