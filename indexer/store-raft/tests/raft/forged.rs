//! Calls from who is no member.

use indexer_store_raft::Role;
use openraft::raft::VoteRequest;
use openraft::{LogId, Vote};
use proto_api::v1::store_raft_client::StoreRaftClient;
use proto_api::v1::{RaftCall, RaftHeader};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::batches::one;
use crate::support::{Cluster, TestNode};

type Client = StoreRaftClient<Channel>;

async fn client(node: &TestNode) -> Client {
    let connected = Client::connect(format!("http://{}", node.address)).await;
    connected.expect("connected")
}

/// A call from node 99, to a directory.
fn call(cluster: Option<u64>, directory: u64, payload: Vec<u8>) -> Request<RaftCall> {
    let header = RaftHeader {
        version: 3,
        cluster,
        from: 99,
        to: 1,
        from_directory: 99,
        to_directory: directory,
    };
    let mut request = Request::new(RaftCall {
        header: Some(header),
        payload: payload.into(),
    });
    let ahead = format!("{directory:016x}").parse().expect("plain");
    request.metadata_mut().insert("kvatlas-directory", ahead);
    request
}

fn vote(term: u64, node: u64) -> Vec<u8> {
    let last: Option<LogId<u64>> = None;
    postcard::to_allocvec(&VoteRequest::new(Vote::new(term, node), last)).expect("encoded")
}

fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> Code {
    answer.expect_err("refused").code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outsiders_change_nothing() {
    let cluster = Cluster::of(3, |_| {}).await;
    cluster.append(&one(1, 0)).await;
    let number = cluster.node(1).store.status().cluster.expect("begun");
    let number = u64::from_str_radix(&number, 16).ok();
    let before = cluster.leader().await.store.status();
    let mut client = client(cluster.node(1)).await;
    let told = client.inspect(call(None, 0, Vec::new())).await;
    let told = told.expect("an answer").into_inner();
    assert_eq!(told.directory, None, "outsiders learn the directory");
    for directory in [0, 7] {
        let forged = client.vote(call(number, directory, vote(u64::MAX, 99)));
        assert_eq!(code(forged.await), Code::FailedPrecondition);
        let forged = client.tell_removed(call(number, directory, Vec::new()));
        assert_eq!(code(forged.await), Code::FailedPrecondition);
    }
    let after = cluster.leader().await.store.status();
    assert_eq!((after.node_id, after.term), (before.node_id, before.term));
    cluster.append(&one(1, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_knows_the_directory_cannot_poison_the_vote() {
    let (cluster, directory) = Cluster::of_one_seen_fresh().await;
    let number = cluster.node(1).store.status().cluster.expect("begun");
    let number = u64::from_str_radix(&number, 16).ok();
    let term = cluster.node(1).store.status().term;
    let mut client = client(cluster.node(1)).await;
    for (term, node) in [(u64::MAX, 99), (term + 10_000_000, 99), (term + 1, 1)] {
        let forged = client.vote(call(number, directory, vote(term, node)));
        assert_eq!(code(forged.await), Code::InvalidArgument, "{term} {node}");
    }
    let forged = client.tell_removed(call(number, directory, Vec::new()));
    assert_eq!(code(forged.await), Code::FailedPrecondition);
    let status = cluster.node(1).store.status();
    assert_eq!((status.role, status.term), (Role::Leader, term));
    cluster.append(&one(1, 0)).await;
}
