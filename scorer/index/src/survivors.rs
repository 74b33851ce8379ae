//! The holders that hold every block so far.
//!
//! Nothing is done per holder until it drops out or its media change: the work
//! per block set is one comparison per twelve holders.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use proto_model::{Holder, Medium, MediumSet};

use crate::matching::Report;
use crate::set_id::{SetId, SetView};
use crate::shared::{Core, Torn};
use crate::{HolderFilter, Match, lanes};

/// In [`Survivors::places`]: no holder of the lane has changed media.
const UNCHANGED: u32 = u32::MAX;

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Survivors {
    /// Lanes as in a set's record, with what holders have had since their last
    /// change of media.
    lanes: Vec<u64>,
    /// For each lane, where in `changed` its twelve places begin.
    places: Vec<u32>,
    /// What holders had before their last change of media.
    changed: Vec<Match>,
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

    /// Reports all holders of a lane that have had every block on the fastest
    /// medium, and nothing else: most lanes.
    #[inline]
    fn report_all(&mut self, lane: u64) {
        let first = lanes::slot(lanes::number(lane), 0);
        let mut rest = lane & lanes::NIBBLES;
        while rest != 0 {
            if let Some(holder) = self.core.holder(first + rest.trailing_zeros() / 4) {
                self.report.alike(holder, self.position, Medium::Gpu);
            }
            rest &= rest - 1;
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
        self.changed.clear();
        match set.view() {
            SetView::Empty => {}
            SetView::One { slot, media } => self.lanes.push(lone(slot, media)),
            SetView::Record(record) => {
                let lanes = core.lanes(record)?.iter();
                self.lanes
                    .extend(lanes.map(|lane| lane.load(Ordering::Relaxed)));
            }
        }
        if let Some(candidates) = candidates {
            self.lanes.retain_mut(|lane| {
                restrict(lane, core, candidates);
                *lane & lanes::NIBBLES != 0
            });
        }
        self.places.clear();
        self.places.resize(self.lanes.len(), UNCHANGED);
        Ok(())
    }

    /// Goes on with a block that has another set.
    pub(crate) fn intersect(&mut self, set: SetId, step: &mut Step<'_>) -> Result<(), Torn> {
        match set.view() {
            SetView::Empty => self.finish(step),
            SetView::One { slot, media } => {
                self.intersect_lanes(&[AtomicU64::new(lone(slot, media))], step);
            }
            SetView::Record(record) => {
                let theirs = step.core.lanes(record)?;
                self.intersect_lanes(theirs, step);
            }
        }
        Ok(())
    }

    /// Most lanes of two sets are the same: those are compared as whole words.
    fn intersect_lanes(&mut self, theirs: &[AtomicU64], step: &mut Step<'_>) {
        let their = |next: usize| theirs.get(next).map(|lane| lane.load(Ordering::Relaxed));
        let (mut at, mut next, mut kept) = (0, 0, 0);
        while let Some(&mine) = self.lanes.get(at) {
            while their(next).is_some_and(|their| lanes::number(their) < lanes::number(mine)) {
                next += 1;
            }
            let same = self.same(at, &theirs[next..]);
            if same > 0 {
                self.keep(at..at + same, kept);
                (at, next, kept) = (at + same, next + same, kept + same);
                continue;
            }
            let other = their(next).filter(|their| lanes::number(*their) == lanes::number(mine));
            let left = self.narrow(at, other.unwrap_or(0) & lanes::NIBBLES, step);
            if left & lanes::NIBBLES != 0 {
                self.lanes[at] = left;
                self.keep(at..at + 1, kept);
                kept += 1;
            }
            at += 1;
        }
        self.lanes.truncate(kept);
        self.places.truncate(kept);
    }

    /// How many lanes from `at` on are the same as theirs.
    #[inline]
    fn same(&self, at: usize, theirs: &[AtomicU64]) -> usize {
        let lanes = self.lanes[at..].iter().zip(theirs);
        lanes
            .take_while(|(mine, their)| their.load(Ordering::Relaxed) == **mine)
            .count()
    }

    /// Moves lanes up to where those before them end.
    #[inline]
    fn keep(&mut self, lanes: Range<usize>, end: usize) {
        if lanes.start != end {
            self.lanes.copy_within(lanes.clone(), end);
            self.places.copy_within(lanes, end);
        }
    }

    /// Ends: all that are still in hold everything before the position.
    pub(crate) fn finish(&mut self, step: &mut Step<'_>) {
        step.report.reserve(self.lanes.len());
        for at in 0..self.lanes.len() {
            self.narrow(at, 0, step);
        }
        self.lanes.clear();
    }

    /// What is left of a lane at the step's position; whoever has no media there
    /// is out.
    fn narrow(&mut self, at: usize, nibbles: u64, step: &mut Step<'_>) -> u64 {
        let lane = self.lanes[at];
        let (number, before) = (lanes::number(lane), lane & lanes::NIBBLES);
        let media = nibbles & lanes::mask(before);
        if media == 0 && self.places[at] == UNCHANGED && lanes::occupied(before) == before {
            step.report_all(lane);
            return 0;
        }
        let out = before & !lanes::mask(media);
        for shift in lanes::shifts(out) {
            if let Some(holder) = step.core.holder(lanes::slot(number, shift)) {
                self.report(at, shift, (holder, lanes::media(before, shift)), step);
            }
        }
        for shift in lanes::shifts((media ^ before) & !out) {
            self.place(at, shift)
                .extend(lanes::media(before, shift), step.position);
        }
        lanes::lane(number, media)
    }

    /// Reports a holder that is out, with its media since their last change.
    fn report(
        &self,
        at: usize,
        shift: u32,
        (holder, media): (Holder, MediumSet),
        step: &mut Step<'_>,
    ) {
        match (self.places[at], media.fastest()) {
            (UNCHANGED, Some(fastest)) => step.report.alike(holder, step.position, fastest),
            (UNCHANGED, None) => {}
            (base, _) => {
                let before = self.changed[base as usize + shift as usize / 4];
                let mut matched = before.of(holder);
                matched.extend(media, step.position);
                step.report.mixed(matched);
            }
        }
    }

    fn place(&mut self, at: usize, shift: u32) -> &mut Match {
        if self.places[at] == UNCHANGED {
            let base = self.changed.len();
            let len = base + lanes::PER_LANE as usize;
            self.changed.resize(len, Match::new(Holder(0)));
            self.places[at] = base as u32;
        }
        &mut self.changed[self.places[at] as usize + shift as usize / 4]
    }
}

/// The lane of a set of one.
fn lone(slot: u32, media: MediumSet) -> u64 {
    let (number, shift) = lanes::place(slot);
    lanes::lane(number, u64::from(media.bits()) << shift)
}

/// Takes those out that are no candidates.
fn restrict(lane: &mut u64, core: &Core, candidates: &HolderFilter) {
    let (number, nibbles) = (lanes::number(*lane), *lane & lanes::NIBBLES);
    for shift in lanes::shifts(nibbles) {
        let holder = core.holder(lanes::slot(number, shift));
        if !holder.is_some_and(|holder| candidates.allows(holder)) {
            *lane &= !(15 << shift);
        }
    }
}
