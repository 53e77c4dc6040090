//! What may stand at the cursor: names, parameters, packages, import paths, buckets, measurements, fields, tags.
//!
//! Called on Tab with the text before the cursor, by the editor and by tests. It reads tokens, not trees, for the text is
//! hardly ever whole. Names of data come from a [`Schema`], which may ask a daemon and may know nothing.

use std::collections::HashSet;

use super::command::{COMMANDS, SETTINGS};
use super::session::{Session, Sort};
use crate::flux::library::{Library, Member, PRELUDE};
use crate::flux::types::ParameterKind;
use crate::syntax::{Piece, PieceKind, pieces};

/// A measurement, in names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeasurementNames {
    /// The measurement.
    pub name: String,
    /// Its tag keys.
    pub tags: Vec<String>,
    /// Its fields and their types.
    pub fields: Vec<(String, String)>,
}

/// The names in the data.
pub(super) trait Schema {
    /// The buckets.
    fn buckets(&self) -> Vec<String>;
    /// The measurements of a bucket.
    fn measurements(&self, bucket: &str) -> Vec<MeasurementNames>;
}

/// Something that may stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// What is inserted.
    pub text: String,
    /// What it is, in a few words.
    pub about: String,
}

/// All that may stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Completion {
    /// Where the part of the text begins that is replaced; it ends at the cursor.
    pub start: usize,
    /// In the order in which they are offered.
    pub candidates: Vec<Candidate>,
}

/// The columns that every table of a bucket has.
const COLUMNS: [&str; 6] = ["_measurement", "_field", "_value", "_time", "_start", "_stop"];
/// Words that may begin or go on with an expression.
const WORDS: [&str; 11] = ["and", "or", "not", "exists", "if", "then", "else", "import", "option", "return", "builtin"];

/// What may stand at the end of `before`, the text up to the cursor; `after` is the text behind it.
pub(super) fn complete(
    before: &str,
    after: &str,
    session: &Session,
    library: &Library,
    schema: &dyn Schema,
) -> Completion {
    if let Some(completion) = command(before, session, library) {
        return completion;
    }
    let all = pieces(before);
    let place = Place { before, after, pieces: &all, session, library, schema };
    let mut completion = place.complete();
    let typed = before[completion.start..].to_lowercase();
    completion.candidates.retain(|candidate| candidate.text.to_lowercase().starts_with(&typed));
    let mut seen = std::collections::HashSet::new();
    completion.candidates.retain(|candidate| seen.insert(candidate.text.clone()));
    completion
}

/// Within a command whose argument is no Flux.
fn command(before: &str, session: &Session, library: &Library) -> Option<Completion> {
    let start = before.len() - before.trim_start().len();
    let rest = before[start..].strip_prefix(':')?;
    let candidate = |text: String, about: &str| Candidate { text, about: about.to_string() };
    let Some((name, argument)) = rest.split_once(char::is_whitespace) else {
        let known = COMMANDS.iter().filter(|command| command.name.starts_with(rest));
        let candidates = known.map(|command| candidate(format!(":{}", command.name), command.does)).collect();
        return Some(Completion { start, candidates });
    };
    let start = before.len() - argument.trim_start().len();
    let typed = &before[start..];
    let candidates: Vec<Candidate> = match name {
        "set" => SETTINGS.iter().map(|key| candidate(key.to_string(), "setting")).collect(),
        "help" => COMMANDS.iter().map(|command| candidate(command.name.to_string(), command.does)).collect(),
        "doc" => {
            let packages = library.packages();
            let names = packages.flat_map(|(path, members)| {
                let package = path.rsplit('/').next().unwrap_or(path);
                let own = members.iter().map(move |(name, member)| match path {
                    PRELUDE => (name.to_string(), about(member)),
                    _ => (format!("{package}.{name}"), about(member)),
                });
                let itself = (path != PRELUDE).then(|| (package.to_string(), format!("package {path}")));
                own.chain(itself).collect::<Vec<_>>()
            });
            let defined = session.names().map(|one| (one.name.to_string(), one.type_text.clone()));
            defined.chain(names).map(|(text, about)| Candidate { text, about }).collect()
        }
        // The rest is Flux, or nothing that is known here.
        _ => return super::command::query_of(before).is_none().then(Completion::default),
    };
    // Two packages may have one last name: what is typed would be the same, so it is offered once.
    let mut offered: HashSet<String> = HashSet::new();
    let fits = |one: &Candidate| one.text.starts_with(typed);
    let candidates = candidates.into_iter().filter(|one| fits(one) && offered.insert(one.text.clone())).collect();
    Some(Completion { start, candidates })
}

