//! The holders that hold every block so far.

use std::sync::atomic::Ordering;

use proto_model::MediumSet;

use crate::set_id::{SetId, SetView};
use crate::shared::{Core, Torn};
use crate::{HolderFilter, Match, lanes};

/// The holders of one lane that are still in, with their media at the last
/// change.
#[derive(Debug, Clone, Copy)]
struct Lane {
    number: u32,
    media: u64,
    /// Which slots were in at the first block, one bit each.
    first: u64,
    /// Where the match of the lowest of them is.
    base: u32,
}

impl Lane {
    /// Where the match of the slot at `shift` is.
    fn index(&self, shift: u32) -> usize {
        (self.base + (self.first & ((1 << shift) - 1)).count_ones()) as usize
    }

    /// Takes over the lane's media from a position on; whoever has none is out.
    fn narrow(&mut self, nibbles: u64, position: u32, matches: &mut [Match]) {
        let media = nibbles & lanes::mask(self.media);
        for shift in lanes::shifts(self.media ^ media) {
            let matched = &mut matches[self.index(shift)];
            matched.extend(lanes::media(self.media, shift), position);
        }
        self.media = media;
    }
}

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Survivors {
    lanes: Vec<Lane>,
}

impl Survivors {
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Begins with the living, allowed holders of the first block's set.
    pub(crate) fn begin(
        &mut self,
        core: &Core,
        set: SetId,
        candidates: Option<&HolderFilter>,
        matches: &mut Vec<Match>,
    ) -> Result<(), Torn> {
        self.lanes.clear();
        let mut admit = |number, nibbles| self.admit(core, (number, nibbles), candidates, matches);
        match set.view() {
            SetView::Empty => {}
            SetView::One { slot, media } => {
                let (number, shift) = lanes::place(slot);
                admit(number, u64::from(media.bits()) << shift);
            }
            SetView::Record(record) => {
                for lane in core.lanes(record)? {
                    let lane = lane.load(Ordering::Relaxed);
                    admit(lanes::number(lane), lane & lanes::NIBBLES);
                }
            }
        }
        Ok(())
    }

    fn admit(
        &mut self,
        core: &Core,
        (number, mut media): (u32, u64),
        candidates: Option<&HolderFilter>,
        matches: &mut Vec<Match>,
    ) {
        let base = matches.len() as u32;
        for shift in lanes::shifts(media) {
            let holder = core.holder(lanes::slot(number, shift));
            match holder.filter(|holder| candidates.is_none_or(|c| c.allows(*holder))) {
                Some(holder) => matches.push(Match::new(holder)),
                None => media &= !(15 << shift),
            }
        }
        if media != 0 {
            self.lanes.push(Lane {
                number,
                media,
                first: lanes::occupied(media),
                base,
            });
        }
    }

    /// Goes on with a block that has another set.
    pub(crate) fn intersect(
        &mut self,
        core: &Core,
        set: SetId,
        position: u32,
        matches: &mut [Match],
    ) -> Result<(), Torn> {
        match set.view() {
            SetView::Empty => self.finish(position, matches),
            SetView::One { slot, media } => self.keep_one(slot, media, position, matches),
            SetView::Record(record) => {
                let mut theirs = core
                    .lanes(record)?
                    .iter()
                    .map(|lane| lane.load(Ordering::Relaxed))
                    .peekable();
                self.lanes.retain_mut(|lane| {
                    while theirs
                        .next_if(|their| lanes::number(*their) < lane.number)
                        .is_some()
                    {}
                    let their = theirs.next_if(|their| lanes::number(*their) == lane.number);
                    lane.narrow(their.unwrap_or(0) & lanes::NIBBLES, position, matches);
                    lane.media != 0
                });
            }
        }
        Ok(())
    }

    fn keep_one(&mut self, slot: u32, media: MediumSet, position: u32, matches: &mut [Match]) {
        let (number, shift) = lanes::place(slot);
        self.lanes.retain_mut(|lane| {
            let nibbles = if lane.number == number {
                u64::from(media.bits()) << shift
            } else {
                0
            };
            lane.narrow(nibbles, position, matches);
            lane.media != 0
        });
    }

    /// Ends with all that are still in holding everything up to `position`.
    pub(crate) fn finish(&mut self, position: u32, matches: &mut [Match]) {
        for lane in &mut self.lanes {
            lane.narrow(0, position, matches);
        }
        self.lanes.clear();
    }
}
