//! Prometheus text, read line by line as it comes: only the metrics that are
//! wanted are looked at, and nothing else is kept.

use super::LoadMistake;
use super::labels::Labels;

/// No wanted line is longer; what is, is skipped.
const LONGEST_LINE_BYTES: usize = 64 << 10;
/// A share of the cache may be a little above 1; what is further off is no share.
const MOST_USAGE: f64 = 1.5;

/// What an engine's metrics say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) waiting: u32,
    pub(super) running: u32,
    pub(super) kv_usage: f64,
    pub(super) block_size: Option<u32>,
    pub(super) num_blocks: Option<u64>,
}

/// Reads the text of one answer.
#[derive(Default)]
pub(super) struct Reader {
    /// The unfinished line.
    line: Vec<u8>,
    /// The rest of the line is skipped.
    skipping: bool,
    vllm: Engine,
    sglang: Engine,
    cache: Cache,
}

impl Reader {
    /// Takes the next bytes, cut anywhere.
    pub(super) fn push(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            if self.skipping {
                self.skipping = false;
            } else if self.line.is_empty() {
                self.read(&piece[..end]);
            } else {
                self.hold(&piece[..end]);
                let line = std::mem::take(&mut self.line);
                if !std::mem::take(&mut self.skipping) {
                    self.read(&line);
                }
                self.line = line;
            }
            self.line.clear();
            piece = &piece[end + 1..];
        }
        if !self.skipping {
            self.hold(piece);
        }
    }

    /// What the text said. The last line needs no end.
    pub(super) fn finish(mut self) -> Result<Reading, LoadMistake> {
        if !self.skipping {
            let line = std::mem::take(&mut self.line);
            self.read(&line);
        }
        let (engine, names) = if self.sglang.is_there() && !self.vllm.is_there() {
            (&self.sglang, &SGLANG)
        } else {
            (&self.vllm, &VLLM)
        };
        let usage = if engine.usage.series == 0 {
            engine.older_usage.mean(names.older_usage)
        } else {
            engine.usage.mean(names.usage)
        };
        Ok(Reading {
            waiting: engine.waiting.sum(names.waiting)?,
            running: engine.running.sum(names.running)?,
            kv_usage: usage?.min(1.0),
            block_size: self.cache.block_size.filter(|_| !self.cache.mixed),
            num_blocks: (self.cache.num_blocks > 0).then_some(self.cache.num_blocks),
        })
    }

    fn hold(&mut self, more: &[u8]) {
        if self.line.len() + more.len() > LONGEST_LINE_BYTES {
            self.line.clear();
            self.skipping = true;
        } else {
            self.line.extend_from_slice(more);
        }
    }

    fn read(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        let (engine, names) = if line.starts_with(b"vllm:") {
            (&mut self.vllm, &VLLM)
        } else if line.starts_with(b"sglang:") {
            (&mut self.sglang, &SGLANG)
        } else {
            return;
        };
        let end = line
            .iter()
            .position(|byte| matches!(byte, b'{' | b' ' | b'\t'))
            .unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let is = |wanted: &str| name == wanted.as_bytes();
        if is(names.cache) {
            if let Some((labels, _)) = Labels::split(rest) {
                self.cache.add(&labels);
            }
        } else if is(names.waiting) {
            engine.waiting.add(rest, f64::MAX);
        } else if is(names.running) {
            engine.running.add(rest, f64::MAX);
        } else if is(names.usage) {
            engine.usage.add(rest, MOST_USAGE);
        } else if is(names.older_usage) {
            engine.older_usage.add(rest, MOST_USAGE);
        }
    }
}

/// What an engine calls its metrics.
struct Names {
    waiting: &'static str,
    running: &'static str,
    usage: &'static str,
    older_usage: &'static str,
    cache: &'static str,
}

const VLLM: Names = Names {
    waiting: "vllm:num_requests_waiting",
    running: "vllm:num_requests_running",
    usage: "vllm:kv_cache_usage_perc",
    // Before 0.10; some versions have both.
    older_usage: "vllm:gpu_cache_usage_perc",
    cache: "vllm:cache_config_info",
};

const SGLANG: Names = Names {
    waiting: "sglang:num_queue_reqs",
    running: "sglang:num_running_reqs",
    usage: "sglang:token_usage",
    older_usage: "sglang:token_usage",
    cache: "sglang:cache_config_info",
};

/// The metrics of one kind of engine.
#[derive(Default)]
struct Engine {
    waiting: Series,
    running: Series,
    usage: Series,
    older_usage: Series,
}

impl Engine {
    fn is_there(&self) -> bool {
        self.waiting.series + self.running.series + self.usage.series > 0
    }
}

/// All series of one metric: one per rank.
#[derive(Default)]
struct Series {
    series: u32,
    total: f64,
    wrong: bool,
}

impl Series {
    /// Adds the series whose labels and value `rest` holds.
    fn add(&mut self, rest: &[u8], most: f64) {
        let Some((labels, value)) = Labels::split(rest) else {
            self.wrong = true;
            self.series = self.series.saturating_add(1);
            return;
        };
        // SGLang lists its queue once as a whole and again by priority.
        if labels.get("priority").is_some_and(|is| !is.is_empty()) {
            return;
        }
        self.series = self.series.saturating_add(1);
        match number(value).filter(|number| (0.0..=most).contains(number)) {
            Some(number) => self.total += number,
            None => self.wrong = true,
        }
    }

    fn checked(&self, metric: &'static str) -> Result<f64, LoadMistake> {
        if self.series == 0 {
            Err(LoadMistake::Missing { metric })
        } else if self.wrong || !self.total.is_finite() {
            Err(LoadMistake::Value { metric })
        } else {
            Ok(self.total)
        }
    }

    /// Requests of all ranks; `u32::MAX` if there are more.
    fn sum(&self, metric: &'static str) -> Result<u32, LoadMistake> {
        Ok(self.checked(metric)? as u32)
    }

    /// The ranks' caches are of one size, so the mean is the share of them all.
    fn mean(&self, metric: &'static str) -> Result<f64, LoadMistake> {
        Ok(self.checked(metric)? / f64::from(self.series))
    }
}

/// The value behind the labels; a time may follow it.
fn number(text: &[u8]) -> Option<f64> {
    let first = text
        .split(u8::is_ascii_whitespace)
        .find(|part| !part.is_empty())?;
    std::str::from_utf8(first).ok()?.parse().ok()
}

/// What the ranks say of their caches.
#[derive(Default)]
struct Cache {
    block_size: Option<u32>,
    mixed: bool,
    num_blocks: u64,
}

impl Cache {
    fn add(&mut self, labels: &Labels<'_>) {
        if let Some(size) = labels.number("block_size") {
            self.mixed |= self.block_size.is_some_and(|held| held != size);
            self.block_size = Some(size);
        }
        let blocks = labels.number("num_gpu_blocks").map_or(0, u64::from);
        self.num_blocks = self.num_blocks.saturating_add(blocks);
    }
}
