//! Input from a pipe or a plain terminal: lines become inputs where the parser finds them whole.
//!
//! Used by the command line where there is no editor. Unlike a person, a pipe has its next line at hand: a line that goes on
//! with the one before (`|> range(...)`) is taken along if it is there already.

use std::collections::VecDeque;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::{Next, Repl, command};
use crate::syntax::{PieceKind, is_unfinished, pieces};

/// How long a next line is waited for that may go on with what is whole already.
const NEXT_LINE_WITHIN: Duration = Duration::from_millis(30);
/// Lines that are read ahead.
const LINES_AHEAD: usize = 256;

/// Takes inputs from `input` until it ends. `prompt` is called before a line is waited for, with whether it goes on with
/// an input; `take` runs an input.
pub fn read_lines(
    repl: &mut Repl,
    input: impl BufRead + Send + 'static,
    mut prompt: impl FnMut(bool),
    mut take: impl FnMut(&mut Repl, &str) -> Next,
) {
    let (lines, received) = sync_channel(LINES_AHEAD);
    // It ends with its input, or with the process.
    std::thread::spawn(move || {
        for line in input.split(b'\n') {
            let Ok(line) = line else { return };
            if lines.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_string()).is_err() {
                return;
            }
        }
    });
    let mut lines = Lines { received, ahead: VecDeque::new() };
    while let Some(text) = next_input(&mut lines, &mut prompt) {
        if take(repl, &text) == Next::Quit {
            return;
        }
    }
}

struct Lines {
    received: Receiver<String>,
    ahead: VecDeque<String>,
}

impl Lines {
    fn next(&mut self) -> Option<String> {
        self.ahead.pop_front().or_else(|| self.received.recv().ok())
    }

    /// The line `further` lines after the next one, if it comes at once.
    fn peek(&mut self, further: usize) -> Option<&str> {
        while self.ahead.len() <= further {
            match self.received.recv_timeout(NEXT_LINE_WITHIN) {
                Ok(line) => self.ahead.push_back(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
        self.ahead.get(further).map(String::as_str)
    }

    /// Whether what follows, remarks left aside, goes on with an expression that could end here.
    fn go_on(&mut self) -> bool {
        for further in 0..LINES_AHEAD {
            match self.peek(further) {
                Some(line) if line.trim_start().starts_with("//") => {}
                Some(line) => return goes_on(line),
                None => return false,
            }
        }
        false
    }
}

/// The next input that is not blank.
fn next_input(lines: &mut Lines, prompt: &mut impl FnMut(bool)) -> Option<String> {
    let mut text = String::new();
    loop {
        prompt(!text.is_empty());
        let Some(line) = lines.next() else {
            return (!text.trim().is_empty()).then_some(text);
        };
        let is_blank = line.trim().is_empty();
        if text.is_empty() {
            if is_blank {
                continue;
            }
        } else {
            text.push('\n');
        }
        text.push_str(&line);
        if let Some(sql) = command::sql_of(&text) {
            if !command::is_unfinished_sql(sql) || is_blank {
                return Some(text);
            }
            continue;
        }
        if command::is_command(&text) && command::query_of(&text).is_none() {
            return Some(text);
        }
        let flux = command::query_of(&text).unwrap_or(&text);
        if is_unfinished(flux) {
            // An empty line ends it, unless what follows is clearly its inside.
            let goes_on = lines.peek(0).is_some_and(|next| next.starts_with([' ', '\t', ')', ']', '}']));
            if is_blank && !goes_on {
                return Some(text);
            }
            continue;
        }
        if !lines.go_on() {
            return Some(text);
        }
    }
}

/// Whether a line goes on with an expression that could end before it.
fn goes_on(line: &str) -> bool {
    let Some(first) = pieces(line).into_iter().find(|piece| piece.kind != PieceKind::Comment) else { return false };
    let word = &line[first.span.range()];
    match first.kind {
        PieceKind::Keyword => matches!(word, "and" | "or" | "then" | "else"),
        PieceKind::Operator => !matches!(word, "-" | "+" | ":" | "@" | ";"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(text: &str) -> Vec<String> {
        let (sender, received) = sync_channel(1_000);
        for line in text.lines() {
            sender.send(line.to_string()).expect("room for all lines");
        }
        drop(sender);
        let mut lines = Lines { received, ahead: VecDeque::new() };
        std::iter::from_fn(|| next_input(&mut lines, &mut |_| ())).collect()
    }

    #[test]
    fn lines_become_inputs_where_the_parser_finds_them_whole() {
        let text = "x = 1\n\n:help\nf = (a) => {\n    b = a\n\n    return b\n}\nf(a: x)\n";
        assert_eq!(inputs(text), ["x = 1", ":help", "f = (a) => {\n    b = a\n\n    return b\n}", "f(a: x)"]);
    }

    #[test]
    fn a_pipe_on_the_next_line_goes_on() {
        let text = "from(bucket: \"b\")\n    |> range(start: -1h)\n    // newest\n    |> last()\n1 + 1\n-1\n:explain a()\n  |> b()";
        let expected = [
            "from(bucket: \"b\")\n    |> range(start: -1h)\n    // newest\n    |> last()",
            "1 + 1",
            "-1",
            ":explain a()\n  |> b()",
        ];
        assert_eq!(inputs(text), expected);
    }

    #[test]
    fn sql_goes_on_over_lines() {
        let text = ":sql\n  SELECT a,\n  b FROM c\n1 + 1\n:sql SELECT (\n\n2";
        assert_eq!(inputs(text), [":sql\n  SELECT a,\n  b FROM c", "1 + 1", ":sql SELECT (\n", "2"]);
    }

    #[test]
    fn an_empty_line_ends_what_is_unfinished() {
        assert_eq!(inputs("from(bucket: \"b\"\n\n1 + 1"), ["from(bucket: \"b\"\n", "1 + 1"]);
        assert_eq!(inputs("from(bucket: \"b\""), ["from(bucket: \"b\""]);
    }
}
