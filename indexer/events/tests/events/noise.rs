//! Messages that engines send, would send, or never should, from a seed: every form,
//! every width that msgpack has for a value, and now and then something else.

/// A stream of choices, the same for the same seed (SplitMix64).
pub(crate) struct Noise {
    state: u64,
    /// Of so many values one is not what it should be.
    odd: usize,
}

/// Field names, and those of later versions.
const NAMES: [&str; 20] = [
    "block_hashes",
    "parent_block_hash",
    "token_ids",
    "block_size",
    "lora_id",
    "medium",
    "lora_name",
    "extra_keys",
    "group_idx",
    "kv_cache_spec_kind",
    "kv_cache_spec_sliding_window",
    "locality",
    "ownership",
    "session_id",
    "lookahead_token_ids",
    "object_key",
    "seq_hashes",
    "parent_hash",
    "base_block_idx",
    "new_in_a_later_version",
];
/// Tags of an event, known and not.
const TAGS: [&str; 7] = [
    "BlockStored",
    "BlockRemoved",
    "AllBlocksCleared",
    "stored",
    "removed",
    "cleared",
    "BlockMoved",
];
/// Words of fields that have some, and a few that none has.
const WORDS: [&str; 14] = [
    "GPU",
    "CPU",
    "STORAGE",
    "obj",
    "nowhere",
    "full_attention",
    "mamba",
    "ring_attention",
    "LOCAL",
    "REMOTE",
    "near",
    "",
    "é。",
    "longer than sixteen",
];

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        let mut noise = Self {
            state: seed,
            odd: usize::MAX,
        };
        noise.odd = [usize::MAX, 400, 60, 12][noise.below(4)];
        noise
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end
    }

    fn once_in(&mut self, times: usize) -> bool {
        times != usize::MAX && self.below(times) == 0
    }

    fn any<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// The payload with a few bytes set, added, taken out, or copied from `other`.
    pub(crate) fn damage(&mut self, payload: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = payload.to_vec();
        for _ in 0..=self.below(3) {
            // Structure is at the beginning; what follows are hashes and tokens.
            let within = [bytes.len(), bytes.len().min(64)][self.below(2)];
            let at = self.below(within.max(1)).min(bytes.len());
            let markers =
                b"\xc0\xc1\xc4\xcc\xcd\xce\xcf\xd0\xd3\xdc\xdd\xde\xdf\x90\x80\xa0\xcb\xca\xc7\xd4";
            match self.below(8) {
                0 if at < bytes.len() => bytes[at] = self.next().to_le_bytes()[0],
                1 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
                2 if at < bytes.len() => bytes[at] = markers[self.below(markers.len())],
                3 if at < bytes.len() => drop(bytes.remove(at)),
                4 => bytes.insert(at, markers[self.below(markers.len())]),
                5 => bytes.truncate(at),
                6 => {
                    let from = self.below(other.len());
                    let to = other.len().min(from + 1 + self.below(48));
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
                _ => {
                    let to = bytes.len().min(at + 1 + self.below(16));
                    bytes.drain(at..to);
                }
            }
        }
        bytes
    }

    /// A payload.
    pub(crate) fn message(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.below(5) == 0 {
            self.batch_map(&mut out);
        } else {
            let length = [2, 2, 3, 3, 3, 3, 5, 1][self.below(8)];
            self.head(&mut out, 0x90, 0xdc, length);
            for field in 0..length {
                self.batch_field(&mut out, ["ts", "events", "dp_rank"].get(field).copied());
            }
        }
        if self.once_in(200) {
            out.push(0xc0);
        }
        if self.once_in(200) {
            let length = self.below(out.len());
            out.truncate(length);
        }
        out
    }

    fn batch_map(&mut self, out: &mut Vec<u8>) {
        let mut names = vec!["ts", "events"];
        for _ in 0..self.below(3) {
            let name = self.any(&[
                "ts",
                "timestamp",
                "events",
                "dp_rank",
                "attn_dp_rank",
                "new",
            ]);
            names.insert(self.below(names.len() + 1), name);
        }
        if self.once_in(8) {
            names.remove(0);
        }
        self.head(out, 0x80, 0xde, names.len());
        for name in names {
            self.name(out, name);
            self.batch_field(out, Some(name));
        }
    }

    fn batch_field(&mut self, out: &mut Vec<u8>, name: Option<&str>) {
        if self.once_in(self.odd.saturating_mul(2)) {
            return self.anything(out, 3);
        }
        match name {
            Some("ts" | "timestamp") => match self.below(4) {
                0 => self.number(out, 1_763_600_000_250),
                1 => self.number(out, 1_763_600_000),
                _ => self.float(out),
            },
            Some("events") => {
                let events = self.below(5);
                self.head(out, 0x90, 0xdc, events);
                (0..events).for_each(|_| self.event(out));
            }
            Some("dp_rank" | "attn_dp_rank") => match self.below(3) {
                0 => out.push(0xc0),
                _ => {
                    let rank = self.below(300) as i128;
                    self.number(out, rank);
                }
            },
            _ => self.anything(out, 4),
        }
    }

    fn event(&mut self, out: &mut Vec<u8>) {
        if self.once_in(self.odd) {
            return self.anything(out, 3);
        }
        let tag = match self.below(8) {
            0 => self.any(&TAGS),
            1 => "AllBlocksCleared",
            2 | 3 => "BlockRemoved",
            _ => "BlockStored",
        };
        if self.below(2) == 0 {
            self.event_array(out, tag);
        } else {
            self.event_map(out, tag);
        }
    }

    fn event_array(&mut self, out: &mut Vec<u8>, tag: &str) {
        let removed = ["block_hashes", "medium"];
        let (names, most) = match tag {
            "BlockStored" | "stored" => (&NAMES[..8], 15),
            "BlockRemoved" | "removed" => (&removed[..], 8),
            _ => (&removed[1..], 4),
        };
        let least = if self.below(8) == 0 {
            0
        } else {
            names.len().min(5)
        };
        let length = least + self.below(most - least);
        self.head(out, 0x90, 0xdc, length + 1);
        self.tag(out, tag);
        for index in 0..length {
            // Media items may stand before the group's fields.
            let group = [
                "group_idx",
                "kv_cache_spec_kind",
                "kv_cache_spec_sliding_window",
            ];
            let late = index.saturating_sub(names.len() + self.below(2));
            match names.get(index).or_else(|| group.get(late)) {
                Some(&"lora_name") if self.below(4) == 0 => self.metadata(out),
                Some(_) if index >= names.len() && self.below(4) == 0 => self.anything(out, 2),
                Some(name) => self.field(out, name),
                None => self.anything(out, 2),
            }
        }
    }

    fn event_map(&mut self, out: &mut Vec<u8>, tag: &str) {
        let mut names: Vec<_> = NAMES[..4].to_vec();
        if tag.starts_with("BlockR") {
            names.truncate(1);
        }
        for _ in 0..self.below(6) {
            let name = self.any(&NAMES);
            names.insert(self.below(names.len() + 1), name);
        }
        if self.below(12) == 0 {
            names.remove(self.below(names.len()));
        }
        let mut at = vec![if self.below(4) > 0 {
            0
        } else {
            self.below(names.len() + 1)
        }];
        if self.below(10) == 0 {
            at.push(0);
        }
        for at in at {
            names.insert(at, self.any(&["type", "type", "event_type"]));
        }
        if self.once_in(40) {
            names.retain(|name| !name.ends_with("type"));
        }
        self.head(out, 0x80, 0xde, names.len());
        for name in names {
            self.name(out, name);
            match name {
                "type" | "event_type" => self.tag(out, tag),
                _ => self.field(out, name),
            }
        }
    }

    fn metadata(&mut self, out: &mut Vec<u8>) {
        let names = ["cache_salt", "cache_salt", "later"];
        let names = &names[self.below(3)..];
        self.head(out, 0x80, 0xde, names.len());
        for name in names {
            self.name(out, name);
            self.text_or_nil(out);
        }
    }

    fn tag(&mut self, out: &mut Vec<u8>, tag: &str) {
        if self.once_in(self.odd) {
            self.anything(out, 2);
        } else {
            self.text(out, tag.as_bytes());
        }
    }

    /// A field's name: nearly always one that a map may have.
    fn name(&mut self, out: &mut Vec<u8>, name: &str) {
        if self.once_in(self.odd) {
            self.anything(out, 2);
        } else {
            self.text(out, name.as_bytes());
        }
    }

    fn field(&mut self, out: &mut Vec<u8>, name: &str) {
        if self.once_in(self.odd) {
            return self.anything(out, 3);
        }
        match name {
            "block_hashes" | "seq_hashes" => {
                let length = self.below(7);
                self.head(out, 0x90, 0xdc, length);
                (0..length).for_each(|_| self.hash(out));
            }
            "parent_block_hash" | "parent_hash" if self.below(2) == 0 => out.push(0xc0),
            "parent_block_hash" | "parent_hash" => self.hash(out),
            "token_ids" | "lookahead_token_ids" => self.tokens(out),
            "lora_id" | "block_size" | "group_idx" | "kv_cache_spec_sliding_window"
                if self.below(3) == 0 =>
            {
                out.push(0xc0);
            }
            "lora_id" | "block_size" | "group_idx" | "kv_cache_spec_sliding_window" => {
                let bits = [3, 8, 15, 16, 31, 32, 62, 63][self.below(8).min(self.below(8))];
                let number = i128::from(self.next() >> (64 - bits));
                let negative = name == "lora_id" && self.below(2) == 0;
                self.number(out, if negative { -number } else { number });
            }
            "medium" if self.below(8) > 0 => {
                let word = self.any(&WORDS[..4]);
                self.text(out, word.as_bytes());
            }
            "extra_keys" => self.extra_keys(out),
            "base_block_idx" | "new_in_a_later_version" => self.anything(out, 3),
            _ => self.text_or_nil(out),
        }
    }
}

#[path = "noise/values.rs"]
mod values;
