//! A scorer that starts over a full store.

use anyhow::{Result, bail};

use crate::counting_proxy::CountingProxy;
use crate::deployment::{Binaries, Deployment, Kind, READY_LIMIT};
use crate::fleet::Fleet;
use crate::pool::{Pool, Shape};
use crate::report::ColdStart;
use crate::scorer::ScorerView;

/// Fills a new store, then starts a scorer that has never seen it. For a store
/// within the process: starts that process again.
pub(crate) async fn measure(
    kind: Kind,
    binaries: &Binaries,
    folder: Option<&std::path::Path>,
    shape: Shape,
) -> Result<ColdStart> {
    let mut deployment = Deployment::start(kind, binaries, folder).await?;
    let mut fleet = Fleet::connect(Pool::new(shape, true)?, &deployment.events).await?;
    let mut view = deployment.view().await?;
    fleet.fill().await?;
    view.caught_up(&fleet).await?;
    view.check(&fleet).await?;
    if kind == Kind::EmbeddedDisk {
        return restart(&mut deployment, shape).await;
    }
    let mut proxies = Vec::new();
    for port in &deployment.store_ports {
        proxies.push(CountingProxy::before(*port).await?);
    }
    let ports: Vec<u16> = proxies.iter().map(|proxy| proxy.port).collect();
    let (scorer, port) = deployment.another_scorer(&ports).await?;
    let mut scorer = scorer.start()?;
    let ready = scorer.ready(READY_LIMIT).await?;
    let (peak, wire) = (
        scorer.peak_bytes()?,
        proxies.iter().map(CountingProxy::down_bytes).sum(),
    );
    expect(&mut ScorerView::connect(port).await?, shape).await?;
    Ok(ColdStart {
        memberships: shape.memberships(),
        ready_seconds: ready.as_secs_f64(),
        peak_bytes: peak,
        wire_bytes: Some(wire),
    })
}

async fn restart(deployment: &mut Deployment, shape: Shape) -> Result<ColdStart> {
    let ready = deployment.members[0].restart(false).await?;
    let peak = deployment.members[0].peak_bytes()?;
    expect(&mut deployment.view().await?, shape).await?;
    Ok(ColdStart {
        memberships: shape.memberships(),
        ready_seconds: ready.as_secs_f64(),
        peak_bytes: peak,
        wire_bytes: None,
    })
}

/// Ready means complete.
async fn expect(view: &mut ScorerView, shape: Shape) -> Result<()> {
    let (held, listed) = (shape.memberships(), view.memberships().await?);
    if held != listed {
        bail!("said it was ready with {listed} of {held} memberships");
    }
    Ok(())
}
