//! The watch half of the double.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use futures::Stream;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::api_server::{Entry, Params, Shared, text};

/// Bookmarks come about this often.
const BOOKMARK_EVERY: Duration = Duration::from_millis(30);

struct Watch {
    shared: Shared,
    changed: tokio::sync::watch::Receiver<u64>,
    number: u64,
    resource: String,
    namespace: String,
    params: Params,
    version: u64,
    lines: VecDeque<String>,
    until: Instant,
    over: bool,
}

/// The events after `resourceVersion`, one JSON object per line.
pub(crate) fn stream(
    shared: Shared,
    resource: String,
    namespace: String,
    params: &Params,
) -> impl Stream<Item = Result<String, Infallible>> + use<> {
    let number = |name: &str| params.get(name).and_then(|value| value.parse::<u64>().ok());
    let version = number("resourceVersion").expect("a watch says from where");
    let seconds = number("timeoutSeconds").expect("a watch says for how long");
    let watch = Watch {
        changed: shared.changed.subscribe(),
        number: {
            let mut store = shared.store();
            store.watches += 1;
            store.watched.push((resource.clone(), version));
            store.watches
        },
        shared,
        resource,
        namespace,
        params: params.clone(),
        version,
        lines: VecDeque::new(),
        until: Instant::now() + Duration::from_secs(seconds),
        over: false,
    };
    futures::stream::unfold(watch, |mut watch| async {
        let line = watch.next().await?;
        Some((Ok(line), watch))
    })
}

impl Watch {
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.over || Instant::now() >= self.until {
                return None;
            }
            self.changed.mark_unchanged();
            self.read();
            if self.lines.is_empty() && !self.over {
                let soon = self.until.min(Instant::now() + BOOKMARK_EVERY);
                if timeout_at(soon, self.changed.changed()).await.is_err() {
                    self.bookmark();
                }
            }
        }
    }

    fn read(&mut self) {
        let store = self.shared.store();
        if store.ended >= self.number {
            self.over = true;
            return;
        }
        if self.version < store.oldest {
            let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
                "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410,
                "message": "too old resource version"}});
            self.lines.push_back(format!("{gone}\n"));
            self.over = true;
            return;
        }
        for entry in &store.log {
            if entry.version > self.version
                && entry.resource == self.resource
                && entry.namespace == self.namespace
                && let Some(event) = event(entry, &self.params)
            {
                self.lines.push_back(format!("{event}\n"));
            }
        }
        self.version = self.version.max(store.version);
    }

    fn bookmark(&mut self) {
        let mark = json!({"type": "BOOKMARK", "object": {"kind": "Any", "apiVersion": "v1",
            "metadata": {"resourceVersion": self.version.to_string()}}});
        let mut store = self.shared.store();
        store.bookmarks.insert(self.resource.clone(), self.version);
        self.lines.push_back(format!("{mark}\n"));
    }
}

/// What a watcher with these selectors sees of a change: an object that is no
/// longer selected is deleted for it.
fn event(entry: &Entry, params: &Params) -> Option<Value> {
    let selected = |object: &&Value| selected(object, params);
    let before = entry.before.as_ref().filter(selected);
    let after = entry.after.as_ref().filter(selected);
    let (kind, object) = match (before, after) {
        (None, None) => return None,
        (None, Some(object)) => ("ADDED", object),
        (Some(_), Some(object)) => ("MODIFIED", object),
        (Some(object), None) => ("DELETED", object),
    };
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = json!(entry.version.to_string());
    Some(json!({"type": kind, "object": object}))
}

/// Label and field selectors, as far as they are used.
pub(crate) fn selected(object: &Value, params: &Params) -> bool {
    let terms = |name: &str| {
        let given = params.get(name).cloned().unwrap_or_default();
        let terms = given.split(',').filter(|term| !term.is_empty());
        terms
            .map(|term| {
                let (key, value) = term.split_once('=').expect("key=value");
                (key.to_owned(), value.to_owned())
            })
            .collect::<Vec<_>>()
    };
    let labels = &object["metadata"]["labels"];
    let has = |(key, value): &(String, String)| labels[key] == Value::String(value.clone());
    let is = |(key, value): &(String, String)| {
        text(object, &format!("/{}", key.replace('.', "/"))) == *value
    };
    terms("labelSelector").iter().all(has) && terms("fieldSelector").iter().all(is)
}
