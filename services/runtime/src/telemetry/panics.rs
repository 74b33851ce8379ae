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

/// The text of a panic, if it stands in the program. One that was put together
/// may quote a prompt (cutting a string in the middle of a character does), and
/// no prompt text goes to the log; the location tells which panic it was.
fn message(info: &PanicHookInfo<'_>) -> &'static str {
    let payload = info.payload();
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(text left out: it may quote what a user sent)")
}
