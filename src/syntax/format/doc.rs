//! A text whose lines are not broken yet: pieces, the places where a line may end, and groups that break as one.
//!
//! Made by the printer, rendered once. It knows nothing of Flux but how a comment stands behind something on its line.

use std::borrow::Cow;

/// The longest line that is not broken where it can be, in characters.
const WIDTH: usize = 100;

/// How far a level is indented, in blanks.
const INDENT: usize = 4;

/// A piece of text with the places where it may be broken.
#[derive(Debug)]
pub(super) struct Doc<'a> {
    kind: Kind<'a>,
    /// Something in it ends a line in any case, so that every group around it breaks.
    breaks: bool,
}

#[derive(Debug)]
enum Kind<'a> {
    Text(Cow<'a, str>),
    /// A comment with its slashes, apart from what stands before it on the line.
    Comment(Cow<'a, str>),
    /// What stands here in an unbroken group; in a broken one a new line begins.
    Line(&'static str),
    /// What stands here in a broken group only.
    IfBroken(&'static str),
    /// A new line begins.
    Hard,
    /// A new line begins, unless nothing stands on this one yet.
    Fresh,
    Concat(Vec<Doc<'a>>),
    Nest(Box<Doc<'a>>),
    Group(Box<Doc<'a>>),
}

impl<'a> Doc<'a> {
    fn new(kind: Kind<'a>, breaks: bool) -> Self {
        Doc { kind, breaks }
    }

    /// Text as it is. It may hold line ends (a string literal does), which break no group.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Doc::new(Kind::Text(text.into()), false)
    }

    /// A comment, which ends its line: what follows must begin a new one.
    pub(super) fn comment(text: impl Into<Cow<'a, str>>) -> Self {
        Doc::new(Kind::Comment(text.into()), true)
    }

    /// A blank, or a new line in a broken group.
    pub(super) fn line() -> Self {
        Doc::new(Kind::Line(" "), false)
    }

    /// Nothing, or a new line in a broken group.
    pub(super) fn soft() -> Self {
        Doc::new(Kind::Line(""), false)
    }

    /// A new line.
    pub(super) fn hard() -> Self {
        Doc::new(Kind::Hard, true)
    }

    /// A new line, unless one has just begun.
    pub(super) fn fresh() -> Self {
        Doc::new(Kind::Fresh, true)
    }

    /// Text that stands here only if the group breaks.
    pub(super) fn if_broken(text: &'static str) -> Self {
        Doc::new(Kind::IfBroken(text), false)
    }

    /// Nothing, but every group around it breaks.
    pub(super) fn broken() -> Self {
        Doc::new(Kind::Concat(Vec::new()), true)
    }

    /// One after the other.
    pub(super) fn concat(parts: Vec<Doc<'a>>) -> Self {
        let breaks = parts.iter().any(|part| part.breaks);
        Doc::new(Kind::Concat(parts), breaks)
    }

    /// Indented by a level, from the next line on.
    pub(super) fn nest(inner: Doc<'a>) -> Self {
        let breaks = inner.breaks;
        Doc::new(Kind::Nest(Box::new(inner)), breaks)
    }

    /// On one line if it fits, else broken at each of its own places.
    pub(super) fn group(inner: Doc<'a>) -> Self {
        let breaks = inner.breaks;
        Doc::new(Kind::Group(Box::new(inner)), breaks)
    }

    /// The text, without a line end after its last line.
    pub(super) fn render(&self) -> String {
        let mut page = Page { text: String::new(), column: 0, indent: 0 };
        let mut todo = vec![Todo { indent: 0, flat: false, doc: self }];
        while let Some(Todo { indent, flat, doc }) = todo.pop() {
            match &doc.kind {
                Kind::Text(text) => page.write(text),
                Kind::Comment(text) => {
                    if page.column > 0 {
                        page.trim();
                        page.write(" ");
                    }
                    page.write(text);
                }
                Kind::Line(text) if flat => page.write(text),
                Kind::IfBroken(_) if flat => {}
                Kind::IfBroken(text) => page.write(text),
                Kind::Line(_) | Kind::Hard => page.new_line(indent),
                Kind::Fresh if page.column > 0 => page.new_line(indent),
                Kind::Fresh => page.indent = indent,
                Kind::Concat(parts) => todo.extend(parts.iter().rev().map(|doc| Todo { indent, flat, doc })),
                Kind::Nest(inner) => todo.push(Todo { indent: indent + INDENT, flat, doc: inner }),
                Kind::Group(inner) => {
                    let flat = !inner.breaks && (flat || fits(inner, page.left(), &todo));
                    todo.push(Todo { indent, flat, doc: inner });
                }
            }
        }
        page.trim();
        page.text
    }
}

struct Todo<'d, 'a> {
    indent: usize,
    flat: bool,
    doc: &'d Doc<'a>,
}

/// Whether a group on one line, with what follows it up to the next place where a line may end, takes at most `left`
/// characters.
fn fits(group: &Doc<'_>, mut left: usize, rest: &[Todo<'_, '_>]) -> bool {
    let mut todo = vec![(true, group)];
    let mut rest = rest.iter().rev();
    loop {
        let next = todo.pop().or_else(|| rest.next().map(|next| (next.flat, next.doc)));
        let Some((flat, doc)) = next else { return true };
        match &doc.kind {
            Kind::Text(text) => {
                let (first, several) = match text.split_once('\n') {
                    Some((first, _)) => (first, true),
                    None => (&**text, false),
                };
                match left.checked_sub(first.chars().count()) {
                    Some(less) => left = less,
                    None => return false,
                }
                if several {
                    return true;
                }
            }
            // A comment may be as long as it likes, and nothing follows it on its line.
            Kind::Comment(_) | Kind::Hard | Kind::Fresh => return true,
            Kind::Line(text) if flat => match left.checked_sub(text.len()) {
                Some(less) => left = less,
                None => return false,
            },
            Kind::Line(_) => return true,
            Kind::IfBroken(text) if !flat => match left.checked_sub(text.len()) {
                Some(less) => left = less,
                None => return false,
            },
            Kind::IfBroken(_) => {}
            Kind::Concat(parts) => todo.extend(parts.iter().rev().map(|part| (flat, part))),
            Kind::Nest(inner) => todo.push((flat, inner)),
            Kind::Group(inner) => todo.push((flat && !inner.breaks, inner)),
        }
    }
}

/// The text as it grows.
struct Page {
    text: String,
    /// How many characters stand on the last line, its indentation included.
    column: usize,
    /// The indentation of the last line if nothing stands on it yet: an empty line has none.
    indent: usize,
}

impl Page {
    fn left(&self) -> usize {
        WIDTH.saturating_sub(self.column.max(self.indent))
    }

    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.column == 0 {
            self.text.extend(std::iter::repeat_n(' ', self.indent));
            self.column = self.indent;
        }
        self.text.push_str(text);
        self.column = match text.rsplit_once('\n') {
            Some((_, last)) => last.chars().count(),
            None => self.column + text.chars().count(),
        };
    }

    /// Takes back the blanks at the end of the line. No literal ends with one.
    fn trim(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
    }

    fn new_line(&mut self, indent: usize) {
        self.trim();
        self.text.push('\n');
        self.column = 0;
        self.indent = indent;
    }
}
