//! Faults of the store's nodes and of the links between them.

use anyhow::Result;
use tokio::time::Instant;

use super::Dice;
use crate::links::{Quality, Who};
use crate::report::Measured;
use crate::settings::Backend;
use crate::world::World;

/// SIGKILL of the leader; writes go on at another node, and it comes back.
pub(super) async fn leader_kill(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    if world.cluster.settings.backend != Backend::Raft {
        return power_loss(world, dice).await;
    }
    let leader = world.cluster.leader().await?;
    world
        .findings
        .step(format!("kill the leader, node {leader}"));
    let killed = Instant::now();
    world.cluster.node(leader)?.member.kill().await?;
    let resumed = world.writes_resume(killed).await;
    dice.wait(0..300).await;
    world.findings.step(format!("start node {leader}"));
    let member = &mut world.cluster.node(leader)?.member;
    member.start()?;
    member.ready().await?;
    Ok(Measured::resumed(resumed))
}

/// SIGKILL of all nodes at once.
pub(super) async fn power_loss(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    world.findings.step("kill all nodes");
    let killed = Instant::now();
    for node in &mut world.cluster.nodes {
        // Each takes well under a millisecond.
        node.member.kill().await?;
    }
    dice.wait(0..500).await;
    world.findings.step("start all nodes");
    for node in &mut world.cluster.nodes {
        node.member.start()?;
    }
    for node in &mut world.cluster.nodes {
        node.member.ready().await?;
    }
    let resumed = if world.cluster.settings.backend == Backend::Raft {
        world.writes_resume(killed).await
    } else {
        None
    };
    Ok(Measured::resumed(resumed))
}

/// A node loses others for a while, in one of many ways.
pub(super) async fn partition(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    let leader = world.cluster.leader().await?;
    let victim = if dice.coin() {
        leader
    } else {
        world.cluster.follower(dice.of(2)).await?
    };
    let quality = if dice.coin() {
        Quality::Held
    } else {
        Quality::Cut
    };
    let began = Instant::now();
    let kind = dice.of(5);
    if kind == 4 {
        return lagging(world, dice, leader).await;
    }
    apply(world, victim, kind, quality);
    let resumed = if victim == leader && kind != 3 {
        world.writes_resume(began).await
    } else {
        None
    };
    dice.wait(500..2500).await;
    world.findings.step("heal");
    world.cluster.links.heal();
    Ok(Measured::resumed(resumed))
}

/// A follower falls behind, and then is the only node that scorers reach. They
/// must stay where they stand.
async fn lagging(world: &mut World, dice: &mut Dice, leader: u64) -> Result<Measured> {
    let behind = world.cluster.follower(dice.of(2)).await?;
    let links = world.cluster.links.clone();
    let nodes: Vec<_> = world.cluster.nodes.iter().map(|node| node.id).collect();
    let others = nodes.into_iter().filter(|id| *id != behind);
    let others: Vec<_> = others.map(Who::Node).collect();
    let step = format!("node {behind} falls behind; the leader is node {leader}");
    world.findings.step(step);
    for other in &others {
        links.set_both(Who::Node(behind), *other, Quality::Held);
    }
    dice.wait(500..1000).await;
    world
        .findings
        .step(format!("scorers reach node {behind} only"));
    for scorer in 0..world.cluster.scorers.len() {
        for other in &others {
            links.set(Who::Scorer(scorer), *other, Quality::Cut);
        }
    }
    dice.wait(1000..2500).await;
    world.findings.step("heal");
    links.heal();
    Ok(Measured::default())
}

fn apply(world: &World, victim: u64, kind: usize, quality: Quality) {
    let links = &world.cluster.links;
    let node = Who::Node(victim);
    let others = world.cluster.nodes.iter().map(|node| node.id);
    let others: Vec<_> = others.filter(|id| *id != victim).map(Who::Node).collect();
    let how = match kind {
        // Clients still reach it, other nodes do not.
        0 => {
            others
                .iter()
                .for_each(|other| links.set_both(node, *other, quality));
            "from the nodes"
        }
        // Nobody reaches it, and it reaches nobody.
        1 => {
            others
                .iter()
                .for_each(|other| links.set_both(node, *other, quality));
            for client in clients(world) {
                links.set(client, node, quality);
            }
            "from everybody"
        }
        // It hears others, but they do not hear it.
        2 => {
            others
                .iter()
                .for_each(|other| links.set(node, *other, quality));
            "in what it says"
        }
        // Everything to it is slow, as over a bad line.
        _ => {
            let slow = Quality::Delayed(world.cluster.settings.election_timeouts.0 / 8);
            others
                .iter()
                .for_each(|other| links.set_both(node, *other, slow));
            "by delay"
        }
    };
    let step = format!("cut node {victim} off {how} ({quality:?})");
    world.findings.step(step);
}

fn clients(world: &World) -> Vec<Who> {
    let ingestors = (0..world.cluster.ingestors.len()).map(Who::Ingestor);
    let scorers = (0..world.cluster.scorers.len()).map(Who::Scorer);
    ingestors.chain(scorers).chain([Who::Suite]).collect()
}
