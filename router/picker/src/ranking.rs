//! The best few of many, in order.

use std::cmp::Ordering;

/// One candidate on its way into the ranking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) index: usize,
    /// The overload rule lets it come first.
    pub(crate) eligible: bool,
    /// The score with what the spread adds.
    pub(crate) key: f64,
    /// The spread alone: decides between equal keys.
    pub(crate) drawn: f64,
    pub(crate) score: f64,
}

impl Entry {
    /// Better is less, so that the best sorts first.
    fn order(&self, other: &Self) -> Ordering {
        other
            .eligible
            .cmp(&self.eligible)
            .then_with(|| self.by_key(other))
    }

    /// The same without the overload rule.
    pub(crate) fn by_key(&self, other: &Self) -> Ordering {
        other
            .key
            .total_cmp(&self.key)
            .then_with(|| other.drawn.total_cmp(&self.drawn))
            .then_with(|| self.index.cmp(&other.index))
    }
}

/// Up to here keeping the list sorted is cheaper than sorting it at the end.
const FEW: usize = 32;

/// Keeps the best `room` entries.
pub(crate) struct Ranking {
    best: Vec<Entry>,
    room: usize,
}

impl Ranking {
    pub(crate) fn new(room: usize, candidates: usize) -> Self {
        let room = room.clamp(1, candidates.max(1));
        let capacity = if room <= FEW { room } else { candidates };
        Self {
            best: Vec::with_capacity(capacity),
            room,
        }
    }

    pub(crate) fn offer(&mut self, entry: Entry) {
        if self.room > FEW {
            self.best.push(entry);
            return;
        }
        let place = self
            .best
            .partition_point(|held| held.order(&entry) == Ordering::Less);
        if place == self.room {
            return;
        }
        if self.best.len() == self.room {
            self.best.pop();
        }
        self.best.insert(place, entry);
    }

    pub(crate) fn finish(mut self) -> Vec<Entry> {
        if self.room > FEW {
            self.best.sort_unstable_by(Entry::order);
            self.best.truncate(self.room);
        }
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_places_give_the_same_order() {
        let entries: Vec<Entry> = (0..500usize)
            .map(|index| {
                let key = ((index * 7919) % 97) as f64;
                Entry {
                    index,
                    eligible: index % 3 != 0,
                    key,
                    drawn: ((index * 31) % 11) as f64,
                    score: key,
                }
            })
            .collect();
        let ranked = |room: usize| {
            let mut ranking = Ranking::new(room, entries.len());
            entries.iter().for_each(|entry| ranking.offer(*entry));
            ranking
                .finish()
                .iter()
                .map(|entry| entry.index)
                .collect::<Vec<_>>()
        };
        let all = ranked(500);
        assert_eq!(all.len(), 500);
        for room in [1, 2, 31, 32, 33, 499] {
            assert_eq!(ranked(room), all[..room], "room for {room}");
        }
    }
}
