use std::sync::{Arc, Mutex};

use super::*;

/// A log that stays in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(log_format: LogFormat, level: &str, act: impl FnOnce()) -> String {
    let lines = Lines::default();
    let settings = TelemetrySettings {
        log_format,
        log_level: level.to_owned(),
        ..TelemetrySettings::default()
    };
    let writer = lines.clone();
    let layer = log_layer::<Registry, _>(&settings, move || writer.clone(), false).unwrap();
    let subscriber = tracing_subscriber::registry().with(vec![layer]);
    tracing::subscriber::with_default(subscriber, act);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn json_lines_are_objects_with_fields_and_span() {
    let log = logged(LogFormat::Json, "info", || {
        let _entered = tracing::info_span!("score", model = "m").entered();
        tracing::info!(tokens = 7, "scored");
        tracing::debug!("not shown");
    });
    assert_eq!(log.lines().count(), 1, "{log}");
    let line: serde_json::Value = serde_json::from_str(&log).unwrap();
    assert_eq!(line["message"], "scored");
    assert_eq!(line["tokens"], 7);
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["span"]["model"], "m");
}

#[test]
fn the_filter_knows_targets() {
    let log = logged(LogFormat::Text, "warn,chatty=debug", || {
        tracing::info!("hidden");
        tracing::debug!(target: "chatty", "shown");
    });
    assert!(log.contains("shown") && !log.contains("hidden"), "{log}");
}

#[test]
fn no_level_lets_a_library_log_the_prompts_that_it_sees() {
    for level in ["trace", "info,tokenizers=trace,h2=debug,minijinja=trace"] {
        let log = logged(LogFormat::Text, level, || {
            tracing::trace!(target: "tokenizers::tokenizer::normalizer", "secret");
            tracing::debug!(target: "tokenizers", "secret");
            tracing::info!(target: "minijinja", "secret");
            tracing::trace!(target: "h2::codec::framed_write", "secret");
            tracing::debug!(target: "hyper_util::client", "secret");
            tracing::warn!(target: "tokenizers", "a warning");
            tracing::info!("our own");
        });
        assert!(!log.contains("secret"), "{level}: {log}");
        assert!(log.contains("a warning"), "{level}: {log}");
        assert!(log.contains("our own"), "{level}: {log}");
    }
}

#[test]
fn a_library_that_repeats_itself_is_heard_only_if_it_is_named() {
    let speak = || tracing::error!(target: "openraft::replication", "away");
    let log = logged(LogFormat::Text, "trace", speak);
    assert_eq!(log, "");
    let log = logged(LogFormat::Text, "info,openraft=warn", speak);
    assert!(log.contains("away"), "{log}");
}

#[test]
fn a_wrong_filter_is_named() {
    let settings = TelemetrySettings {
        log_level: "x=y=z".to_owned(),
        ..TelemetrySettings::default()
    };
    let error = log_layer::<Registry, _>(&settings, io::stderr, false)
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("\"x=y=z\""), "{error}");
}

/// The log line of a panic.
fn panic_line(body: impl FnOnce() + std::panic::UnwindSafe) -> serde_json::Value {
    let log = logged(LogFormat::Json, "info", || {
        panics::log_panics();
        let caught = std::panic::catch_unwind(body);
        let _previous = std::panic::take_hook();
        assert!(caught.is_err());
    });
    serde_json::from_str(log.trim_end()).unwrap()
}

#[test]
fn a_panic_is_one_line_of_the_log_without_what_a_user_sent() {
    let line = panic_line(|| panic!("on purpose"));
    assert_eq!(line["message"], "panic: on purpose");
    assert!(line["location"].as_str().unwrap().contains("tests.rs"));
    let prompt = String::from("sécret");
    let line = panic_line(move || assert!(prompt[..2].is_empty()));
    assert!(
        line["message"]
            .as_str()
            .unwrap()
            .starts_with("panic: (text")
    );
    assert!(line["location"].as_str().unwrap().contains("tests.rs"));
    assert!(!line.to_string().contains("cret"), "{line}");
}