struct Place<'a> {
    before: &'a str,
    after: &'a str,
    pieces: &'a [Piece],
    session: &'a Session,
    library: &'a Library,
    schema: &'a dyn Schema,
}

impl<'a> Place<'a> {
    fn text(&self, piece: &Piece) -> &'a str {
        &self.before[piece.span.range()]
    }

    /// The text of the piece that stands `back` pieces before the end of `pieces`; empty if there is none.
    fn at(&self, pieces: &[Piece], back: usize) -> &'a str {
        pieces.len().checked_sub(back).and_then(|at| pieces.get(at)).map_or("", |piece| self.text(piece))
    }

    fn complete(&self) -> Completion {
        let end = self.before.len();
        let last = self.pieces.last();
        if let Some(comment) = last
            && comment.kind == PieceKind::Comment
            && comment.span.end as usize == end
        {
            return Completion { start: end, candidates: Vec::new() };
        }
        if let Some((start, pieces)) = self.open_string() {
            return Completion { start, candidates: self.in_string(pieces) };
        }
        // Right behind a literal stands no name.
        let touches = |piece: &&Piece| piece.span.end as usize == end;
        if last.filter(touches).is_some_and(|piece| {
            matches!(piece.kind, PieceKind::Number | PieceKind::String | PieceKind::Regexp | PieceKind::Problem)
        }) {
            return Completion { start: end, candidates: Vec::new() };
        }
        let (start, pieces) = match last {
            Some(word)
                if matches!(word.kind, PieceKind::Name | PieceKind::Keyword) && word.span.end as usize == end =>
            {
                (word.span.start as usize, &self.pieces[..self.pieces.len() - 1])
            }
            _ => (end, self.pieces),
        };
        let candidates = match self.at(pieces, 1) {
            "." => self.members(&pieces[..pieces.len() - 1]),
            "import" => Vec::new(),
            _ => self.parameters(pieces).unwrap_or_else(|| self.names(pieces)),
        };
        Completion { start, candidates }
    }

    /// Where the text of the string begins in which the cursor stands, and the pieces before it.
    fn open_string(&self) -> Option<(usize, &'a [Piece])> {
        let last = self.pieces.last()?;
        let start = last.span.start as usize;
        let text = self.text(last);
        let is_open = last.kind == PieceKind::String && text.starts_with('"') && !is_closed(text);
        is_open.then(|| (start + 1, &self.pieces[..self.pieces.len() - 1]))
    }

    fn in_string(&self, pieces: &[Piece]) -> Vec<Candidate> {
        let quote = if self.after.starts_with('"') { "" } else { "\"" };
        let quoted = |names: Vec<(String, String)>| -> Vec<Candidate> {
            names.into_iter().map(|(name, about)| Candidate { text: format!("{name}{quote}"), about }).collect()
        };
        let of_import = self.at(pieces, 1) == "import" || self.at(pieces, 2) == "import";
        if of_import {
            let paths = self.library.packages().map(|(path, _)| path).filter(|path| *path != PRELUDE);
            return quoted(paths.map(|path| (path.to_string(), "package".to_string())).collect());
        }
        if let Some(column) = self.compared_column(pieces) {
            return quoted(match column {
                "_measurement" => self.measurements().into_iter().map(|one| (one.name, "measurement".into())).collect(),
                "_field" => self.fields(),
                _ => Vec::new(),
            });
        }
        if self.at(pieces, 1) == "[" && self.is_row(self.at(pieces, 2)) {
            return quoted(self.columns());
        }
        let parameter = match self.at(pieces, 1) {
            ":" => self.at(pieces, 2),
            _ => self.list_parameter(pieces),
        };
        quoted(match parameter {
            "bucket" => self.schema.buckets().into_iter().map(|name| (name, "bucket".to_string())).collect(),
            "measurement" => self.measurements().into_iter().map(|one| (one.name, "measurement".into())).collect(),
            "column" | "columns" | "rowKey" | "columnKey" | "valueColumn" | "on" | "timeColumn" | "tag"
            | "tagColumns" => self.columns(),
            _ => Vec::new(),
        })
    }

    /// The column in `r.column ==` or `r["column"] ==`.
    fn compared_column(&self, pieces: &[Piece]) -> Option<&'a str> {
        if !matches!(self.at(pieces, 1), "==" | "!=") {
            return None;
        }
        match (self.at(pieces, 2), self.at(pieces, 3)) {
            ("]", quoted) => Some(quoted.trim_matches('"')),
            (column, ".") => Some(column),
            _ => None,
        }
    }

    /// The parameter in `parameter: ["a", `.
    fn list_parameter(&self, pieces: &[Piece]) -> &'a str {
        for (at, piece) in pieces.iter().enumerate().rev() {
            match (piece.kind, self.text(piece)) {
                (PieceKind::String, _) | (_, ",") => {}
                (_, "[") => {
                    return match self.at(&pieces[..at], 1) {
                        ":" => self.at(&pieces[..at], 2),
                        _ => "",
                    };
                }
                _ => return "",
            }
        }
        ""
    }

    /// What may follow the dot after these pieces.
    fn members(&self, pieces: &[Piece]) -> Vec<Candidate> {
        let name = self.at(pieces, 1);
        if name.is_empty() || !pieces.last().is_some_and(|piece| piece.kind == PieceKind::Name) {
            return Vec::new();
        }
        if let Some(path) = self.path_of(name) {
            let members = self.library.package(&path).into_iter().flatten();
            return members.map(|(name, member)| Candidate { text: name.to_string(), about: about(member) }).collect();
        }
        if let Some(definition) = self.session.get(name) {
            let properties = properties(&definition.type_text);
            return properties.into_iter().map(|(text, about)| Candidate { text, about }).collect();
        }
        if self.is_row(name) {
            return self.columns().into_iter().map(|(text, about)| Candidate { text, about }).collect();
        }
        Vec::new()
    }

    /// Whether a name is that of a row: a parameter, or nothing that is known.
    fn is_row(&self, name: &str) -> bool {
        !name.is_empty()
            && name.chars().all(|character| character.is_alphanumeric() || character == '_')
            && self.session.get(name).is_none()
            && self.library.prelude(name).is_none()
    }

    /// The import path that a name means, in this text or from before.
    fn path_of(&self, name: &str) -> Option<String> {
        let imports = crate::syntax::parse(self.before).file.imports;
        if let Some(import) = imports.iter().rfind(|import| import.name() == name) {
            return Some(import.path.to_string());
        }
        match &self.session.get(name)?.sort {
            Sort::Import(path) => Some(path.to_string()),
            _ => None,
        }
    }

    /// The parameters of the call in whose parentheses the cursor stands where a name of one is due.
    fn parameters(&self, pieces: &[Piece]) -> Option<Vec<Candidate>> {
        if !matches!(self.at(pieces, 1), "(" | ",") {
            return None;
        }
        let (open, given) = self.open_call(pieces)?;
        let parameters = self.parameters_of(&pieces[..open])?;
        let candidates = parameters.into_iter().filter(|(name, _)| !given.contains(&name.as_str()));
        let colon = if self.after.trim_start().starts_with(':') { "" } else { ": " };
        Some(candidates.map(|(name, about)| Candidate { text: format!("{name}{colon}"), about }).collect())
    }

    /// The parenthesis of a call that is still open, and the arguments that have been given in it.
    fn open_call(&self, pieces: &[Piece]) -> Option<(usize, Vec<&'a str>)> {
        let mut depth = 0;
        let mut given = Vec::new();
        for (at, piece) in pieces.iter().enumerate().rev() {
            match self.text(piece) {
                ")" | "]" | "}" if piece.kind == PieceKind::Bracket => depth += 1,
                "(" if depth == 0 => return Some((at, given)),
                "[" | "{" | "${" if depth == 0 => return None,
                "(" | "[" | "{" | "${" if piece.kind == PieceKind::Bracket => depth -= 1,
                ":" if depth == 0 && at > 0 => given.push(self.text(&pieces[at - 1])),
                _ => {}
            }
        }
        None
    }

    /// The parameters of the function that these pieces end with, the piped one left out where it is piped.
    fn parameters_of(&self, pieces: &[Piece]) -> Option<Vec<(String, String)>> {
        let name = self.at(pieces, 1);
        if !pieces.last().is_some_and(|piece| piece.kind == PieceKind::Name) {
            return None;
        }
        let path = if self.at(pieces, 2) == "." { Some(self.path_of(self.at(pieces, 3))?) } else { None };
        let callee_pieces = if path.is_some() { 3 } else { 1 };
        let is_piped = self.at(pieces, callee_pieces + 1) == "|>";
        if path.is_none()
            && let Some(definition) = self.session.get(name)
        {
            let parameters = definition.parameters.as_ref()?.iter();
            let shown = parameters.filter(|(_, piped)| !(*piped && is_piped));
            return Some(shown.map(|(name, _)| (name.to_string(), "parameter".to_string())).collect());
        }
        let member = self.library.member(path.as_deref().unwrap_or(PRELUDE), name)?;
        let function = self.library.function_type(member.builtin()?)?;
        let parameters = function.parameters.iter().filter(|one| !(one.kind == ParameterKind::Pipe && is_piped));
        Some(
            parameters
                .map(|one| {
                    let must = if one.kind == ParameterKind::Optional { "optional" } else { "required" };
                    (one.name.to_string(), format!("{}, {must}", one.parameter_type))
                })
                .collect(),
        )
    }

    /// All names that are known here; after a pipe those of functions that take one.
    fn names(&self, pieces: &[Piece]) -> Vec<Candidate> {
        let after_pipe = self.at(pieces, 1) == "|>";
        let mut candidates: Vec<Candidate> = Vec::new();
        let bound = pieces.windows(2).filter(|pair| pair[0].kind == PieceKind::Name && self.text(&pair[1]) == "=");
        candidates.extend(
            bound.map(|pair| Candidate { text: self.text(&pair[0]).to_string(), about: "defined above".to_string() }),
        );
        for definition in self.session.names() {
            let takes_pipe = match &definition.parameters {
                Some(parameters) => parameters.iter().any(|(_, piped)| *piped),
                None => matches!(definition.sort, Sort::Import(_)),
            };
            if !after_pipe || takes_pipe {
                candidates.push(Candidate { text: definition.name.to_string(), about: definition.type_text.clone() });
            }
        }
        let mut builtins: Vec<Candidate> = Vec::new();
        for (name, member) in self.library.package(PRELUDE).into_iter().flatten() {
            let piped = member.builtin().and_then(|builtin| self.library.function_type(builtin));
            if !after_pipe || piped.is_some_and(|function| function.pipe().is_some()) {
                builtins.push(Candidate { text: name.to_string(), about: about(member) });
            }
        }
        builtins.sort_by(|left, right| left.text.cmp(&right.text));
        candidates.extend(builtins);
        let imports = crate::syntax::parse(self.before).file.imports;
        candidates.extend(
            imports
                .iter()
                .map(|import| Candidate { text: import.name().to_string(), about: format!("package {}", import.path) }),
        );
        if !after_pipe {
            candidates.extend(WORDS.iter().map(|word| Candidate { text: word.to_string(), about: "word".to_string() }));
        }
        candidates
    }

    /// What the text says and what it builds on: the definitions that it uses, the last query if it goes on from that.
    fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        if let Some(last) = self.session.last.as_ref().filter(|_| self.before.trim_start().starts_with("|>")) {
            texts.extend(self.session.needed_texts(&last.text));
            texts.push(&last.text);
        }
        texts.extend(self.session.needed_texts(self.before));
        texts.push(self.before);
        texts
    }

    /// The bucket that the text reads, or a definition that it uses: the last one named.
    fn bucket(&self) -> Option<String> {
        self.texts().into_iter().rev().find_map(named_bucket)
    }

    fn measurements(&self) -> Vec<MeasurementNames> {
        self.bucket().map_or_else(Vec::new, |bucket| self.schema.measurements(&bucket))
    }

    /// The measurements that the text has narrowed itself down to; all if it has not.
    fn narrowed(&self) -> Vec<MeasurementNames> {
        let mut measurements = self.measurements();
        let named: Vec<String> = self.texts().into_iter().flat_map(compared_measurements).collect();
        if measurements.iter().any(|one| named.contains(&one.name)) {
            measurements.retain(|one| named.contains(&one.name));
        }
        measurements
    }

    fn fields(&self) -> Vec<(String, String)> {
        let fields = self.narrowed().into_iter().flat_map(|one| one.fields);
        fields.map(|(name, kind)| (name, format!("field, {kind}"))).collect()
    }

    fn columns(&self) -> Vec<(String, String)> {
        let tags = self.narrowed().into_iter().flat_map(|one| one.tags).map(|tag| (tag, "tag".to_string()));
        let usual = COLUMNS.iter().map(|name| (name.to_string(), "column".to_string()));
        let mut columns: Vec<(String, String)> = usual.chain(tags).collect();
        // After a pivot the fields are columns.
        if self.before.contains("pivot(") || self.before.contains("fieldsAsCols(") {
            columns.extend(self.fields());
        }
        columns
    }
}

