//! Files that are being written, emptied, moved or removed.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use router_discovery::{Discovery, FileSettings, SourceStatus, follow_files};

use super::folder::{Folder, manifest};
use super::reload::{addresses, endpoints, refused, settings, view};

const LONG: Duration = Duration::from_secs(3_600);

async fn status(discovery: &Discovery, wanted: impl Fn(&SourceStatus) -> bool) {
    let mut statuses = discovery.status();
    let found = statuses.wait_for(|status| wanted(status));
    let found = tokio::time::timeout(Duration::from_secs(90), found).await;
    let found = found.map(|status| status.is_ok());
    assert_eq!(found, Ok(true), "{:?}", discovery.status().borrow());
}

/// Writes a file in halves, again and again, until it is dropped.
struct Scribe {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scribe {
    fn start(folder: &Folder, name: &str, half: String, whole: String) -> Self {
        let path = folder.path(name);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for text in [&half, &whole] {
                    fs::write(&path, text).expect("writable");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn two_endpoints(folder: &Folder, settings: FileSettings) -> Discovery {
    folder.write("m.yaml", &manifest("tracking.yaml"));
    folder.write("e.yaml", &endpoints(&["10.0.0.1:1", "10.0.0.2:1"]));
    let (discovery, _departures) = follow_files(settings).await.expect("good");
    assert_eq!(view(&discovery, |_| true).await.endpoints.len(), 2);
    discovery
}

#[tokio::test]
async fn a_file_that_is_written_again_and_again_is_told_and_never_taken_half_written() {
    let folder = Folder::new();
    let settings = FileSettings {
        // Longer than a busy machine keeps the scribe from writing.
        settle: Duration::from_secs(3),
        patience: Duration::from_secs(1),
        ..settings(&folder)
    };
    let discovery = two_endpoints(&folder, settings).await;
    let (half, whole) = (
        endpoints(&["10.0.0.1:1"]),
        endpoints(&["10.0.0.1:1", "10.0.0.2:1"]),
    );
    let scribe = Scribe::start(&folder, "e.yaml", half, whole);
    let told = refused(&discovery, 1).await;
    assert!(told.contains("again and again"), "{told}");
    drop(scribe);
    status(&discovery, |status| status.last_error.is_none()).await;
    assert_eq!(view(&discovery, |_| true).await.endpoints.len(), 2);
    assert_eq!(discovery.status().borrow().applied, 1);
}

#[tokio::test]
async fn an_emptied_file_is_a_mistake_and_an_empty_list_is_not() {
    let folder = Folder::new();
    let discovery = two_endpoints(&folder, settings(&folder)).await;
    for (times, text) in [(1, ""), (2, "# nothing\n---\n \n")] {
        folder.write("e.yaml", text);
        let told = refused(&discovery, times).await;
        assert!(told.contains("e.yaml: held manifests"), "{told}");
        assert!(told.contains("endpoints: []"), "{told}");
    }
    assert_eq!(view(&discovery, |_| true).await.endpoints.len(), 2);
    folder.write("e.yaml", &endpoints(&[]));
    view(&discovery, |view| view.endpoints.is_empty()).await;
    status(&discovery, |status| status.last_error.is_none()).await;
}

#[tokio::test]
async fn what_a_deleted_file_held_stays_for_the_grace_period() {
    let folder = Folder::new();
    let discovery = two_endpoints(
        &folder,
        FileSettings {
            departure_grace: LONG,
            ..settings(&folder)
        },
    )
    .await;
    fs::remove_file(folder.path("e.yaml")).expect("there");
    let missing = |status: &SourceStatus| status.troubles.iter().any(|t| t.what == "files");
    status(&discovery, missing).await;
    assert_eq!(view(&discovery, |_| true).await.endpoints.len(), 2);
    folder.write("e.yaml", &endpoints(&["10.0.0.1:1", "10.0.0.2:1"]));
    status(&discovery, |status| !missing(status)).await;
    assert_eq!(discovery.status().borrow().applied, 1);
}

#[tokio::test]
async fn what_a_deleted_file_held_goes_after_the_grace_period() {
    let folder = Folder::new();
    let discovery = two_endpoints(&folder, settings(&folder)).await;
    fs::remove_file(folder.path("e.yaml")).expect("there");
    view(&discovery, |view| view.endpoints.is_empty()).await;
    status(&discovery, |status| status.last_error.is_none()).await;
}

#[tokio::test]
async fn what_moves_to_another_file_moves_at_once() {
    let folder = Folder::new();
    let discovery = two_endpoints(
        &folder,
        FileSettings {
            departure_grace: LONG,
            ..settings(&folder)
        },
    )
    .await;
    fs::remove_file(folder.path("e.yaml")).expect("there");
    folder.write("f.yaml", &endpoints(&["10.0.0.1:1", "10.0.0.3:1"]));
    let moved = view(&discovery, |view| {
        addresses(view) == ["10.0.0.1:1", "10.0.0.3:1"]
    });
    moved.await;
}

#[tokio::test]
async fn an_emptied_folder_and_a_name_that_leads_nowhere_are_mistakes() {
    let folder = Folder::new();
    let discovery = two_endpoints(&folder, settings(&folder)).await;
    let pool = manifest("tracking.yaml");
    for name in ["m.yaml", "e.yaml"] {
        fs::remove_file(folder.path(name)).expect("there");
    }
    let told = |expected: &'static str| {
        move |status: &SourceStatus| {
            let error = status.last_error.as_ref();
            error.is_some_and(|error| error.to_string().contains(expected))
        }
    };
    status(&discovery, told("no *.yaml")).await;
    assert_eq!(view(&discovery, |_| true).await.endpoints.len(), 2);
    std::os::unix::fs::symlink(folder.path("nowhere"), folder.path("e.yaml")).expect("new");
    folder.write("m.yaml", &pool);
    status(&discovery, told("e.yaml: cannot be read")).await;
    assert_eq!(view(&discovery, |_| true).await.endpoints.len(), 2);
}

#[tokio::test]
async fn a_pool_whose_endpoints_were_forgotten_says_how_to_name_them() {
    let folder = Folder::new();
    folder.write("m.yaml", &manifest("tracking.yaml"));
    let (discovery, _departures) = follow_files(settings(&folder)).await.expect("good");
    let troubles = discovery.status().borrow().troubles.clone();
    let [trouble] = &troubles[..] else {
        panic!("{troubles:?}");
    };
    assert_eq!(trouble.what, "endpoints");
    for fix in [
        "--endpoint",
        "KVAtlasEndpoints",
        "--kubernetes --pool-name qwen-inference-pool",
    ] {
        assert!(trouble.reason.contains(fix), "{}", trouble.reason);
    }
    folder.write("e.yaml", &endpoints(&[]));
    status(&discovery, |status| status.troubles.is_empty()).await;
}
