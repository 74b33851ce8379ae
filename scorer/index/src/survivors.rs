//! The holders that hold every block so far.
//!
//! Nothing is done per holder until it drops out or its fastest medium changes:
//! the work per block set is one operation per 48 holders.

mod changes;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use proto_model::Medium;

use crate::matching::Report;
use crate::set_id::{SetId, SetView};
use crate::shared::{Core, Torn};
use crate::{HolderFilter, lanes};
use changes::Changes;

/// The media bits of a lane: none for the GPU.
const SLOWER: u64 = 3 << lanes::SPAN;

/// Stands behind the last lane; no slot has its span.
const NO_LANE: u64 = u64::MAX;

/// The slots of one span by their fastest medium.
type Fastest = [u64; lanes::MEDIA];

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Survivors {
    /// Lanes as in a set's record, but every holder only in that of its fastest
    /// medium.
    lanes: Vec<u64>,
    /// Whether some lane is of another medium than the GPU.
    is_mixed: bool,
    changes: Changes,
}

/// Where a walk stands, and where its results go.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    core: &'a Core,
    /// Blocks before the one looked at.
    position: u32,
    report: &'a mut Report,
}

impl<'a> Step<'a> {
    pub(crate) fn new(core: &'a Core, position: usize, report: &'a mut Report) -> Self {
        Self {
            core,
            position: position as u32,
            report,
        }
    }
}

impl Survivors {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Begins with the allowed holders of the first block's set.
    pub(crate) fn begin(
        &mut self,
        core: &Core,
        set: SetId,
        candidates: Option<&HolderFilter>,
    ) -> Result<(), Torn> {
        self.lanes.clear();
        self.changes.clear();
        match set.view() {
            SetView::Empty => {}
            SetView::One { slot, media } => self.lanes.extend(lanes::lone(slot, media)),
            SetView::Record(record) => {
                let lanes = core.lanes(record)?.iter();
                self.lanes
                    .extend(lanes.map(|lane| lane.load(Ordering::Relaxed)));
            }
        }
        let media = self.lanes.iter().fold(0, |media, lane| media | lane);
        self.is_mixed = media & SLOWER != 0;
        if self.is_mixed {
            self.keep_fastest();
        }
        if let Some(candidates) = candidates {
            self.lanes.retain_mut(|lane| {
                restrict(lane, core, candidates);
                *lane & lanes::SLOTS != 0
            });
        }
        Ok(())
    }

    /// Leaves every holder in one lane only.
    fn keep_fastest(&mut self) {
        let (mut span, mut seen) = (u32::MAX, 0);
        self.lanes.retain_mut(|lane| {
            let its = lanes::span(*lane);
            if its != span {
                (span, seen) = (its, 0);
            }
            *lane &= !seen;
            seen |= *lane & lanes::SLOTS;
            *lane & lanes::SLOTS != 0
        });
    }

    /// Goes on with a block that has another set.
    pub(crate) fn intersect(&mut self, set: SetId, step: &mut Step<'_>) -> Result<(), Torn> {
        match set.view() {
            SetView::Empty => self.finish(step),
            SetView::One { slot, media } => {
                let fastest = lanes::lone(slot, media).next().unwrap_or(NO_LANE);
                self.intersect_lanes(&[AtomicU64::new(fastest)], step);
            }
            SetView::Record(record) => {
                let theirs = step.core.lanes(record)?;
                self.intersect_lanes(theirs, step);
            }
        }
        Ok(())
    }

    fn intersect_lanes(&mut self, mut theirs: &[AtomicU64], step: &mut Step<'_>) {
        let was_mixed = self.is_mixed;
        let (mut at, mut kept) = (0, 0);
        while let Some(&mine) = self.lanes.get(at) {
            let span = lanes::span(mine);
            while lanes::span(lane_at(theirs, 0)) < span {
                theirs = &theirs[1..];
            }
            if !was_mixed && let Some(lost) = lost_of_gpu(mine, theirs) {
                if lost != 0 {
                    self.report(span, (lost, Medium::Gpu), step);
                }
                let left = mine & !lost;
                self.lanes[kept] = left;
                kept += usize::from(left & lanes::SLOTS != 0);
                at += 1;
                continue;
            }
            let mine = self.lanes[at..].iter().copied();
            let (mine, consumed) = fastest(span, mine);
            let theirs = theirs.iter().map(|lane| lane.load(Ordering::Relaxed));
            let (their, _) = fastest(span, theirs);
            let left = self.narrow(span, (mine, their), step);
            at += consumed;
            self.put(span, left, (&mut kept, &mut at));
        }
        self.lanes.truncate(kept);
    }

