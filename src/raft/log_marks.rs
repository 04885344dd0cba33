//! How far the log can be cut off behind, by bytes.
//!
//! openraft counts the entries that stay in the log for peers that lag, however large they are.
//! Marks of where the log ended when so much had been written tell how many of them so many bytes
//! are, to a small part of those bytes.

use std::collections::VecDeque;

/// How many marks make up the bytes that are kept.
const MARKS: u64 = 64;

/// Where the log ended at one time.
#[derive(Debug, Clone, Copy)]
struct Mark {
    index: u64,
    written: u64,
}

/// Marks over the last bytes of a log.
#[derive(Debug)]
pub(super) struct LogMarks {
    kept: u64,
    marks: VecDeque<Mark>,
}

impl LogMarks {
    /// For a log of which so many bytes are kept.
    pub(super) fn new(kept: u64) -> Self {
        Self { kept, marks: VecDeque::new() }
    }

    /// Notes that so many bytes had been written when the log ended at this index. Gives the index up to which entries
    /// can go; the bytes behind it are as many as are kept or more.
    pub(super) fn note(&mut self, index: u64, written: u64) -> Option<u64> {
        let due = |last: &Mark| written.saturating_sub(last.written) > self.kept / MARKS;
        if self.marks.back().is_none_or(due) {
            self.marks.push_back(Mark { index, written });
        }
        let is_behind = |mark: &Mark| written.saturating_sub(mark.written) >= self.kept;
        while self.marks.get(1).is_some_and(is_behind) {
            self.marks.pop_front();
        }
        self.marks.front().filter(|mark| is_behind(mark)).map(|mark| mark.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_until_more_is_written_than_is_kept() {
        let mut marks = LogMarks::new(640);
        assert_eq!(marks.note(1, 100), None);
        assert_eq!(marks.note(2, 739), None);
        assert_eq!(marks.note(3, 740), Some(1));
    }

    #[test]
    fn about_as_many_bytes_stay_as_are_kept() {
        let mut marks = LogMarks::new(640);
        for index in 1..=1000 {
            let gone = marks.note(index, index * 7).unwrap_or_default();
            let stay = (index - gone) * 7;
            assert!(index * 7 < 647 || (640..=664).contains(&stay), "{stay} bytes after {index}");
            assert!(marks.marks.len() <= 66);
        }
    }

    #[test]
    fn a_log_at_rest_takes_no_memory() {
        let mut marks = LogMarks::new(640);
        for _ in 0..1000 {
            marks.note(5, 1000);
        }
        assert_eq!(marks.marks.len(), 1);
    }
}
