//! `kvatlas store`: a node, or a command to the nodes.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use indexer_store_raft::{AdminClient, AdminError, ClusterStatus, MemberStatus};

use crate::cli::{AdminArgs, StoreAction, StoreArgs};
use crate::table::Table;
use crate::wiring::stores;
use crate::{config, roles};

/// Runs the node, or the command.
pub(crate) async fn run(args: StoreArgs) -> Result<ExitCode> {
    match args.action {
        None => Box::pin(roles::store::run(args.node)).await,
        Some(action) => command(action).await.map(|()| ExitCode::SUCCESS),
    }
}

#[expect(clippy::print_stdout, reason = "what was done is a command's output")]
async fn command(action: StoreAction) -> Result<()> {
    match action {
        StoreAction::Init { admin, node } => {
            let nodes: Vec<_> = node
                .into_iter()
                .map(|node| (node.id, node.address))
                .collect();
            ask(&admin, async |client| client.init(&nodes).await).await?;
            println!("the store is made");
        }
        StoreAction::Join { admin, node } => {
            ask(&admin, async |client| {
                client.join(node.id, &node.address).await
            })
            .await?;
            println!(
                "node {} is a learner; promote it when it has caught up",
                node.id
            );
        }
        StoreAction::Promote { admin, id } => {
            ask(&admin, async |client| client.promote(id).await).await?;
            println!("node {id} votes");
        }
        StoreAction::Remove { admin, id } => {
            ask(&admin, async |client| client.remove(id).await).await?;
            println!("node {id} is removed; its number must not be used again");
        }
        StoreAction::Status { admin, json } => {
            let status = ask(&admin, async |client| client.status().await).await?;
            if json {
                println!("{}", serde_json::to_string(&status)?);
            } else {
                print!("{}", table(&status));
            }
        }
    }
    Ok(())
}

/// Asks one node after the other until one can be reached.
async fn ask<T>(
    admin: &AdminArgs,
    question: impl AsyncFn(AdminClient) -> Result<T, AdminError>,
) -> Result<T> {
    let config = config::load(&admin.source, Vec::new(), None)?;
    let addresses = match admin.at.is_empty() {
        false => &admin.at,
        true => &config.store.addresses,
    };
    let tls = stores::client_tls(&config.store.tls)?;
    let mut last = None;
    for address in addresses {
        match question(AdminClient::new(address, tls.clone())).await {
            Err(error @ AdminError::Unreachable { .. }) => last = Some(error),
            answered => return Ok(answered?),
        }
    }
    match last {
        Some(error) => Err(error).context("no node answers; is --at right?"),
        None => bail!("which store? give --at HOST:PORT of one of its nodes"),
    }
}

fn table(status: &ClusterStatus) -> String {
    let mut table = Table::new([
        "node", "address", "role", "votes", "term", "applied", "revision", "lag", "log", "disk",
        "ready",
    ]);
    for member in &status.nodes {
        table.row(row(member));
    }
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let leader = status.leader_id.map(|id| id.to_string());
    format!(
        "cluster {}, leader {}\n{}",
        said(&status.cluster),
        said(&leader),
        table.render()
    )
}

fn row(member: &MemberStatus) -> [String; 11] {
    let number =
        |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let node = member.node.as_ref();
    let votes = if member.voter { "yes" } else { "no" };
    let ready = match (node, &member.unreachable) {
        (Some(node), _) if node.ready => "yes".to_owned(),
        (Some(node), _) => node.reason.clone(),
        (None, seen) => seen.clone().unwrap_or_else(|| "unreachable".to_owned()),
    };
    [
        member.node_id.to_string(),
        member.address.clone(),
        node.map_or("-", |node| node.role.as_str()).to_owned(),
        votes.to_owned(),
        number(node.map(|node| node.term)),
        number(node.and_then(|node| node.applied)),
        number(node.and_then(|node| node.revision)),
        number(member.lag),
        number(node.map(|node| node.log_bytes)),
        number(node.map(|node| node.disk_bytes)),
        ready,
    ]
}
