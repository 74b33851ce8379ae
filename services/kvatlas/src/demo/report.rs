//! The demo's tables and its verdict.

use loadtest_recordings::Overlap;

use super::Act;
use super::player::Row;
use crate::table::Table;

/// Rows of one recording that are shown unless all are asked for.
const SHOWN: usize = 12;

/// Counts over all recordings.
#[derive(Default)]
pub(super) struct Report {
    compared: usize,
    differing: usize,
    left_out: usize,
}

impl Report {
    /// Prints one recording's table and adds it up.
    #[expect(clippy::print_stdout, reason = "the table is this command's output")]
    pub(super) fn recording(&mut self, act: &Act, rows: &[Row], all_rows: bool) {
        let meta = &act.recording.meta;
        println!(
            "{}: vLLM {}, {}, {} tokens per block, {} messages, endpoint {}, model {}",
            act.recording.tag,
            meta.version,
            meta.algorithm,
            meta.block_size,
            act.recording.published.len(),
            act.address,
            act.model,
        );
        let mut table = Table::new([
            "prompt",
            "endpoint",
            "tokens",
            "predicted",
            "vLLM said",
            "verdict",
        ]);
        for (index, row) in rows.iter().enumerate() {
            let verdict = self.count(row);
            if all_rows || index < SHOWN || verdict == DIFFERENT {
                table.row([
                    row.prompt.clone(),
                    act.address.clone(),
                    row.prompt_tokens.to_string(),
                    row.predicted.to_string(),
                    row.reported.to_string(),
                    verdict.to_owned(),
                ]);
            }
        }
        print!("{}", table.render());
        let left_out = rows.iter().filter(|row| row.overlap.is_some()).count();
        let equal = rows
            .iter()
            .filter(|row| row.overlap.is_none() && row.equal())
            .count();
        let differing = rows.len() - left_out - equal;
        let hidden = if all_rows {
            0
        } else {
            rows.len().saturating_sub(SHOWN)
        };
        println!(
            "{equal} equal, {differing} different, {left_out} left out, of {} rows",
            rows.len()
        );
        if hidden > 0 {
            println!("(every row: --all-rows)");
        }
        println!();
    }

    /// Prints the verdict on everything.
    #[expect(clippy::print_stdout, reason = "the verdict is this command's output")]
    pub(super) fn finish(&self) {
        println!(
            "{} predictions equal vLLM's own cached tokens, {} differ, {} cannot be compared",
            self.compared - self.differing,
            self.differing,
            self.left_out
        );
    }

    pub(super) fn compared(&self) -> usize {
        self.compared
    }

    pub(super) fn differing(&self) -> usize {
        self.differing
    }

    fn count(&mut self, row: &Row) -> &'static str {
        let unknowable = match row.overlap {
            Some(Overlap::Concurrent) => Some("left out: requests overlapped"),
            Some(Overlap::AfterIdleReset) => Some("left out: engine had not announced its reset"),
            None => None,
        };
        if let Some(reason) = unknowable {
            self.left_out += 1;
            return reason;
        }
        self.compared += 1;
        if row.equal() {
            return "equal";
        }
        self.differing += 1;
        DIFFERENT
    }
}

const DIFFERENT: &str = "DIFFERENT";
