//! Hub models: the cache's layout, and downloads from a server in this process.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use scorer_prompt::{
    HubConfig, HubError, HubModel, LibraryConfig, LibraryError, ModelLibrary, ModelLocation,
    ModelOptions, ModelSource, Unlisted,
};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn model_file(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../testdata/vllm/model")
            .join(name),
    )
    .unwrap()
}

/// What the server answers to a path: status, headers and body, as they are.
type Routes = HashMap<String, (u16, Vec<(&'static str, String)>, Vec<u8>)>;

/// An HTTP server that lives as long as the test's process, and what it was asked.
struct Hub {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn start(routes: Routes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &routes, &log);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, routes: &Routes, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut authorized = "";
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap() <= 2 {
            break;
        }
        if header
            .to_ascii_lowercase()
            .starts_with("authorization: bearer secret")
        {
            authorized = " with token";
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(format!("{path}{authorized}"));
    let (status, headers, body) =
        routes
            .get(&path)
            .cloned()
            .unwrap_or((404, Vec::new(), Vec::new()));
    let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "content-length") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    // A client may hang up on an answer that it has refused by its head.
    let _ = stream
        .write_all(format!("{head}\r\n").as_bytes())
        .and_then(|()| stream.write_all(&body));
}

fn commit_header() -> Vec<(&'static str, String)> {
    vec![("x-repo-commit", COMMIT.to_owned())]
}

/// A hub with one model, whose tokenizer lies behind a redirect to `elsewhere`.
fn routes(elsewhere: &str) -> Routes {
    let mut moved = commit_header();
    moved.push(("location", format!("{elsewhere}/large/tokenizer")));
    let config = (200, commit_header(), model_file("tokenizer_config.json"));
    HashMap::from([
        (
            "/org/model/resolve/main/tokenizer.json".to_owned(),
            (302, moved, Vec::new()),
        ),
        (
            "/large/tokenizer".to_owned(),
            (200, Vec::new(), model_file("tokenizer.json")),
        ),
        (
            format!("/org/model/resolve/{COMMIT}/tokenizer_config.json"),
            config,
        ),
    ])
}

fn config(hub: &Hub, cache: &TempDir) -> HubConfig {
    HubConfig {
        cache: cache.path().to_owned(),
        endpoint: hub.address.clone(),
        token: Some("secret".to_owned()),
        proxy: None,
        offline: false,
        timeout: Duration::from_secs(30),
    }
}

fn named(name: &str) -> HubModel {
    HubModel::named(name).unwrap()
}

#[test]
fn a_download_fills_the_cache_in_the_hubs_own_layout() {
    let elsewhere = Hub::start(routes(""));
    let hub = Hub::start(routes(&elsewhere.address));
    let cache = TempDir::new().unwrap();
    let directory = config(&hub, &cache).fetch(&named("org/model")).unwrap();
    assert_eq!(
        directory,
        cache
            .path()
            .join("models--org--model/snapshots")
            .join(COMMIT)
    );
    assert_eq!(
        fs::read(directory.join("tokenizer.json")).unwrap(),
        model_file("tokenizer.json")
    );
    assert!(
        fs::symlink_metadata(directory.join("tokenizer.json"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(
        fs::read_to_string(cache.path().join("models--org--model/refs/main")).unwrap(),
        COMMIT
    );
    let blobs = fs::read_dir(cache.path().join("models--org--model/blobs")).unwrap();
    assert_eq!(blobs.count(), 2);

    // The token goes to the hub and not to where it leads.
    assert_eq!(elsewhere.asked(), ["/large/tokenizer"]);
    assert!(
        hub.asked()
            .iter()
            .all(|asked| asked.ends_with(" with token")),
        "{:?}",
        hub.asked()
    );

    // The second time nothing is asked for.
    let before = hub.asked().len();
    assert_eq!(
        config(&hub, &cache).fetch(&named("org/model")).unwrap(),
        directory
    );
    assert_eq!(hub.asked().len(), before);
}

#[test]
fn a_mirror_may_have_a_path_and_name_no_commit() {
    let file = |name: &str| (200, Vec::new(), model_file(name));
    let hub = Hub::start(HashMap::from([
        (
            "/mirror/hf/model/resolve/v1/tokenizer.json".to_owned(),
            file("tokenizer.json"),
        ),
        (
            "/mirror/hf/model/resolve/v1/tokenizer_config.json".to_owned(),
            file("tokenizer_config.json"),
        ),
    ]));
    let cache = TempDir::new().unwrap();
    let config = HubConfig {
        endpoint: format!("{}/mirror/hf/", hub.address),
        ..config(&hub, &cache)
    };
    let model = HubModel::at_revision("model", "v1").unwrap();
    let directory = config.fetch(&model).unwrap();
    assert_eq!(config.cached(&model).unwrap(), directory);
    assert!(directory.join("tokenizer_config.json").exists());
}

fn failure(routes: Routes) -> (HubError, TempDir) {
    let hub = Hub::start(routes);
    let cache = TempDir::new().unwrap();
    let error = config(&hub, &cache).fetch(&named("org/model")).unwrap_err();
    (error, cache)
}

fn tokenizer_answers(status: u16, headers: Vec<(&'static str, String)>, body: &[u8]) -> HubError {
    let path = "/org/model/resolve/main/tokenizer.json".to_owned();
    let (error, cache) = failure(HashMap::from([(path, (status, headers, body.to_vec()))]));
    assert!(!cache.path().join("models--org--model/refs").exists());
    error
}

#[test]
fn failures_are_told_apart() {
    let header = |name, value: &str| vec![(name, value.to_owned())];
    let unknown = failure(HashMap::new()).0;
    assert!(
        matches!(&unknown, HubError::NotFound { url } if url.ends_with("/org/model/resolve/main/tokenizer.json"))
    );
    assert!(!unknown.retryable());
    assert!(matches!(
        tokenizer_answers(401, Vec::new(), b""),
        HubError::Denied { status: 401, .. }
    ));
    let unavailable = tokenizer_answers(503, Vec::new(), b"");
    assert!(matches!(unavailable, HubError::Status { status: 503, .. }) && unavailable.retryable());
    let oversize = tokenizer_answers(200, header("content-length", "99999999999"), b"{}");
    assert!(matches!(oversize, HubError::TooLarge { .. }));
    let truncated = tokenizer_answers(200, header("content-length", "100"), b"{}");
    assert!(truncated.retryable(), "{truncated:?}");
    let wrong_digest = tokenizer_answers(200, header("x-linked-etag", &"0".repeat(64)), b"{}");
    assert!(matches!(wrong_digest, HubError::Damaged { .. }));
    for (location, reason) in [
        (
            "/org/model/resolve/main/tokenizer.json",
            "too many redirects",
        ),
        ("ftp://127.0.0.1/x", "neither http nor https"),
        ("", "not an address"),
    ] {
        let error = tokenizer_answers(302, header("location", location), b"");
        assert!(
            matches!(&error, HubError::Redirect { reason: found, .. } if *found == reason),
            "{error:?}"
        );
    }
}

#[test]
fn a_failure_half_way_leaves_no_usable_model() {
    let mut routes = routes("");
    let half = (
        200,
        vec![("content-length", "100".to_owned())],
        b"{".to_vec(),
    );
    routes.insert(
        format!("/org/model/resolve/{COMMIT}/tokenizer_config.json"),
        half,
    );
    let (error, cache) = failure(routes);
    assert!(error.retryable(), "{error:?}");
    let offline = HubConfig {
        cache: cache.path().to_owned(),
        offline: true,
        ..HubConfig::default()
    };
    assert!(matches!(
        offline.cached(&named("org/model")),
        Err(HubError::NotCached { .. })
    ));
}

#[test]
fn offline_asks_nobody() {
    let hub = Hub::start(routes(""));
    let cache = TempDir::new().unwrap();
    let config = HubConfig {
        offline: true,
        ..config(&hub, &cache)
    };
    let error = config.fetch(&named("org/model")).unwrap_err();
    assert!(
        error.to_string().starts_with("org/model is not in "),
        "{error}"
    );
    assert!(hub.asked().is_empty());
}

#[test]
fn bad_endpoints_are_named_without_their_credentials() {
    let cache = TempDir::new().unwrap();
    for endpoint in ["", "ftp://user:pass@host", "not an address", "/path"] {
        let config = HubConfig {
            cache: cache.path().to_owned(),
            endpoint: endpoint.to_owned(),
            ..HubConfig::default()
        };
        let error = config.fetch(&named("org/model")).unwrap_err();
        assert!(
            matches!(error, HubError::Endpoint { .. }),
            "{endpoint}: {error:?}"
        );
        assert!(!format!("{error} {error:?} {config:?}").contains("pass@"));
    }
}

#[test]
fn variables_are_read_as_the_hubs_library_reads_them() {
    let from = |variables: &[(&str, &str)]| {
        let variables: HashMap<_, _> = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        HubConfig::from_variables(|name| variables.get(name).cloned())
    };
    assert_eq!(
        from(&[("HOME", "/h")]).cache,
        Path::new("/h/.cache/huggingface/hub")
    );
    assert_eq!(
        from(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).cache,
        Path::new("/x/huggingface/hub")
    );
    assert_eq!(
        from(&[("HOME", "/h"), ("HF_HOME", "/f")]).cache,
        Path::new("/f/hub")
    );
    let all = from(&[
        ("HF_HUB_CACHE", "/c"),
        ("HF_HOME", "/f"),
        ("HF_ENDPOINT", "http://m"),
        ("HF_HUB_OFFLINE", "1"),
        ("HF_TOKEN", "secret"),
    ]);
    assert_eq!(
        (all.cache.as_path(), all.endpoint.as_str(), all.offline),
        (Path::new("/c"), "http://m", true)
    );
    assert!(!format!("{all:?}").contains("secret"));
}

fn library(hub: &Hub, cache: &TempDir, unlisted: Unlisted) -> ModelLibrary {
    let location = ModelLocation::Hub(named("org/model"));
    let source = ModelSource {
        location,
        options: ModelOptions::default(),
    };
    ModelLibrary::new(LibraryConfig {
        models: [("served".to_owned(), source)].into(),
        unlisted,
        hub: config(hub, cache),
        ..LibraryConfig::default()
    })
}

#[test]
fn a_library_downloads_configured_models_and_others_only_if_told_to() {
    let hub = Hub::start(routes(""));
    let cache = TempDir::new().unwrap();
    let cautious = library(&hub, &cache, Unlisted::FromCache);
    assert!(matches!(
        cautious.get("org/model"),
        Err(LibraryError::Hub(_))
    ));
    assert!(matches!(
        cautious.get("../etc"),
        Err(LibraryError::Unknown { .. })
    ));
    assert!(hub.asked().is_empty());
    assert_eq!(cautious.get("served").unwrap().name(), "served");

    let refusing = library(&hub, &cache, Unlisted::Refuse);
    assert!(matches!(
        refusing.get("org/model"),
        Err(LibraryError::Unknown { .. })
    ));
    let other_cache = TempDir::new().unwrap();
    assert!(
        library(&hub, &other_cache, Unlisted::Download)
            .get("org/model")
            .is_ok()
    );
}