/// Whether a string literal has its closing quote.
fn is_closed(literal: &str) -> bool {
    let mut escaped = false;
    let mut closed = false;
    for character in literal.chars().skip(1) {
        closed = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
    }
    closed
}

/// What a member is, in a few words.
fn about(member: &Member) -> String {
    match member.builtin() {
        Some(builtin) => builtin.signature.split_whitespace().collect::<Vec<_>>().join(" "),
        None if member.is_option => "option".to_string(),
        None => member.value.type_name().to_string(),
    }
}

/// The properties of a record type as text: `{a: int, b: {c: string}}`.
fn properties(type_text: &str) -> Vec<(String, String)> {
    let Ok(crate::flux::types::Type::Record(row)) = crate::flux::signature::parse_type(type_text) else {
        return Vec::new();
    };
    row.properties.iter().map(|(name, kind)| (name.to_string(), kind.to_string())).collect()
}

/// The last bucket that a text names.
fn named_bucket(text: &str) -> Option<String> {
    let all = pieces(text);
    let mut found = None;
    for three in all.windows(3) {
        let word = |at: usize| &text[three[at].span.range()];
        if matches!(word(0), "bucket" | "bucketID") && word(1) == ":" && three[2].kind == PieceKind::String {
            let literal = word(2);
            if is_closed(literal) {
                found = Some(literal.trim_matches('"').to_string());
            }
        }
    }
    found
}

/// The measurements that a text compares with.
fn compared_measurements(text: &str) -> Vec<String> {
    let all = pieces(text);
    let mut found = Vec::new();
    for (at, piece) in all.iter().enumerate() {
        if piece.kind != PieceKind::String || at < 2 || &text[all[at - 1].span.range()] != "==" {
            continue;
        }
        let before = [at - 2, at.saturating_sub(3)].map(|at| text[all[at].span.range()].trim_matches('"'));
        if before.contains(&"_measurement") && is_closed(&text[piece.span.range()]) {
            found.push(text[piece.span.range()].trim_matches('"').to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests;
