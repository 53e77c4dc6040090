//! Where comments go: each stays between the two things it stood between, on the line of the first or on one of its own.
//!
//! Called while the tree is printed, in the order of the text, so that every comment is printed once. A comment in an odd
//! place (between a name and its `=`) moves on to the next place where one may stand.

use super::Printer;
use super::doc::Doc;

impl<'a> Printer<'a> {
    /// The place of the next comment, if it starts before `limit`.
    pub(super) fn comment_before(&self, limit: u32) -> Option<(u32, u32)> {
        let span = self.comments.get(self.next)?.span;
        (span.start < limit).then_some((span.start, span.end))
    }

    /// The next comment, which there is.
    fn take_comment(&mut self) -> Doc<'a> {
        let comment = &self.comments[self.next];
        self.next += 1;
        Doc::comment(self.text_of(comment.span).trim_end())
    }

    /// Passes over the comments of a text that is printed as it is.
    pub(super) fn pass_comments(&mut self, end: u32) {
        while self.comment_before(end).is_some() {
            self.next += 1;
        }
    }

    /// A comment that stands before `limit` on the line on which `last` ends; `last` then ends with it.
    pub(super) fn same_line(&mut self, parts: &mut Vec<Doc<'a>>, last: &mut u32, limit: u32) {
        let Some((start, end)) = self.comment_before(limit) else { return };
        if self.text.get(*last as usize..start as usize).is_none_or(|between| !between.contains('\n')) {
            parts.push(self.take_comment());
            *last = (*last).max(end);
        }
    }

    /// The comments before `limit`, each on a line of its own that `line` begins; `last` is the end of what was printed.
    pub(super) fn own_lines(
        &mut self,
        parts: &mut Vec<Doc<'a>>,
        last: &mut u32,
        limit: u32,
        mut line: impl FnMut(&Self, &mut Vec<Doc<'a>>, u32, u32),
    ) {
        while let Some((start, end)) = self.comment_before(limit) {
            line(self, parts, *last, start);
            parts.push(self.take_comment());
            *last = (*last).max(end);
        }
    }

    /// The comments that stand before an expression within something, such as between `=` and a value.
    pub(super) fn before_expression(&mut self, start: u32) -> Option<Doc<'a>> {
        let (first, _) = self.comment_before(start)?;
        let mut parts = Vec::new();
        let line = &self.text[..first as usize];
        let line = &line[line.rfind('\n').map_or(0, |line_feed| line_feed + 1)..];
        if line.trim_start_matches('\u{feff}').trim().is_empty() {
            parts.push(Doc::fresh());
        }
        while self.comment_before(start).is_some() {
            parts.push(self.take_comment());
            parts.push(Doc::hard());
        }
        Some(Doc::concat(parts))
    }

    /// Whether a comment stands between two places.
    pub(super) fn comment_between(&self, start: u32, end: u32) -> bool {
        let next = self.comments.partition_point(|comment| comment.span.start < start);
        self.comments.get(next).is_some_and(|comment| comment.span.start < end)
    }

    /// Whether an empty line stands between two places.
    pub(super) fn empty_line_between(&self, last: u32, start: u32) -> bool {
        let Some(between) = self.text.get(last as usize..start as usize) else { return false };
        let mut lines = between.split('\n');
        // What stands on the line of `last`, and on that of `start`.
        lines.next();
        lines.next_back();
        lines.any(|line| line.trim().is_empty())
    }

    /// Whether a line ends between two places.
    pub(super) fn line_end_between(&self, last: u32, start: u32) -> bool {
        self.text.get(last as usize..start as usize).is_some_and(|between| between.contains('\n'))
    }
}
