//! Opening a watch at whichever node serves it.

use indexer_store::WatchError;
use proto_api::v1::store_client::StoreClient;
use proto_api::v1::watch_response::Item;
use proto_api::{StoreFailure, v1};
use proto_model::Revision;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Request, Streaming};

use super::Inner;
use super::backoff::Backoff;
use super::trouble::{SOON, explained};

/// Messages are divided by the server far below this.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// A watch that has said its first word.
pub(super) struct Open {
    pub(super) address: String,
    pub(super) first: Option<v1::WatchResponse>,
    pub(super) stream: Streaming<v1::WatchResponse>,
}

/// Opens a watch after `after`, for as long as the options allow.
///
/// A node that would go on from there is preferred to one that has only a
/// snapshot: that one may have lost what it knew. Only if no node in reach goes
/// on is the snapshot taken for what it is.
pub(super) async fn open(inner: &Inner, after: Option<Revision>) -> Result<Open, WatchError> {
    let options = &inner.options;
    let begun = Instant::now();
    let until = begun + options.watch_patience;
    let mut backoff = Backoff::new(options.backoff_min, options.backoff_max);
    loop {
        let mut last = StoreFailure::Unavailable {
            message: "no node was tried".to_owned(),
        };
        let mut snapshot = None;
        let mut tried = String::new();
        for address in inner.nodes.in_order() {
            if snapshot.is_some() && inner.nodes.is_avoided(&address) {
                continue;
            }
            match try_node(inner, &address, after).await {
                Ok(open) if after.is_some() && begins_with_snapshot(&open) => {
                    snapshot.get_or_insert(open);
                }
                Ok(open) => return Ok(opened(inner, open)),
                Err(failure) => {
                    tracing::debug!(node = address, %failure, "no watch here");
                    inner.metrics.watch_opened(failure.as_str());
                    inner.nodes.failed(&address);
                    if begun.elapsed() >= SOON {
                        inner.trouble.say(&address, &failure);
                    }
                    (last, tried) = (failure, address);
                }
            }
        }
        if let Some(open) = snapshot {
            return Ok(opened(inner, open));
        }
        inner.trouble.say(&tried, &last);
        let delay = backoff.delay();
        if Instant::now() + delay >= until {
            let reason = format!("no node of the store serves a watch; last: {last}");
            return Err(WatchError::Unavailable { reason });
        }
        sleep(delay).await;
    }
}

fn opened(inner: &Inner, open: Open) -> Open {
    inner.metrics.watch_opened("ok");
    inner.nodes.served(&open.address);
    open
}

fn begins_with_snapshot(open: &Open) -> bool {
    let item = open.first.as_ref().and_then(|first| first.item.as_ref());
    matches!(item, Some(Item::SnapshotBegin(_)))
}

/// A watch has a connection of its own: a reader that is slow fills the windows
/// of its connection, and must not keep others waiting.
async fn try_node(
    inner: &Inner,
    address: &str,
    after: Option<Revision>,
) -> Result<Open, StoreFailure> {
    let options = &inner.options;
    let endpoint = options.endpoint(address).map_err(unavailable)?;
    let connecting = timeout(options.connect_timeout, endpoint.connect());
    let channel = connecting
        .await
        .map_err(|_| unavailable("connecting took too long"))?
        .map_err(|error| unavailable(explained(&chain(&error), options.tls.is_some())))?;
    let mut client = StoreClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let request = Request::new(v1::WatchRequest {
        after: after.map(|revision| revision.0),
        ..Default::default()
    });
    let opening = async {
        let mut stream = client.watch(request).await?.into_inner();
        let first = stream.message().await?;
        Ok::<_, tonic::Status>((first, stream))
    };
    let limit = options.watch_first;
    let (first, stream) = timeout(limit, opening)
        .await
        .map_err(|_| unavailable(format!("said nothing within {limit:?}")))?
        .map_err(|status| failed(&status, options.tls.is_some()))?;
    if first.is_none() {
        return Err(unavailable("ended the watch without a word"));
    }
    Ok(Open {
        address: address.to_owned(),
        first,
        stream,
    })
}

/// A status as a failure; the transport's own with what it means.
pub(super) fn failed(status: &tonic::Status, tls: bool) -> StoreFailure {
    match std::error::Error::source(status) {
        Some(source) => {
            let text = format!("{}: {}", status.message(), chain(source));
            unavailable(explained(&text, tls))
        }
        None => StoreFailure::from(status),
    }
}

fn unavailable(error: impl ToString) -> StoreFailure {
    StoreFailure::Unavailable {
        message: error.to_string(),
    }
}

/// The transport's errors say what happened only in their causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
