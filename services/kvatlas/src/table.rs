//! Tables on a terminal: columns as wide as they need to be.

/// Rows of text under a heading; numbers to the right, the rest to the left.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned).to_vec()],
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// The whole table.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .map(|row| cell(row, column).chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let numeric: Vec<bool> = (0..columns)
            .map(|column| {
                self.rows.len() > 1
                    && self.rows[1..].iter().all(|row| {
                        cell(row, column)
                            .chars()
                            .all(|c| c.is_ascii_digit() || ".-%".contains(c))
                    })
            })
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let line: Vec<String> = (0..columns)
                .map(|column| {
                    let text = cell(row, column);
                    let pad = " ".repeat(widths[column] - text.chars().count());
                    if numeric[column] {
                        pad + &text
                    } else {
                        text + &pad
                    }
                })
                .collect();
            out.push_str(line.join("  ").trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new(["name", "tokens"]);
        table.row(["a".to_owned(), "7".to_owned()]);
        table.row(["longer".to_owned(), "1234".to_owned()]);
        assert_eq!(
            table.render(),
            "name    tokens\na            7\nlonger    1234\n"
        );
    }
}