    /// What is left of a span at the step's position; whoever has no medium there
    /// is out.
    fn narrow(
        &mut self,
        span: u32,
        (mine, their): (Fastest, Fastest),
        step: &mut Step<'_>,
    ) -> Fastest {
        let all = |slots: Fastest| slots.iter().fold(0, |all, slots| all | slots);
        let held = all(their);
        for (medium, (mine, their)) in Medium::ALL.into_iter().zip(mine.into_iter().zip(their)) {
            if mine & !held != 0 {
                self.report(span, (mine & !held, medium), step);
            }
            for slot in lanes::slots(span, mine & held & !their) {
                self.changes.note(slot, medium, step.position);
            }
        }
        their.map(|slots| slots & all(mine))
    }

    /// Puts a span's lanes where those kept end; there may be more than before.
    fn put(&mut self, span: u32, slots: Fastest, (kept, at): (&mut usize, &mut usize)) {
        for (medium, slots) in Medium::ALL.into_iter().zip(slots) {
            if slots == 0 {
                continue;
            }
            self.is_mixed |= medium != Medium::Gpu;
            let lane = lanes::lane(span, medium, slots);
            if *kept == *at {
                self.lanes.insert(*at, lane);
                *at += 1;
            } else {
                self.lanes[*kept] = lane;
            }
            *kept += 1;
        }
    }

    /// Ends: all that are still in hold everything before the position.
    pub(crate) fn finish(&mut self, step: &mut Step<'_>) {
        for at in 0..self.lanes.len() {
            let lane = self.lanes[at];
            let medium = Medium::ALL[lanes::medium(lane)];
            self.report(lanes::span(lane), (lane & lanes::SLOTS, medium), step);
        }
        self.lanes.clear();
    }

    /// Reports holders that are out, with their medium now.
    #[inline]
    fn report(&self, span: u32, (slots, medium): (u64, Medium), step: &mut Step<'_>) {
        let roster = step.core.roster_from(span * lanes::SPAN);
        let changed = slots & self.changes.slots(span);
        step.report
            .alike(roster, slots & !changed, (step.position, medium));
        if changed != 0 {
            self.report_changed(span, (changed, medium), step);
        }
    }

    /// Reports those of the holders that are out whose medium has changed before.
    #[cold]
    fn report_changed(&self, span: u32, (slots, medium): (u64, Medium), step: &mut Step<'_>) {
        for slot in lanes::slots(span, slots) {
            if let (Some(holder), Some(before)) = (step.core.holder(slot), self.changes.of(slot)) {
                let mut matched = before.of(holder);
                matched.extend(medium, step.position);
                step.report.mixed(matched);
            }
        }
    }
}

/// A lane of a list, or [`NO_LANE`].
#[inline]
fn lane_at(lanes: &[AtomicU64], at: usize) -> u64 {
    lanes
        .get(at)
        .map_or(NO_LANE, |lane| lane.load(Ordering::Relaxed))
}

/// Of a lane of the GPU, who is no longer there: nearly always this says all.
/// None if some may be found in lanes of slower media.
#[inline]
fn lost_of_gpu(mine: u64, theirs: &[AtomicU64]) -> Option<u64> {
    let their = lane_at(theirs, 0);
    if lanes::head(their) == lanes::head(mine) {
        let lost = mine & !their;
        let is_all = lost == 0 || lanes::span(lane_at(theirs, 1)) != lanes::span(mine);
        is_all.then_some(lost)
    } else {
        (lanes::span(their) != lanes::span(mine)).then_some(mine & lanes::SLOTS)
    }
}

/// Every holder of a span under its fastest medium, and how many lanes the span
/// has at the list's beginning.
fn fastest(span: u32, lanes: impl Iterator<Item = u64>) -> (Fastest, usize) {
    let (mut slots, mut seen, mut count) = ([0; lanes::MEDIA], 0, 0);
    for lane in lanes.take_while(|lane| lanes::span(*lane) == span) {
        let its = lane & lanes::SLOTS & !seen;
        slots[lanes::medium(lane)] = its;
        seen |= its;
        count += 1;
    }
    (slots, count)
}

/// Takes those out that are no candidates.
fn restrict(lane: &mut u64, core: &Core, candidates: &HolderFilter) {
    for slot in lanes::members(*lane) {
        let holder = core.holder(slot);
        if !holder.is_some_and(|holder| candidates.allows(holder)) {
            *lane &= !lanes::place(slot).1;
        }
    }
}
