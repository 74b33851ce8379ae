//! Disks that are full, and files that are not as they were written.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Dice;
use crate::report::Measured;
use crate::world::World;

/// How long a node whose data is damaged may take to say so.
const REFUSAL_LIMIT: Duration = Duration::from_secs(30);

/// How long a full disk is left so.
const FULL: std::ops::Range<u64> = 1000..3000;

/// A node's disk has no room left, then it has again. Others go on, or nobody
/// does; nothing acknowledged is lost either way.
pub(super) async fn disk_full(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    let leader = world.cluster.leader().await?;
    let mut victims = vec![match dice.of(3) {
        0 => leader,
        _ => world.cluster.follower(dice.of(2)).await?,
    }];
    if dice.of(3) == 0 {
        victims = world.cluster.nodes.iter().map(|node| node.id).collect();
    }
    world
        .findings
        .step(format!("fill the disks of nodes {victims:?}"));
    let mut fillers = Vec::new();
    for id in &victims {
        let filler = world.cluster.node(*id)?.data.with_file_name("filler");
        fill(&filler)?;
        fillers.push(filler);
    }
    // Appends take what was left, and more.
    dice.wait(FULL).await;
    world.findings.step("make room");
    for filler in &fillers {
        fs::remove_file(filler).context("make room")?;
    }
    for id in victims {
        // A node may have stopped, which is right, or have waited, which is too.
        let member = &mut world.cluster.node(id)?.member;
        if member.ended_by_itself().is_some() {
            world.findings.count("nodes_stopped_by_disk", 1);
        }
        member.kill().await?;
        member.start()?;
    }
    Ok(Measured::default())
}

/// Writes until there is no room.
fn fill(path: &Path) -> Result<()> {
    let mut file = fs::File::create(path).with_context(|| format!("{}", path.display()))?;
    let zeros = [0; 64 << 10];
    while file.write_all(&zeros).is_ok() {}
    // The last bytes too.
    while file.write_all(&zeros[..512]).is_ok() {}
    Ok(())
}

/// A node's files are damaged while it is down. It must refuse to start; then
/// another node takes its place, with a number and a folder of its own.
pub(super) async fn damaged_disk(world: &mut World, dice: &mut Dice) -> Result<Measured> {
    let victim = if dice.coin() {
        world.cluster.leader().await?
    } else {
        world.cluster.follower(dice.of(2)).await?
    };
    world.findings.step(format!("kill node {victim}"));
    let node = world.cluster.node(victim)?;
    node.member.kill().await?;
    let damage = damage(&node.data, dice)?;
    world
        .findings
        .step(format!("start node {victim} with {damage}"));
    let node = world.cluster.node(victim)?;
    node.member.start()?;
    match node.member.wait_for_end(REFUSAL_LIMIT).await {
        Ok(status) if status.success() => {
            let what = format!("node {victim} with {damage} ended as if all were well");
            world.findings.violation("damage", what);
        }
        Ok(_) => world.findings.count("damage_refused", 1),
        Err(_) => {
            // Nobody reads every byte: what was damaged may be no part of what the
            // node holds. Then it must be right, which the comparison shows.
            world.findings.count("damage_not_met", 1);
            if damage.contains("cut") {
                let what = format!("node {victim} started with {damage}");
                world.findings.violation("damage", what);
            }
        }
    }
    replace(world, victim).await?;
    Ok(Measured::default())
}

/// What an operator does: remove the node, join a new one, promote it.
async fn replace(world: &mut World, victim: u64) -> Result<()> {
    let fresh = world.cluster.nodes.iter().map(|node| node.id).max();
    let fresh = fresh.context("no nodes")? + 1;
    world
        .findings
        .step(format!("replace node {victim} by node {fresh}"));
    world.cluster.node(victim)?.member.kill().await?;
    let leader = world.cluster.leader().await?;
    let cluster = &mut world.cluster;
    cluster
        .administer(leader, &["remove", &victim.to_string()])
        .await?;
    cluster.nodes.retain(|node| node.id != victim);
    let node = cluster.fresh_node(fresh).await?;
    let named = format!("{fresh}={}", node.proxy.address());
    node.member.start()?;
    cluster
        .administer(leader, &["join", "--node", &named])
        .await?;
    cluster.promote(fresh).await
}

/// Damages the largest files: bytes in them, or their end. Says what was done.
fn damage(data: &Path, dice: &mut Dice) -> Result<String> {
    let mut files = Vec::new();
    collect(data, &mut files)?;
    files.sort_by_key(|(path, length)| (std::cmp::Reverse(*length), path.clone()));
    let Some((path, length)) = files.first() else {
        bail!("no files in {}", data.display());
    };
    let name = path
        .strip_prefix(data)
        .unwrap_or(path)
        .display()
        .to_string();
    if dice.coin() {
        let left = length / 2;
        let file = fs::OpenOptions::new().write(true).open(path)?;
        file.set_len(left)?;
        return Ok(format!("{name} cut from {length} to {left} bytes"));
    }
    let mut bytes = fs::read(path)?;
    let mut flipped = 0;
    // Where there is something: a file's unused part is zeros.
    let used: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    for _ in 0..64.min(used.len()) {
        bytes[used[dice.of(used.len())]] ^= 0x55;
        flipped += 1;
    }
    fs::write(path, bytes)?;
    Ok(format!("{flipped} bytes of {name} flipped"))
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            collect(&entry.path(), files)?;
        } else if metadata.len() > 0 {
            files.push((entry.path(), metadata.len()));
        }
    }
    Ok(())
}
