//! The holders that hold every block so far.
//!
//! Nothing is done per holder until it drops out or its media change: the work
//! per block set is one comparison per twelve holders.

use std::sync::atomic::Ordering;

use proto_model::{Holder, MediumSet};

use crate::set_id::{SetId, SetView};
use crate::shared::{Core, Torn};
use crate::{HolderFilter, Match, lanes};

/// The holders of one lane that are still in, with their media since their last
/// change.
#[derive(Debug, Clone, Copy)]
struct Lane {
    number: u32,
    /// Where in [`Survivors::changed`] the lane's twelve places begin, once one
    /// of its holders has changed media.
    changed: Option<u32>,
    media: u64,
}

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Survivors {
    lanes: Vec<Lane>,
    /// What holders had before their last change of media.
    changed: Vec<Match>,
}

/// Where a walk stands, and where its results go.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) core: &'a Core,
    /// Blocks before the one looked at.
    pub(crate) position: u32,
    pub(crate) matches: &'a mut Vec<Match>,
}

impl Survivors {
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
            SetView::One { slot, media } => {
                let (number, shift) = lanes::place(slot);
                self.admit(lanes::lane(number, u64::from(media.bits()) << shift));
            }
            SetView::Record(record) => {
                for lane in core.lanes(record)? {
                    self.admit(lane.load(Ordering::Relaxed));
                }
            }
        }
        if let Some(candidates) = candidates {
            self.restrict(core, candidates);
        }
        Ok(())
    }

    fn admit(&mut self, lane: u64) {
        let media = lane & lanes::NIBBLES;
        self.lanes.push(Lane {
            number: lanes::number(lane),
            changed: None,
            media,
        });
    }

    fn restrict(&mut self, core: &Core, candidates: &HolderFilter) {
        self.lanes.retain_mut(|lane| {
            for shift in lanes::shifts(lane.media) {
                let holder = core.holder(lanes::slot(lane.number, shift));
                if !holder.is_some_and(|holder| candidates.allows(holder)) {
                    lane.media &= !(15 << shift);
                }
            }
            lane.media != 0
        });
    }

    /// Goes on with a block that has another set.
    pub(crate) fn intersect(&mut self, set: SetId, step: &mut Step<'_>) -> Result<(), Torn> {
        let Self { lanes, changed } = self;
        match set.view() {
            SetView::Empty => self.finish(step),
            SetView::One { slot, media } => {
                let (number, shift) = lanes::place(slot);
                let theirs = u64::from(media.bits()) << shift;
                lanes.retain_mut(|lane| {
                    lane.narrow(
                        if lane.number == number { theirs } else { 0 },
                        changed,
                        step,
                    )
                });
            }
            SetView::Record(record) => {
                let mut theirs = step.core.lanes(record)?.iter();
                let mut their = next(&mut theirs);
                lanes.retain_mut(|lane| {
                    while lanes::number(their) < lane.number {
                        their = next(&mut theirs);
                    }
                    let same = lanes::number(their) == lane.number;
                    lane.narrow(if same { their & lanes::NIBBLES } else { 0 }, changed, step)
                });
            }
        }
        Ok(())
    }

    /// Ends: all that are still in hold everything before the position.
    pub(crate) fn finish(&mut self, step: &mut Step<'_>) {
        for lane in &mut self.lanes {
            lane.narrow(0, &mut self.changed, step);
        }
        self.lanes.clear();
    }
}

/// The next lane of a record; at its end one with no media, after all others.
fn next<'a>(lanes: &mut impl Iterator<Item = &'a std::sync::atomic::AtomicU64>) -> u64 {
    lanes
        .next()
        .map_or(!lanes::NIBBLES, |lane| lane.load(Ordering::Relaxed))
}

impl Lane {
    /// Takes over the lane's media at the step's position; whoever has none is
    /// out. Whether anybody is left.
    fn narrow(&mut self, nibbles: u64, changed: &mut Vec<Match>, step: &mut Step<'_>) -> bool {
        let before = self.media;
        self.media = nibbles & lanes::mask(before);
        if self.media == before {
            return true;
        }
        let out = before & !lanes::mask(self.media);
        for shift in lanes::shifts(out) {
            self.report(shift, lanes::media(before, shift), changed, step);
        }
        for shift in lanes::shifts((self.media ^ before) & !out) {
            self.place(shift, changed)
                .extend(lanes::media(before, shift), step.position);
        }
        self.media != 0
    }

    /// Adds the match of a holder that is out, unless it has ended.
    fn report(&self, shift: u32, media: MediumSet, changed: &[Match], step: &mut Step<'_>) {
        let Some(holder) = step.core.holder(lanes::slot(self.number, shift)) else {
            return;
        };
        let mut matched = match self.changed {
            Some(base) => changed[base as usize + shift as usize / 4].of(holder),
            None => Match::new(holder),
        };
        matched.extend(media, step.position);
        step.matches.push(matched);
    }

    fn place<'a>(&mut self, shift: u32, changed: &'a mut Vec<Match>) -> &'a mut Match {
        let base = *self.changed.get_or_insert_with(|| {
            let base = changed.len();
            changed.resize(base + lanes::PER_LANE as usize, Match::new(Holder(0)));
            base as u32
        });
        &mut changed[base as usize + shift as usize / 4]
    }
}
