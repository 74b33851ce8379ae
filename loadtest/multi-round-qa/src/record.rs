//! One finished request, and the file of them.

use std::io::{self, BufRead, Write};

use crate::tally::Tally;

/// What is known of a finished request. Times in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// As the server counts.
    pub prompt_tokens: u64,
    /// As the server counts.
    pub generation_tokens: u64,
    /// To the first token.
    pub ttft: f64,
    /// From the first token to the end.
    pub generation_time: f64,
    /// From 1, or after `--init-user-id`.
    pub user_id: u32,
    /// The round, from 1, of those that this run asked.
    pub question_id: u32,
    /// Seconds since the epoch.
    pub launch_time: f64,
    /// Seconds since the epoch.
    pub finish_time: f64,
    /// Of the prompt, found in the cache; `None`: the server does not say.
    pub cached_tokens: Option<u64>,
}

/// The documented columns, and one more.
const COLUMNS: [&str; 9] = [
    "prompt_tokens",
    "generation_tokens",
    "ttft",
    "generation_time",
    "user_id",
    "question_id",
    "launch_time",
    "finish_time",
    "cached_tokens",
];

/// The longest line of a file that is read back.
const LINE_BYTES: u64 = 4_096;

/// A file that is not one of ours, or of the documented tool's.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// A column is missing.
    #[error("column {column} is missing: give a file that --output wrote")]
    Column {
        /// Which.
        column: &'static str,
    },
    /// A line that is no request.
    #[error("line {line} is no request: {column} is not a number")]
    Field {
        /// From 1, the heading among them.
        line: usize,
        /// Which field.
        column: &'static str,
    },
    /// It holds no request.
    #[error("it holds no request")]
    Empty,
}

impl Record {
    /// The file's first line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn heading(out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", COLUMNS.join(","))
    }

    /// One line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write!(
            out,
            "{},{},{},{},{},{},{},{},",
            self.prompt_tokens,
            self.generation_tokens,
            self.ttft,
            self.generation_time,
            self.user_id,
            self.question_id,
            self.launch_time,
            self.finish_time,
        )?;
        match self.cached_tokens {
            Some(tokens) => writeln!(out, "{tokens}"),
            None => writeln!(out),
        }
    }
}

/// Sums up a file that was written before; the documented tool's, too.
///
/// # Errors
/// Names the line and the column that cannot be read.
pub fn read_csv(mut file: impl BufRead) -> Result<Tally, RecordError> {
    let mut text = String::new();
    next(&mut file, &mut text)?;
    let heading: Vec<String> = text.trim().split(',').map(str::to_owned).collect();
    let place = |name: &str| heading.iter().position(|column| column == name);
    let mut places = [None; COLUMNS.len()];
    for (slot, column) in places.iter_mut().zip(COLUMNS) {
        *slot = place(column);
        if slot.is_none() && column != "cached_tokens" {
            return Err(RecordError::Column { column });
        }
    }
    let mut tally = Tally::default();
    let mut line = 1;
    loop {
        text.clear();
        line += 1;
        if next(&mut file, &mut text)? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        let fields: Vec<&str> = text.trim_end().split(',').collect();
        tally.add(&parse(&fields, &places, line)?);
    }
    if tally.finished() == 0 {
        return Err(RecordError::Empty);
    }
    Ok(tally)
}

fn next(file: &mut impl BufRead, text: &mut String) -> io::Result<usize> {
    io::Read::take(file, LINE_BYTES).read_line(text)
}

fn parse(
    fields: &[&str],
    places: &[Option<usize>; COLUMNS.len()],
    line: usize,
) -> Result<Record, RecordError> {
    let number = |nth: usize| {
        let column = COLUMNS[nth];
        let field = places[nth].and_then(|place| fields.get(place));
        let number = field.and_then(|field| field.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or(RecordError::Field { line, column })
    };
    // Out of range is the range's end.
    let count = |nth: usize| number(nth).map(|number| number as u64);
    let small = |nth: usize| number(nth).map(|number| number as u32);
    Ok(Record {
        prompt_tokens: count(0)?,
        generation_tokens: count(1)?,
        ttft: number(2)?,
        generation_time: number(3)?,
        user_id: small(4)?,
        question_id: small(5)?,
        launch_time: number(6)?,
        finish_time: number(7)?,
        cached_tokens: count(8).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nth: u32) -> Record {
        Record {
            prompt_tokens: 100,
            generation_tokens: 20,
            ttft: 0.25,
            generation_time: 0.5,
            user_id: 1,
            question_id: nth,
            launch_time: 1_000.0 + f64::from(nth),
            finish_time: 1_000.75 + f64::from(nth),
            cached_tokens: (nth > 1).then_some(64),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (mut file, mut tally) = (Vec::new(), Tally::default());
        Record::heading(&mut file).unwrap();
        for record in [1, 2, 3].map(record) {
            record.write(&mut file).unwrap();
            tally.add(&record);
        }
        assert_eq!(read_csv(&file[..]).unwrap(), tally);
    }

    #[test]
    fn the_documented_tools_files_are_read() {
        let file = "prompt_tokens,generation_tokens,ttft,generation_time,user_id,question_id,launch_time,finish_time\n\
            10,4,0.5,2.0,1,1,100.0,102.5\n";
        assert_eq!(read_csv(file.as_bytes()).unwrap().finished(), 1);
    }

    #[test]
    fn mistakes_are_named() {
        let said = |file: &str| read_csv(file.as_bytes()).unwrap_err().to_string();
        assert!(said("a,b\n").contains("prompt_tokens"));
        let heading = COLUMNS.join(",");
        assert_eq!(said(&heading), "it holds no request");
        let wrong = format!("{heading}\n1,2,x,4,5,6,7,8,\n");
        assert_eq!(said(&wrong), "line 2 is no request: ttft is not a number");
    }
}
