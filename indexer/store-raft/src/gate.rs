//! What is read at all of what others send.
//!
//! A message is read before it is known who sent it, and an append may have tens of
//! megabytes. So the number of the receiver's directory, which only members know,
//! goes ahead of every message, and a call without it ends before its first byte is
//! read. What is read is counted: at most [`LARGE`] appends and snapshots, each
//! append within [`READ`], and [`SMALL`] other calls of [`SMALL_BYTES`].

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use proto_api::v1::store_raft_server::StoreRaftServer;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use crate::node::Node;
use crate::peers::DIRECTORY;
use crate::service::RaftService;
use crate::wire::MESSAGE_BYTES_MAX;

/// Appends and snapshots at a time. A leader sends one of each; with a change of
/// leaders and of connections there are a few more.
const LARGE: usize = 8;

/// Other calls of members at a time, and as many of whoever asks how the node does.
const SMALL: usize = 64;

/// The largest message of the others: a vote and a log position are far smaller.
const SMALL_BYTES: usize = 16 << 10;

/// How long an append may take to come and be written, and any other call to be
/// answered. Senders give up sooner.
const READ: Duration = Duration::from_secs(30);

/// Serves the nodes' service, to those who may.
#[derive(Clone)]
pub(crate) struct Gate {
    node: Arc<Node>,
    large: Lane,
    small: Lane,
    open: Lane,
}

#[derive(Clone)]
struct Lane {
    service: StoreRaftServer<RaftService>,
    room: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new(node: &Arc<Node>) -> Self {
        let service = Arc::new(RaftService::new(Arc::clone(node)));
        let lane = |bytes, calls| Lane {
            service: StoreRaftServer::from_arc(Arc::clone(&service))
                .max_decoding_message_size(bytes)
                .max_encoding_message_size(SMALL_BYTES),
            room: Arc::new(Semaphore::new(calls)),
        };
        Self {
            node: Arc::clone(node),
            large: lane(MESSAGE_BYTES_MAX, LARGE),
            small: lane(SMALL_BYTES, SMALL),
            open: lane(SMALL_BYTES, SMALL),
        }
    }

    /// Whether the call is from one who knows this node's directory. A node that is
    /// in no cluster hears everybody: what it is told may be that its directory is
    /// not the one that the others know.
    fn may(&self, request: &http::Request<Body>) -> bool {
        let named = request.headers().get(DIRECTORY);
        let named = named.and_then(|named| u64::from_str_radix(named.to_str().ok()?, 16).ok());
        named == Some(self.node.disk.identity().0) || self.node.fresh()
    }
}

impl NamedService for Gate {
    const NAME: &'static str = StoreRaftServer::<RaftService>::NAME;
}

type Answer = Result<http::Response<Body>, Infallible>;

impl Service<http::Request<Body>> for Gate {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let (lane, limit) = match method {
            "Inspect" => (&self.open, Some(READ)),
            "AppendEntries" => (&self.large, Some(READ)),
            // It has a limit of its own, on standing still.
            "InstallSnapshot" => (&self.large, None),
            _ => (&self.small, Some(READ)),
        };
        if method != "Inspect" && !self.may(&request) {
            let id = self.node.options.node_id;
            return refuse(Status::failed_precondition(format!(
                "this is node {id}, and the call is for another node, or for another directory \
                 than the one that node {id} was added with; correct the node's address, or \
                 remove it and join a new one with another number and an empty directory"
            )));
        }
        let Ok(permit) = Arc::clone(&lane.room).try_acquire_owned() else {
            return refuse(Status::resource_exhausted(
                "too many calls at a time; try again",
            ));
        };
        let answer = lane.service.clone().call(request);
        Box::pin(async move {
            let _permit = permit;
            let Some(limit) = limit else {
                return answer.await;
            };
            match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer,
                Err(_) => refuse(Status::deadline_exceeded("the call took too long")).await,
            }
        })
    }
}

fn refuse(status: Status) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(std::future::ready(Ok(status.into_http())))
}
