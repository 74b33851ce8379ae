//! Files that change while they are followed.

use std::sync::Arc;
use std::time::Duration;

use router_discovery::{Discovery, FileSettings, PoolView, Strategy, follow_files};

use super::folder::{Folder, manifest};

const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) async fn view(
    discovery: &Discovery,
    wanted: impl Fn(&PoolView) -> bool,
) -> Arc<PoolView> {
    let mut views = discovery.views();
    let found = tokio::time::timeout(PATIENCE, views.wait_for(|view| wanted(view))).await;
    match found {
        Ok(view) => Arc::clone(&view.expect("the source runs")),
        Err(_) => panic!("no such view; {:?}", discovery.status().borrow()),
    }
}

pub(crate) async fn refused(discovery: &Discovery, times: u64) -> String {
    let mut status = discovery.status();
    let refused = status.wait_for(|status| status.refused == times && status.last_error.is_some());
    let found = tokio::time::timeout(PATIENCE, refused).await;
    let status = found.expect("it is refused").expect("the source runs");
    status.last_error.as_ref().expect("it is there").to_string()
}

pub(crate) fn endpoints(addresses: &[&str]) -> String {
    let listed: String = addresses
        .iter()
        .map(|address| format!("  - {{address: \"{address}\"}}\n"))
        .collect();
    let listed = if listed.is_empty() {
        "    []\n".to_owned()
    } else {
        listed
    };
    format!(
        "apiVersion: kvatlas/v1\nkind: KVAtlasEndpoints\nmetadata: {{name: e}}\n\
         spec:\n  poolRef: {{name: qwen-inference-pool}}\n  endpoints:\n{listed}"
    )
}

pub(crate) fn addresses(view: &PoolView) -> Vec<String> {
    view.endpoints
        .iter()
        .map(|e| e.address.to_string())
        .collect()
}

pub(crate) fn settings(folder: &Folder) -> FileSettings {
    FileSettings {
        departure_grace: Duration::from_millis(200),
        ..folder.settings()
    }
}

#[tokio::test]
async fn a_good_change_is_taken_and_a_broken_one_leaves_the_last_good_one() {
    let folder = Folder::new();
    folder.write("m.yaml", &manifest("tracking.yaml"));
    folder.write("e.yaml", &endpoints(&["10.0.0.1:1"]));
    let (discovery, _departures) = follow_files(settings(&folder)).await.expect("good");
    let first = view(&discovery, |_| true).await;
    assert_eq!(addresses(&first), ["10.0.0.1:1"]);

    folder.write("e.yaml", &endpoints(&["10.0.0.1:1", "10.0.0.2:1"]));
    view(&discovery, |view| view.endpoints.len() == 2).await;

    folder.write(
        "m.yaml",
        &manifest("tracking.yaml").replace("blockSize: 64", "blockSize: 0"),
    );
    let told = refused(&discovery, 1).await;
    assert!(told.contains("m.yaml, document 2"), "{told}");
    assert!(discovery.status().borrow().stale.is_some());
    assert_eq!(view(&discovery, |_| true).await.endpoints.len(), 2);

    folder.write(
        "m.yaml",
        &manifest("tracking.yaml").replace("blockSize: 64", "blockSize: 16"),
    );
    let is_16 = |view: &PoolView| matches!(&view.strategy, Strategy::Tracking(t) if t.block_size == Some(16));
    view(&discovery, is_16).await;
    let mut status = discovery.status();
    let fine = status.wait_for(|status| status.last_error.is_none() && status.stale.is_none());
    assert!(tokio::time::timeout(PATIENCE, fine).await.is_ok());
}

#[tokio::test]
async fn a_file_that_disappears_is_a_mistake_and_one_that_appears_is_read() {
    let folder = Folder::new();
    folder.write("m.yaml", &manifest("tracking.yaml"));
    let (discovery, _departures) = follow_files(settings(&folder)).await.expect("good");
    folder.write("more.yml", &endpoints(&["10.0.0.1:1"]));
    view(&discovery, |view| view.endpoints.len() == 1).await;
    std::fs::remove_file(folder.path("m.yaml")).expect("it is there");
    let told = refused(&discovery, 1).await;
    assert!(told.contains("there are: none"), "{told}");
    assert_eq!(view(&discovery, |_| true).await.endpoints.len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_removed_departs_and_one_that_comes_back_does_not() {
    let folder = Folder::new();
    folder.write("m.yaml", &manifest("tracking.yaml"));
    folder.write(
        "e.yaml",
        &endpoints(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]),
    );
    let (discovery, mut departures) = follow_files(settings(&folder)).await.expect("good");
    folder.write("e.yaml", &endpoints(&["10.0.0.1:1", "10.0.0.3:1"]));
    view(&discovery, |view| view.endpoints.len() == 2).await;
    let gone = tokio::time::timeout(PATIENCE, departures.next()).await;
    let gone = gone.expect("it departs").expect("the source runs");
    assert_eq!(gone.address.to_string(), "10.0.0.2:1");
    // While the manifests are broken, nothing departs: the next one to be told is
    // the one that is removed after they have been mended.
    folder.write("e.yaml", "endpoints: gone");
    refused(&discovery, 1).await;
    folder.write("e.yaml", &endpoints(&["10.0.0.1:1"]));
    view(&discovery, |view| view.endpoints.len() == 1).await;
    let gone = tokio::time::timeout(PATIENCE, departures.next()).await;
    assert_eq!(
        gone.expect("it departs").expect("runs").address.to_string(),
        "10.0.0.3:1"
    );
}

#[tokio::test]
async fn a_list_emptied_by_mistake_wipes_nothing_at_once() {
    let folder = Folder::new();
    folder.write("m.yaml", &manifest("tracking.yaml"));
    folder.write("e.yaml", &endpoints(&["10.0.0.1:1", "10.0.0.2:1"]));
    let settings = FileSettings {
        departure_grace: Duration::from_secs(3_600),
        ..folder.settings()
    };
    let (discovery, mut departures) = follow_files(settings).await.expect("good");
    folder.write("e.yaml", &endpoints(&[]));
    view(&discovery, |view| view.endpoints.is_empty()).await;
    folder.write("e.yaml", &endpoints(&["10.0.0.1:1", "10.0.0.2:1"]));
    view(&discovery, |view| view.endpoints.len() == 2).await;
    drop(discovery);
    assert_eq!(departures.next().await, None);
}

#[tokio::test]
async fn views_are_published_only_when_they_differ() {
    let folder = Folder::new();
    folder.write("m.yaml", &manifest("tracking.yaml"));
    let (discovery, _departures) = follow_files(settings(&folder)).await.expect("good");
    let before = view(&discovery, |_| true).await;
    folder.write(
        "m.yaml",
        &format!("# a comment\n{}", manifest("tracking.yaml")),
    );
    folder.write("e.yaml", &endpoints(&["10.0.0.1:1"]));
    view(&discovery, |view| view.endpoints.len() == 1).await;
    assert_eq!(discovery.status().borrow().applied, 2);
    assert_eq!(before.endpoints.len(), 0);
}
