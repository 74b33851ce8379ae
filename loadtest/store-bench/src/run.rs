//! One store, part by part.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::args::{Args, Part};
use crate::deployment::{Deployment, Kind};
use crate::fleet::Fleet;
use crate::pool::Pool;
use crate::report::StoreReport;
use crate::{cold_start, direct, disk, freshness, throughput};

/// Measures what was asked for; what was measured before a failure is kept.
pub(crate) async fn all(kind: Kind, args: &Args, report: &mut StoreReport) -> Result<()> {
    if args.parts.iter().any(|part| *part != Part::ColdStart) {
        under_load(kind, args, report).await?;
    }
    // In memory there is nothing to start over.
    if args.has(Part::ColdStart) && kind != Kind::Embedded {
        let (binaries, folder) = (args.binaries(), args.folder.as_deref());
        let measured = cold_start::measure(kind, &binaries, folder, args.cold_shape());
        report.cold_start = Some(Box::pin(measured).await.context("cold start")?);
    }
    Ok(())
}

async fn under_load(kind: Kind, args: &Args, report: &mut StoreReport) -> Result<()> {
    let mut deployment = Deployment::start(kind, &args.binaries(), args.folder.as_deref()).await?;
    let mut fleet = Fleet::connect(Pool::new(args.shape(), false)?, &deployment.events).await?;
    let mut view = deployment.view().await?;
    fleet.fill().await?;
    view.caught_up(&fleet).await.context("fill")?;
    let time = Duration::from_secs(args.seconds);
    if args.has(Part::Throughput) {
        let measured = throughput::measure(&deployment, &mut fleet, &mut view, args.events).await;
        report.throughput = Some(measured.context("throughput")?);
    }
    let half = report
        .throughput
        .as_ref()
        .map(|found| found.events_per_second / 2.0);
    if let Some(rate) = args.rate.or(half).filter(|_| args.has(Part::Freshness)) {
        let measured = freshness::measure(&mut fleet, &view, rate, time).await;
        report.freshness = Some(measured.context("freshness")?);
    }
    if args.has(Part::Disk) {
        let (churn, samples) = (args.churn, args.samples);
        let measured = disk::measure(&mut deployment, &mut fleet, &mut view, churn, samples).await;
        report.disk = measured.context("disk")?;
    }
    if args.has(Part::Direct) && kind == Kind::Raft {
        let measured = direct::measure(&deployment, args.shape(), args.writers, time).await;
        report.direct = measured.context("direct appends")?;
    }
    Ok(())
}
