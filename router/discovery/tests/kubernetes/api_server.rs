//! A double of the Kubernetes API server: lists in pages, watches with resource
//! versions, selectors and bookmarks, and everything that goes wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::watching;

pub(crate) type Params = BTreeMap<String, String>;

/// One change of one object.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) version: u64,
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) version: u64,
    objects: BTreeMap<(String, String, String), Value>,
    pub(crate) log: Vec<Entry>,
    /// Watches from before this version are told that it is gone.
    pub(crate) oldest: u64,
    installed: BTreeSet<String>,
    forbidden: BTreeSet<String>,
    /// Objects per page, whatever is asked for.
    pub(crate) page: usize,
    delay: Duration,
    frozen: bool,
    /// Watches begun before this end at once, by their number.
    pub(crate) ended: u64,
    pub(crate) watches: u64,
    /// Resources that were listed from the start.
    lists: Vec<String>,
    /// Watches: resource and version.
    pub(crate) watched: Vec<(String, u64)>,
    /// The last bookmark that was sent, by resource.
    pub(crate) bookmarks: BTreeMap<String, u64>,
}

/// What requests share.
#[derive(Clone)]
pub(crate) struct Shared {
    store: Arc<Mutex<Store>>,
    pub(crate) changed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no test panics while holding it")
    }
}

/// The double. Dropping it kills it.
pub(crate) struct ApiServer {
    shared: Shared,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl ApiServer {
    /// Knows every kind that a picker reads.
    pub(crate) fn start() -> Self {
        let store = Store {
            installed: router_discovery::watched_resources()
                .iter()
                .map(|watched| key(watched.group, watched.resource))
                .collect(),
            page: 500,
            ..Store::default()
        };
        let mut server = Self {
            shared: Shared {
                store: Arc::new(Mutex::new(store)),
                changed: watch::Sender::new(0),
            },
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            runtime: None,
        };
        server.revive();
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection and stops listening; the objects stay. When it
    /// returns, the port is free.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Only a thread outside every runtime may wait for one to end.
            let ended = std::thread::spawn(move || drop(runtime)).join();
            ended.expect("the runtime ends");
        }
    }

