//! Lines of a stream that comes in arbitrary pieces.

/// A line that is longer is skipped, not kept.
pub(super) const LINE_BYTES_MAX: usize = 256 * 1024;

/// Puts lines together that are split across messages. Which lines come out does
/// not depend on where the pieces were cut.
#[derive(Default)]
pub(super) struct Lines {
    unfinished: Vec<u8>,
    /// The unfinished line is too long already.
    skipping: bool,
}

impl Lines {
    /// Calls `on_line` with every line that ends in `bytes`. A line ends with CR
    /// or LF; of CR LF, the second ends an empty line.
    pub(super) fn feed(&mut self, bytes: &[u8], mut on_line: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, after) = (&rest[..at], &rest[at + 1..]);
            rest = after;
            if self.unfinished.is_empty() && !self.skipping {
                if line.len() <= LINE_BYTES_MAX {
                    on_line(line);
                }
                continue;
            }
            self.keep(line);
            self.take(&mut on_line);
        }
        self.keep(rest);
    }

    /// The stream has ended: so has its last line.
    pub(super) fn finish(&mut self, mut on_line: impl FnMut(&[u8])) {
        self.take(&mut on_line);
    }

    fn take(&mut self, on_line: &mut impl FnMut(&[u8])) {
        if !std::mem::take(&mut self.skipping) {
            on_line(&self.unfinished);
        }
        self.unfinished.clear();
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skipping || self.unfinished.len() + bytes.len() > LINE_BYTES_MAX {
            self.skipping = true;
            self.unfinished = Vec::new();
        } else {
            self.unfinished.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, |line| seen.push(line.to_vec()));
        }
        lines.finish(|line| seen.push(line.to_vec()));
        seen.retain(|line: &Vec<u8>| !line.is_empty());
        seen
    }

    #[test]
    fn a_line_of_many_pieces_is_one_line() {
        let seen = lines(&[b"da", b"ta: 1", b"\r\n\r", b"\nda", b"ta: 2"]);
        assert_eq!(seen, [b"data: 1".to_vec(), b"data: 2".to_vec()]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_not_kept() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for _ in 0..1_000 {
            lines.feed(&[b'x'; 4_096], |line| seen.push(line.to_vec()));
            assert!(lines.unfinished.capacity() <= 2 * LINE_BYTES_MAX);
        }
        lines.feed(b"end\nnext\n", |line| seen.push(line.to_vec()));
        assert_eq!(seen, [b"next".to_vec()]);
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            words in proptest::collection::vec("[a-c\n\r]{0,6}", 0..20),
            long in prop_oneof![Just(0usize), Just(LINE_BYTES_MAX - 1), Just(LINE_BYTES_MAX + 1)],
        ) {
            let mut pieces: Vec<Vec<u8>> = words.into_iter().map(String::into_bytes).collect();
            pieces.insert(pieces.len() / 2, vec![b'z'; long]);
            let whole = pieces.concat();
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(lines(&pieces), lines(&[&whole]));
        }
    }
}
