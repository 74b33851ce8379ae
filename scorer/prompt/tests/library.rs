//! Models are loaded lazily, once, and no more of them than allowed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use scorer_prompt::{
    LibraryConfig, LibraryError, Model, ModelLibrary, ModelLocation, ModelOptions, ModelSource,
    TokenReuse, TokenizeOptions,
};
use tempfile::TempDir;

fn recorded_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vllm/model")
}

fn library(models: &[(&str, &Path)], config: LibraryConfig) -> ModelLibrary {
    let models = models.iter().map(|(name, directory)| {
        let location = ModelLocation::Directory(directory.to_path_buf());
        (
            (*name).to_owned(),
            ModelSource {
                location,
                options: ModelOptions::default(),
            },
        )
    });
    ModelLibrary::new(LibraryConfig {
        models: models.collect(),
        ..config
    })
}

#[test]
fn requests_for_a_cold_model_load_it_once() {
    let directory = recorded_model();
    let library = library(&[("m", &directory)], LibraryConfig::default());
    assert!(library.loaded("m").is_none());
    let barrier = Barrier::new(8);
    let models = thread::scope(|scope| {
        let load = || {
            barrier.wait();
            library.get("m").unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(models.iter().all(|model| Arc::ptr_eq(model, &models[0])));
    assert!(Arc::ptr_eq(&library.loaded("m").unwrap(), &models[0]));
}

#[test]
fn reload_reads_the_files_again() {
    let directory = recorded_model();
    let library = library(&[("m", &directory)], LibraryConfig::default());
    let first = library.get("m").unwrap();
    library.reload("m");
    assert!(library.loaded("m").is_none());
    assert!(!Arc::ptr_eq(&first, &library.get("m").unwrap()));
}

#[test]
fn the_least_recently_used_model_goes_first() {
    let directory = recorded_model();
    let models = [
        ("a", directory.as_path()),
        ("b", &directory),
        ("c", &directory),
    ];
    let library = library(
        &models,
        LibraryConfig {
            capacity: 2,
            ..LibraryConfig::default()
        },
    );
    for name in ["a", "b", "a", "c"] {
        library.get(name).unwrap();
    }
    let loaded = ["a", "b", "c"].map(|name| library.loaded(name).is_some());
    assert_eq!(loaded, [true, false, true]);
}

#[test]
fn failures_are_remembered_for_a_while_and_take_no_ones_place() {
    static SECONDS: AtomicU64 = AtomicU64::new(0);
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    fn now() -> Instant {
        *START.get_or_init(Instant::now) + Duration::from_secs(SECONDS.load(Ordering::SeqCst))
    }
    let late = TempDir::new().unwrap();
    let good = recorded_model();
    let config = LibraryConfig {
        capacity: 2,
        failure_ttl: Duration::from_secs(10),
        now,
        ..LibraryConfig::default()
    };
    let library = library(
        &[
            ("late", late.path()),
            ("good", &good),
            ("none", Path::new("/nonexistent")),
        ],
        config,
    );
    library.get("good").unwrap();

    let error = library.get("late").unwrap_err();
    assert!(matches!(&error, LibraryError::Load(_)));
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(good.join(name), late.path().join(name)).unwrap();
    }
    assert!(library.get("late").is_err(), "remembered");
    SECONDS.store(11, Ordering::SeqCst);
    assert!(library.get("late").is_ok(), "tried again");

    library.reload("late");
    library.get("none").unwrap_err();
    library.get("late").unwrap();
    assert!(library.loaded("good").is_some(), "the failure made room");
}

#[test]
fn unknown_names_hold_no_place() {
    let library = library(&[], LibraryConfig::default());
    let error = library.get("/etc/passwd").unwrap_err();
    assert!(matches!(&error, LibraryError::Unknown { .. }) && !error.retryable());
    assert_eq!(
        error.to_string(),
        "model \"/etc/passwd\" is not configured; add it to the configured models, with its directory or its hub name"
    );
}

fn tokenize(model: &Model) -> Vec<u32> {
    let options = TokenizeOptions {
        add_special_tokens: true,
        truncate: None,
        truncate_right: false,
    };
    model.tokenize("some words", options, None).unwrap()
}

#[test]
fn models_share_one_memory_and_none_of_its_pieces() {
    let directory = recorded_model();
    let models = [("a", directory.as_path()), ("b", &directory)];
    let library = library(&models, LibraryConfig::default());
    let counts = |library: &ModelLibrary| {
        let stats = library.token_cache().stats();
        (stats.hits, stats.misses, stats.pieces, stats.bypassed)
    };
    let a = library.get("a").unwrap();
    assert_eq!(tokenize(&a), tokenize(&library.get("b").unwrap()));
    assert_eq!(counts(&library), (0, 2, 2, 0));
    // Files that are read again may be others.
    library.reload("a");
    tokenize(&library.get("a").unwrap());
    assert_eq!(counts(&library), (0, 3, 3, 0));
    tokenize(&a);
    assert_eq!(counts(&library), (1, 3, 3, 0));
}

#[test]
fn without_memory_nothing_is_remembered() {
    let directory = recorded_model();
    let config = LibraryConfig {
        token_cache_bytes: 0,
        ..LibraryConfig::default()
    };
    let without = library(&[("m", &directory)], config);
    let model = without.get("m").unwrap();
    assert!(matches!(model.token_reuse(), TokenReuse::Nothing { .. }));
    let with = library(&[("m", &directory)], LibraryConfig::default());
    assert_eq!(tokenize(&model), tokenize(&with.get("m").unwrap()));
    let stats = without.token_cache().stats();
    assert_eq!((stats.misses, stats.bytes, stats.capacity_bytes), (0, 0, 0));
}
