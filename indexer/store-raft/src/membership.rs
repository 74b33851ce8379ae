//! Who belongs to the cluster, and what each change needs.

mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::error::{ChangeMembershipError, ClientWriteError, InitializeError, RaftError};
use proto_api::v1::{RaftCall, StoreMember, StoreNode, StoreRefusal, StoreRefusalReason};
use tonic::Request;

use crate::network::within;
use crate::node::Node;
use crate::options::host_and_port;
use crate::peers::Lane;
use crate::types::{DirectoryId, NodeId, RaftNode};

use self::survey::INSPECT;

/// How long a change may take to be committed.
const CHANGE: Duration = Duration::from_secs(15);

/// A learner with more entries to catch up with than this gets no vote yet.
const LAG_MAX: u64 = 256;

/// Nodes that a cluster may have. More make nothing safer, only slower.
const NODES_MAX: usize = 16;

pub(crate) type Changed = Result<(), StoreRefusal>;

fn refused(reason: StoreRefusalReason, message: impl Into<String>) -> StoreRefusal {
    StoreRefusal {
        reason: reason.into(),
        message: message.into(),
        leader: String::new(),
    }
}

impl Node {
    /// Makes a cluster of this node and `members`, none of which has ever been in
    /// one.
    pub(crate) async fn initialise(&self, members: Vec<StoreMember>) -> Changed {
        use StoreRefusalReason::{AlreadyInitialised, BadNode, Invalid};
        let mut members = self.first_members(members)?;
        if matches!(Box::pin(self.raft.is_initialized()).await, Ok(true)) {
            return Err(refused(
                AlreadyInitialised,
                "this node is in a cluster already; add others with join",
            ));
        }
        for (id, node) in &mut members {
            if *id == self.options.node_id {
                node.directory = self.disk.identity();
                continue;
            }
            let other = self.inspect(*id, &node.addr).await.map_err(|seen| {
                let at = &node.addr;
                refused(
                    BadNode,
                    format!("node {id} at {at} does not answer: {seen}"),
                )
            })?;
            if other.node_id != *id {
                let seen = other.node_id;
                return Err(refused(
                    Invalid,
                    format!("at {} is node {seen}, not node {id}", node.addr),
                ));
            }
            if other.last_log.is_some() || other.cluster.is_some() {
                return Err(refused(
                    AlreadyInitialised,
                    format!("node {id} is in a cluster already; join this node to that one"),
                ));
            }
            node.directory = directory_in(&other)?;
        }
        match Box::pin(self.raft.initialize(members)).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Err(refused(
                AlreadyInitialised,
                "this node is in a cluster already; add others with join",
            )),
            Err(error) => Err(refused(Invalid, error.to_string())),
        }
    }

    fn first_members(
        &self,
        members: Vec<StoreMember>,
    ) -> Result<BTreeMap<NodeId, RaftNode>, StoreRefusal> {
        let invalid = |message: String| refused(StoreRefusalReason::Invalid, message);
        let id = self.options.node_id;
        if members.len() > NODES_MAX {
            return Err(invalid(format!("at most {NODES_MAX} nodes")));
        }
        let mut nodes = BTreeMap::new();
        for member in members {
            check_member(&member)?;
            let number = member.node_id;
            if nodes
                .insert(number, without_directory(member.address))
                .is_some()
            {
                return Err(invalid(format!("node {number} is named twice")));
            }
        }
        let addresses: BTreeSet<_> = nodes.values().map(|node| &node.addr).collect();
        if addresses.len() != nodes.len() {
            return Err(invalid("two nodes have one address".into()));
        }
        if nodes.is_empty() {
            nodes.insert(id, without_directory(self.options.advertise.clone()));
        }
        match nodes.get(&id) {
            None => Err(invalid(format!(
                "this is node {id}, which is not among the members; ask one of them"
            ))),
            Some(node) if node.addr != self.options.advertise => Err(invalid(format!(
                "node {id} advertises {}, not {}",
                self.options.advertise, node.addr
            ))),
            Some(_) => Ok(nodes),
        }
    }

    /// Adds a node without a vote.
    pub(crate) async fn join(&self, member: StoreMember) -> Changed {
        use StoreRefusalReason::{AlreadyInitialised, BadNode, Invalid, Taken};
        check_member(&member)?;
        self.must_lead()?;
        let StoreMember { node_id, address } = member;
        for (id, known) in self.members() {
            if (id == node_id) != (known == address) {
                return Err(refused(
                    Taken,
                    format!(
                        "node {id} is at {known}; remove it first, and give new data a new number"
                    ),
                ));
            }
            if id == node_id && self.voters().contains(&id) {
                return Err(refused(
                    Taken,
                    format!("node {id} at {known} is a member with a vote already"),
                ));
            }
            if id == node_id {
                return Ok(());
            }
        }
        if self.members().len() >= NODES_MAX {
            return Err(refused(Invalid, format!("at most {NODES_MAX} nodes")));
        }
        let other = self.inspect(node_id, &address).await;
        let other =
            other.map_err(|seen| refused(BadNode, format!("{address} does not answer: {seen}")))?;
        if other.node_id != node_id {
            let seen = other.node_id;
            return Err(refused(
                BadNode,
                format!("at {address} is node {seen}, not node {node_id}"),
            ));
        }
        let mine = self.standing.cluster().map(|cluster| cluster.0);
        let foreign = other.cluster.is_some() && other.cluster != mine;
        if foreign || (other.cluster.is_none() && other.last_log.is_some()) {
            return Err(refused(
                AlreadyInitialised,
                format!("node {node_id} is of another cluster; give it an empty directory"),
            ));
        }
        let node = RaftNode {
            directory: directory_in(&other)?,
            addr: address,
        };
        self.changed(self.raft.add_learner(node_id, node, false))
            .await
    }

    /// Gives a node that has caught up a vote.
    pub(crate) async fn promote(&self, id: NodeId) -> Changed {
        self.must_lead()?;
        self.must_know(id)?;
        if self.voters().contains(&id) {
            return Ok(());
        }
        let lag = self.lags().get(&id).copied().flatten();
        if lag.is_none_or(|lag| lag > LAG_MAX) {
            let lag = lag.map_or_else(|| "everything".into(), |lag| format!("{lag} entries"));
            return Err(refused(
                StoreRefusalReason::NotCaughtUp,
                format!("node {id} has {lag} to catch up with; try again when it has"),
            ));
        }
        let change = ChangeMembers::AddVoterIds(BTreeSet::from([id]));
        self.changed(self.raft.change_membership(change, true))
            .await
    }

    /// Removes a node. A leader that is to go hands over first, and names its
    /// successor.
    pub(crate) async fn remove(&self, id: NodeId) -> Changed {
        self.must_lead()?;
        self.must_know(id)?;
        let voters = self.voters();
        let votes = voters.contains(&id);
        if votes && voters.len() == 1 {
            return Err(refused(
                StoreRefusalReason::LastVoter,
                format!("node {id} is the last one with a vote; promote another first"),
            ));
        }
        if id == self.options.node_id {
            if !Box::pin(self.give_up_leading(CHANGE)).await {
                return Err(refused(
                    StoreRefusalReason::Unavailable,
                    "nobody took the leadership over; is a majority of the nodes up?",
                ));
            }
            return self.must_lead();
        }
        let address = self.address_of(id).unwrap_or_default();
        // To a member, while it still is one.
        let call = self.call_to(id, bytes::Bytes::new());
        let ids = BTreeSet::from([id]);
        let change = if votes {
            ChangeMembers::RemoveVoters(ids)
        } else {
            ChangeMembers::RemoveNodes(ids)
        };
        self.changed(self.raft.change_membership(change, false))
            .await?;
        self.tell_removed(id, &address, call).await;
        Ok(())
    }

    /// The node may be away; it asks by itself when it is back.
    async fn tell_removed(&self, id: NodeId, address: &str, call: Request<RaftCall>) {
        let told = async {
            let mut client = self.peers.client(address, Lane::Log)?;
            within(INSPECT, client.tell_removed(call)).await
        };
        if let Err(status) = told.await {
            tracing::info!(
                node = id,
                "was not told that it is removed: {}",
                status.message()
            );
        }
    }

    fn must_lead(&self) -> Changed {
        if self.leads() {
            return Ok(());
        }
        Err(self.not_leader())
    }

    fn not_leader(&self) -> StoreRefusal {
        let leader = self.leader_address().unwrap_or_default();
        let hint = if leader.is_empty() {
            "no leader is known here".to_owned()
        } else {
            format!("the leader is at {leader}")
        };
        StoreRefusal {
            leader,
            ..refused(
                StoreRefusalReason::NotLeader,
                format!("this node does not lead; {hint}"),
            )
        }
    }

    fn must_know(&self, id: NodeId) -> Changed {
        if self.member(id) {
            return Ok(());
        }
        let known: Vec<_> = self
            .members()
            .iter()
            .map(|(id, _)| id.to_string())
            .collect();
        Err(refused(
            StoreRefusalReason::UnknownNode,
            format!(
                "no node {id} in this cluster; there are {}",
                known.join(", ")
            ),
        ))
    }

    /// Waits for a change, and says why it did not come.
    async fn changed<T>(
        &self,
        change: impl Future<Output = Result<T, RaftError<NodeId, ClientWriteError<NodeId, RaftNode>>>>,
    ) -> Changed {
        use StoreRefusalReason::{InProgress, Invalid, Unavailable};
        let changed = tokio::time::timeout(CHANGE, Box::pin(change)).await;
        let Ok(changed) = changed else {
            return Err(refused(
                Unavailable,
                format!("not committed within {CHANGE:?}; is a majority of the nodes up?"),
            ));
        };
        match changed {
            Ok(_) => Ok(()),
            Err(RaftError::Fatal(fatal)) => Err(refused(Unavailable, fatal.to_string())),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(self.not_leader())
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error))) => {
                let reason = match error {
                    ChangeMembershipError::InProgress(_) => InProgress,
                    _ => Invalid,
                };
                Err(refused(reason, error.to_string()))
            }
        }
    }
}

/// A member whose directory is still to be asked for.
fn without_directory(addr: String) -> RaftNode {
    RaftNode {
        addr,
        directory: DirectoryId::default(),
    }
}

/// The directory of a node that is to become a member.
fn directory_in(node: &StoreNode) -> Result<DirectoryId, StoreRefusal> {
    let directory = node.directory.filter(|directory| *directory != 0);
    directory.map(DirectoryId).ok_or_else(|| {
        refused(
            StoreRefusalReason::AlreadyInitialised,
            format!(
                "node {} is in a cluster already; give it an empty directory",
                node.node_id
            ),
        )
    })
}

fn check_member(member: &StoreMember) -> Changed {
    let (id, address) = (member.node_id, &member.address);
    if id == 0 {
        return Err(refused(
            StoreRefusalReason::Invalid,
            "node_id is 0; give every node a number from 1",
        ));
    }
    if !host_and_port(address) {
        return Err(refused(
            StoreRefusalReason::Invalid,
            format!("address of node {id} is {address:?}; give host:port"),
        ));
    }
    Ok(())
}
