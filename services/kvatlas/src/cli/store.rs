//! `kvatlas store`: a node, and the commands that change which nodes there are.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::ConfigArgs;
use super::roles::set;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) action: Option<StoreAction>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Runs a node.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(crate) source: ConfigArgs,
    /// The number of this node (store.node_id): its own, and never used again.
    #[arg(long, value_name = "N")]
    pub(crate) node_id: Option<u64>,
    /// What others reach it by (store.advertise).
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// gRPC listen address (store.listen).
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,
    /// HTTP listen address: metrics, health (store.http).
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) http: Option<String>,
    /// The folder of its data (store.data); default: ./kvatlas-data.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// Where the store is asked, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdminArgs {
    /// A node of the store. It may be any: the leader is found through it.
    #[arg(long, env = "KVATLAS_STORE", value_name = "HOST:PORT")]
    pub(crate) at: Vec<String>,
    /// Only store.tls of it is looked at.
    #[command(flatten)]
    pub(crate) source: ConfigArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreAction {
    /// Make a new store of nodes that have no data. Once, and never again.
    Init {
        #[command(flatten)]
        admin: AdminArgs,
        /// A node of the first cluster; default: only the one that is asked. May be
        /// repeated.
        #[arg(long, value_name = "ID=HOST:PORT")]
        node: Vec<NodeAddress>,
    },
    /// Add a running node without data as a learner: it gets everything, and has
    /// no vote yet.
    Join {
        #[command(flatten)]
        admin: AdminArgs,
        /// The node to add.
        #[arg(long, value_name = "ID=HOST:PORT")]
        node: NodeAddress,
    },
    /// Give a learner a vote.
    Promote {
        #[command(flatten)]
        admin: AdminArgs,
        /// Its number.
        id: u64,
    },
    /// Take a node out of the store.
    Remove {
        #[command(flatten)]
        admin: AdminArgs,
        /// Its number.
        id: u64,
    },
    /// Say who leads, and where every node stands.
    Status {
        #[command(flatten)]
        admin: AdminArgs,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

/// A node's number and address, as `ID=HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeAddress {
    /// The number.
    pub(crate) id: u64,
    /// What others reach it by.
    pub(crate) address: String,
}

impl FromStr for NodeAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let want = || format!("{text:?}: want ID=HOST:PORT, such as 2=store-2:7400");
        let (id, address) = text.split_once('=').ok_or_else(want)?;
        let id = id.parse().ok().filter(|id| *id > 0).ok_or_else(want)?;
        if !crate::config::is_host_port(address) {
            return Err(want());
        }
        Ok(Self {
            id,
            address: address.to_owned(),
        })
    }
}

impl NodeArgs {
    /// As settings.
    pub(crate) fn settings(&self) -> Result<Vec<(String, String)>> {
        let mut settings = Vec::new();
        set(&mut settings, "store.node_id", self.node_id.as_ref())?;
        set(&mut settings, "store.advertise", self.advertise.as_ref())?;
        set(&mut settings, "store.listen", self.listen.as_ref())?;
        set(&mut settings, "store.http", self.http.as_ref())?;
        set(&mut settings, "store.data", self.data.as_ref())?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_its_number_and_its_address() {
        let node: NodeAddress = "2=store-2:7400".parse().unwrap();
        assert_eq!((node.id, &node.address[..]), (2, "store-2:7400"));
        for text in [
            "store-2:7400",
            "x=a:1",
            "0=a:1",
            "2=",
            "2=a",
            "2=http://a:1",
        ] {
            let said = text.parse::<NodeAddress>().unwrap_err();
            assert!(said.contains("ID=HOST:PORT"), "{said}");
        }
    }
}