    /// Listens again, at the same port.
    pub(crate) fn revive(&mut self) {
        let runtime = Runtime::new().expect("a runtime");
        let bound = std::net::TcpListener::bind(self.address);
        let listener = bound.expect("the port is free");
        self.address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("a socket");
        let app = Router::new()
            .route("/api/v1/namespaces/{namespace}/{plural}", get(core_list))
            .route(
                "/api/v1/namespaces/{namespace}/{plural}/{name}",
                get(core_get),
            )
            .route(
                "/apis/{group}/{version}/namespaces/{namespace}/{plural}",
                get(group_list),
            )
            .with_state(self.shared.clone());
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            axum::serve(listener, app).await.expect("serves");
        });
        self.runtime = Some(runtime);
    }

    /// Looks without waking the watches.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.shared.store())
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let (done, version) = {
            let mut store = self.shared.store();
            (change(&mut store), store.version)
        };
        self.shared.changed.send_modify(|seen| *seen = version);
        done
    }

    /// Creates or replaces an object.
    pub(crate) fn apply(&self, object: Value) {
        self.change(|store| store.apply(object));
    }

    pub(crate) fn delete(&self, resource: &str, namespace: &str, name: &str) {
        self.change(|store| store.delete(resource, namespace, name));
    }

    pub(crate) fn install(&self, resource: &str, installed: bool) {
        self.change(|store| {
            if installed {
                store.installed.insert(resource.to_owned());
            } else {
                store.installed.remove(resource);
                store.ended = store.watches;
            }
        });
    }

    pub(crate) fn forbid(&self, resource: &str, forbidden: bool) {
        self.change(|store| {
            if forbidden {
                store.forbidden.insert(resource.to_owned());
            } else {
                store.forbidden.remove(resource);
            }
        });
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.change(|store| store.delay = delay);
    }

    /// Takes requests and answers none.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.change(|store| {
            store.frozen = frozen;
            store.ended = store.watches;
        });
    }

    /// Ends every watch as an API server does after its time.
    pub(crate) fn end_watches(&self) {
        self.change(|store| store.ended = store.watches);
    }

    /// Forgets the history.
    pub(crate) fn compact(&self) {
        self.change(|store| {
            store.version += 1;
            store.oldest = store.version;
        });
    }

    pub(crate) fn lists_of(&self, resource: &str) -> usize {
        let store = self.shared.store();
        store
            .lists
            .iter()
            .filter(|listed| *listed == resource)
            .count()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Store {
    pub(crate) fn apply(&mut self, mut object: Value) {
        self.version += 1;
        let resource = resource_of(&object);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let namespace = text(&object, "/metadata/namespace");
        let name = text(&object, "/metadata/name");
        let id = (resource.clone(), namespace.clone(), name);
        let before = self.objects.insert(id, object.clone());
        self.log.push(Entry {
            version: self.version,
            resource,
            namespace,
            before,
            after: Some(object),
        });
    }

    fn delete(&mut self, resource: &str, namespace: &str, name: &str) {
        self.version += 1;
        let id = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        let before = self.objects.remove(&id).expect("it is there");
        self.log.push(Entry {
            version: self.version,
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            before: Some(before),
            after: None,
        });
    }
}

async fn core_list(
    state: State<Shared>,
    Path((namespace, plural)): Path<(String, String)>,
    params: Query<Params>,
) -> Response {
    collection(state.0, key("", &plural), namespace, params.0).await
}

async fn group_list(
    state: State<Shared>,
    Path((group, _version, namespace, plural)): Path<(String, String, String, String)>,
    params: Query<Params>,
) -> Response {
    collection(state.0, key(&group, &plural), namespace, params.0).await
}

async fn core_get(
    State(shared): State<Shared>,
    Path((namespace, plural, name)): Path<(String, String, String)>,
) -> Response {
    if let Some(refused) = admit(&shared, &plural).await {
        return refused;
    }
    let found = shared
        .store()
        .objects
        .get(&(plural, namespace, name.clone()))
        .cloned();
    match found {
        Some(object) => axum::Json(object).into_response(),
        None => status(
            StatusCode::NOT_FOUND,
            "NotFound",
            &format!("{name:?} not found"),
        ),
    }
}

async fn collection(
    shared: Shared,
    resource: String,
    namespace: String,
    params: Params,
) -> Response {
    if let Some(refused) = admit(&shared, &resource).await {
        return refused;
    }
    if params.get("watch").is_some_and(|watch| watch == "true") {
        let stream = watching::stream(shared, resource, namespace, &params);
        return Response::new(Body::from_stream(stream));
    }
    let mut store = shared.store();
    let start: usize = match params.get("continue") {
        Some(token) => token.parse().expect("a token of ours"),
        None => {
            store.lists.push(resource.clone());
            0
        }
    };
    let matching: Vec<&Value> = store
        .objects
        .iter()
        .filter(|((kind, space, _), _)| *kind == resource && *space == namespace)
        .map(|(_, object)| object)
        .filter(|object| watching::selected(object, &params))
        .collect();
    let page: Vec<&&Value> = matching.iter().skip(start).take(store.page).collect();
    let next = start + page.len();
    let token = if next < matching.len() {
        next.to_string()
    } else {
        String::new()
    };
    let metadata = json!({"resourceVersion": store.version.to_string(), "continue": token});
    axum::Json(json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": page}))
        .into_response()
}

/// What keeps every request from being answered.
async fn admit(shared: &Shared, resource: &str) -> Option<Response> {
    let (delay, frozen) = {
        let store = shared.store();
        (store.delay, store.frozen)
    };
    if frozen {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(delay).await;
    let store = shared.store();
    if store.forbidden.contains(resource) {
        let message = format!("{resource} is forbidden: User \"picker\" cannot list resource");
        return Some(status(StatusCode::FORBIDDEN, "Forbidden", &message));
    }
    if !store.installed.contains(resource) {
        // As an API server answers for a group that nobody serves.
        return Some((StatusCode::NOT_FOUND, "404 page not found\n").into_response());
    }
    None
}

fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16()});
    (code, axum::Json(body)).into_response()
}

pub(crate) fn text(object: &Value, pointer: &str) -> String {
    let found = object.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

fn resource_of(object: &Value) -> String {
    let version = text(object, "/apiVersion");
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    let kind = text(object, "/kind").to_lowercase();
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    };
    key(group, &plural)
}

/// `plural.group`, or the plural alone for the core group.
fn key(group: &str, plural: &str) -> String {
    if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    }
}
