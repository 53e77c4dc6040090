//! The normative grammar against the parser: `grammar/flux.ebnf` is read as data, random scripts are written by its rules,
//! and the parser must accept each. What the grammar says in words (its five remarks) is built into the writer below.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use fluxmill::diagnostic::{Severity, Source, render::to_text};
use fluxmill::syntax::{ast, visit};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The right side of a rule.
#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Rule(String),
    /// Characters in words.
    Words(String),
    Sequence(Vec<Part>),
    Choice(Vec<Part>),
    Optional(Box<Part>),
    Repeated(Box<Part>),
    /// The first, but not the second.
    Except(Box<Part>, Box<Part>),
}

type Grammar = BTreeMap<String, Part>;

fn grammar() -> Grammar {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar/flux.ebnf");
    let tokens = tokens(&fs::read_to_string(path).unwrap());
    let mut rules = Grammar::new();
    let mut at = 0;
    while at < tokens.len() {
        let name = tokens[at].clone();
        assert_eq!(tokens[at + 1], "=", "after {name}");
        at += 2;
        let part = choice(&tokens, &mut at);
        assert_eq!(tokens[at], ";", "at the end of {name}");
        at += 1;
        assert!(rules.insert(name.clone(), part).is_none(), "{name} is defined twice");
    }
    rules
}

/// Names and marks as they are; quoted text with its opening quote in front; words with `?` in front.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let first = rest.chars().next().unwrap();
        let length = if rest.starts_with("(*") {
            rest = rest[rest.find("*)").unwrap() + 2..].trim_start();
            continue;
        } else if matches!(first, '"' | '\'' | '?') {
            let length = rest[1..].find(first).unwrap() + 2;
            tokens.push(rest[..length - 1].to_string());
            rest = rest[length..].trim_start();
            continue;
        } else if first.is_alphabetic() {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else {
            1
        };
        tokens.push(rest[..length].to_string());
        rest = rest[length..].trim_start();
    }
    tokens
}

fn choice(tokens: &[String], at: &mut usize) -> Part {
    let mut choices = vec![sequence(tokens, at)];
    while tokens[*at] == "|" {
        *at += 1;
        choices.push(sequence(tokens, at));
    }
    if choices.len() == 1 { choices.remove(0) } else { Part::Choice(choices) }
}

fn sequence(tokens: &[String], at: &mut usize) -> Part {
    let mut parts = Vec::new();
    while !matches!(tokens[*at].as_str(), "|" | ";" | ")" | "]" | "}" | "-") {
        parts.push(part(tokens, at));
    }
    let whole = if parts.len() == 1 { parts.remove(0) } else { Part::Sequence(parts) };
    if tokens[*at] != "-" {
        return whole;
    }
    *at += 1;
    Part::Except(Box::new(whole), Box::new(part(tokens, at)))
}

fn part(tokens: &[String], at: &mut usize) -> Part {
    let token = &tokens[*at];
    *at += 1;
    let mut enclosed = |close: &str| {
        let inner = choice(tokens, at);
        assert_eq!(tokens[*at], close);
        *at += 1;
        inner
    };
    match token.as_str() {
        "(" => enclosed(")"),
        "[" => Part::Optional(Box::new(enclosed("]"))),
        "{" => Part::Repeated(Box::new(enclosed("}"))),
        text if text.starts_with(['"', '\'']) => Part::Text(text[1..].to_string()),
        text if text.starts_with('?') => Part::Words(text[1..].trim().to_string()),
        name => Part::Rule(name.to_string()),
    }
}

fn rules_of(part: &Part, found: &mut BTreeSet<String>) {
    match part {
        Part::Rule(name) => {
            found.insert(name.clone());
        }
        Part::Text(_) | Part::Words(_) => {}
        Part::Sequence(parts) | Part::Choice(parts) => parts.iter().for_each(|part| rules_of(part, found)),
        Part::Optional(part) | Part::Repeated(part) => rules_of(part, found),
        Part::Except(part, but) => {
            rules_of(part, found);
            rules_of(but, found);
        }
    }
}

#[test]
fn every_rule_is_defined_and_used() {
    let grammar = grammar();
    let mut used = BTreeSet::new();
    for part in grammar.values() {
        rules_of(part, &mut used);
    }
    for name in &used {
        assert!(grammar.contains_key(name), "{name} is used and not defined");
    }
    for name in grammar.keys() {
        assert!(used.contains(name) || matches!(name.as_str(), "file" | "COMMENT"), "{name} is defined and not used");
    }
    assert!(grammar.len() > 50, "only {} rules were read", grammar.len());
}

/// Writes random texts by the rules.
struct Writer<'g> {
    grammar: &'g Grammar,
    random: StdRng,
    /// How many more rules may be written before only what must be is written, and that as simply as possible.
    left: usize,
    /// The rules that have been written.
    written: BTreeSet<String>,
}

impl Writer<'_> {
    fn rule(&mut self, name: &str) -> String {
        self.written.insert(name.to_string());
        // Words of the grammar's comments: these days, times and expressions are valid, of all that have the form.
        let pick = |random: &mut StdRng, from: &[&str]| from[random.random_range(0..from.len())].to_string();
        match name {
            "TIME" => {
                return pick(
                    &mut self.random,
                    &["2020-02-29", "2020-01-01T00:00:00Z", "1999-12-31T23:59:59.123456789+05:30"],
                );
            }
            "REGEXP" => return pick(&mut self.random, &["/a/", "/^[a-z\\/]+$/", "/\\d{2,3}|é日/", "/ \\\\ \" /"]),
            "ESCAPE" => {
                return pick(&mut self.random, &["\\n", "\\r", "\\t", "\\\\", "\\\"", "\\$", "\\x41", "\\xc3\\xa9"]);
            }
            _ => {}
        }
        self.left = self.left.saturating_sub(1);
        let grammar = self.grammar;
        let mut text = self.part(&grammar[name], name.starts_with(char::is_uppercase), name);
        // Longer numbers may be out of their range.
        while matches!(name, "INTEGER" | "DURATION") && text.len() > 5 {
            text = self.part(&grammar[name], true, name);
        }
        text
    }

    fn part(&mut self, part: &Part, in_token: bool, rule: &str) -> String {
        match part {
            Part::Text(text) => text.clone(),
            Part::Rule(name) => self.rule(name),
            Part::Words(words) => {
                let characters: Vec<char> = match words.as_str() {
                    "a letter of any script" => "abcxyzABCéß日名".chars().collect(),
                    _ => "abc xyz{}'#/;.|>é日\n".chars().collect(),
                };
                characters[self.random.random_range(0..characters.len())].to_string()
            }
            Part::Sequence(parts) => {
                let mut whole = String::new();
                for part in parts {
                    let mut text = self.part(part, in_token, rule);
                    // Remark 3: a brace after `=>` opens a block.
                    while rule == "lambda" && text.starts_with('{') {
                        text = self.part(part, in_token, rule);
                    }
                    self.join(&mut whole, &text, in_token);
                }
                whole
            }
            Part::Choice(parts) => {
                // In the end the first choices are taken: the rules name the simple things first.
                let most = if self.left == 0 && !in_token { 1 } else { parts.len() };
                // Prefixes and conditionals, the later choices, are rarer than operands.
                let first = parts.len() <= 3 && self.random.random_bool(0.7);
                let chosen = if first { &parts[0] } else { &parts[self.random.random_range(0..most)] };
                self.part(chosen, in_token, rule)
            }
            Part::Optional(part) => match self.random.random_bool(self.likely(rule)) {
                true => self.part(part, in_token, rule),
                false => String::new(),
            },
            Part::Repeated(part) => {
                let mut whole = String::new();
                while self.random.random_bool(self.likely(rule)) {
                    let text = self.part(part, in_token, rule);
                    // Remark 1: nothing that would go on with the statement before it.
                    let statements = matches!(rule, "file" | "testcase" | "block");
                    if statements && text.starts_with(['(', '[', '-', '+', '.', '/']) {
                        continue;
                    }
                    self.join(&mut whole, &text, in_token);
                }
                whole
            }
            Part::Except(part, but) => loop {
                let text = self.part(part, in_token, rule);
                let mut excluded = BTreeSet::new();
                self.texts(but, &mut excluded);
                if !excluded.contains(&text) {
                    return text;
                }
            },
        }
    }

    /// How likely something that may be left out is written. An expression goes through ten rules that repeat
    /// operands, so these must be unlikely, or the first expression would use up all that is left.
    fn likely(&self, rule: &str) -> f64 {
        match rule {
            token if token.starts_with(char::is_uppercase) => 0.5,
            _ if self.left == 0 => 0.0,
            "file" | "testcase" | "block" => 0.8,
            "attribute" | "parameter" | "arguments" | "array" | "record" | "properties" | "type_scheme" => 0.3,
            _ => 0.1,
        }
    }

    fn texts(&self, part: &Part, found: &mut BTreeSet<String>) {
        match part {
            Part::Text(text) => {
                found.insert(text.clone());
            }
            Part::Rule(name) => self.texts(&self.grammar[name], found),
            Part::Choice(parts) => parts.iter().for_each(|part| self.texts(part, found)),
            other => panic!("an exception is a choice of texts, not {other:?}"),
        }
    }

    fn join(&mut self, whole: &mut String, text: &str, in_token: bool) {
        if !in_token && !whole.is_empty() && !text.is_empty() {
            let between = [" ", " ", " ", "\n", "\t", "  // a comment \" ( {\n", "\r\n"];
            whole.push_str(between[self.random.random_range(0..between.len())]);
        }
        whole.push_str(text);
    }
}

fn write(grammar: &Grammar, seed: u64) -> (String, BTreeSet<String>) {
    let mut writer = Writer { grammar, random: StdRng::seed_from_u64(seed), left: 1000, written: BTreeSet::new() };
    let text = writer.rule("file");
    (text, writer.written)
}

/// The errors that the parser finds in `text`, as they are shown.
fn errors(text: &str) -> String {
    let mut diagnostics = fluxmill::syntax::parse(text).diagnostics;
    diagnostics.retain(|diagnostic| diagnostic.severity == Severity::Error);
    to_text(&Source::new("random.flux", text), &diagnostics)
}

/// A text that is accepted means the same, and holds the same comments, when it is formatted; and it stays as it is then.
fn keeps_its_meaning(text: &str) -> Result<(), String> {
    let formatted = fluxmill::syntax::format(text).map_err(|problems| format!("{problems:?}"))?;
    let again = fluxmill::syntax::format(&formatted).map_err(|problems| format!("{formatted}\n{problems:?}"))?;
    if again != formatted {
        return Err(format!("formatted:\n{formatted}\nformatted again:\n{again}"));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn what_the_grammar_allows_is_accepted_and_formatted(seed in any::<u64>()) {
        let (text, _) = write(&grammar(), seed);
        let errors = errors(&text);
        prop_assert!(errors.is_empty(), "{text}\n{errors}");
        let kept = keeps_its_meaning(&text);
        prop_assert!(kept.is_ok(), "{text}\n{}", kept.unwrap_err());
    }

    #[test]
    fn what_is_cut_and_changed_is_read_to_its_end(seed in any::<u64>(), cut in any::<prop::sample::Index>(), piece in 0..PIECES.len()) {
        let (text, _) = write(&grammar(), seed);
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let at = places[cut.index(places.len())];
        let started = std::time::Instant::now();
        for changed in [text[..at].to_string(), text[at..].to_string(), format!("{}{}{}", &text[..at], PIECES[piece], &text[at..])] {
            let parsed = fluxmill::flux::check::parse_and_check(&changed, fluxmill::functions::library());
            if fluxmill::syntax::parse(&changed).has_errors() {
                prop_assert!(!parsed.diagnostics.is_empty());
                prop_assert!(fluxmill::syntax::format(&changed).is_err());
            } else {
                let kept = keeps_its_meaning(&changed);
                prop_assert!(kept.is_ok(), "{changed}\n{}", kept.unwrap_err());
            }
        }
        // A few kilobytes take milliseconds; the bound is for a machine under load.
        prop_assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

/// What is put into a text: pieces that change how all that follows is read.
const PIECES: [&str; 32] = [
    "(", ")", "[", "]", "{", "}", "\"", "${", "'", "/", "// ", "/*", "\\", "=", "==", "=>", "|>", "<-", "&&", ",", ":",
    ".", ";", "\n", "1h", "1e3", "if ", "else ", "return ", "option ", "import ", "null",
];

/// The names of the kinds of node in a tree, and of the operators and forms in them.
#[derive(Default)]
struct Kinds(BTreeSet<&'static str>);

impl Kinds {
    fn file(&mut self, file: &ast::File) {
        for (found, kind) in [
            (!file.attributes.is_empty(), "attribute"),
            (file.package.is_some(), "package"),
            (!file.imports.is_empty(), "import"),
            (file.imports.iter().any(|import| import.alias.is_some()), "import with a name"),
            (!file.comments.is_empty(), "comment"),
        ] {
            if found {
                self.0.insert(kind);
            }
        }
        self.statements(&file.body);
        visit::file(file, &mut |expr| {
            self.expr(expr);
            true
        });
    }

    fn statements(&mut self, body: &[ast::Statement]) {
        for statement in body {
            let kind = match statement {
                ast::Statement::Expression(_) => "expression statement",
                ast::Statement::Variable(_) => "variable",
                ast::Statement::Option(option) if option.package.is_some() => "option of a package",
                ast::Statement::Option(_) => "option",
                ast::Statement::Return { .. } => "return",
                ast::Statement::Builtin { .. } => "builtin",
                ast::Statement::TestCase(case) => {
                    self.statements(&case.body);
                    if case.extends.is_some() { "testcase that extends" } else { "testcase" }
                }
                ast::Statement::Bad(_) => "bad statement",
            };
            self.0.insert(kind);
        }
    }

    fn expr(&mut self, expr: &ast::Expr) {
        use ast::ExprKind::*;
        // No arm for the rest: a new kind of node must be named here, and written by the grammar.
        let kind = match &expr.kind {
            Identifier(_) => "identifier",
            Integer(_) => "integer",
            Float(_) => "float",
            String(_) => "string",
            Interpolated(_) => "interpolated",
            Duration(_) => "duration",
            Time(_) => "time",
            Regexp(_) => "regexp",
            Array(_) => "array",
            Dict(entries) if entries.is_empty() => "empty dictionary",
            Dict(_) => "dictionary",
            Record { with: Some(_), .. } => "record with",
            Record { properties, .. } if properties.iter().any(|one| one.shorthand) => "record of names",
            Record { .. } => "record",
            Function(function) => {
                for parameter in &function.parameters {
                    self.0.insert(match parameter.kind {
                        ast::ParameterKind::Required => "parameter",
                        ast::ParameterKind::Optional(_) => "parameter with a default",
                        ast::ParameterKind::Pipe => "pipe parameter",
                    });
                }
                match &function.body {
                    ast::FunctionBody::Expression(_) => "function",
                    ast::FunctionBody::Block(body) => {
                        self.statements(body);
                        "function with a block"
                    }
                }
            }
            Call(_) => "call",
            Pipe { .. } => "pipe",
            Member { bracketed: true, .. } => "member in brackets",
            Member { .. } => "member",
            Index { .. } => "index",
            Unary { operator, .. } => match operator {
                ast::UnaryOperator::Minus => "minus",
                ast::UnaryOperator::Plus => "plus",
                ast::UnaryOperator::Not => "not",
                ast::UnaryOperator::Exists => "exists",
            },
            Binary { operator, .. } => operator.symbol(),
            Logical { operator: ast::LogicalOperator::And, .. } => "and",
            Logical { operator: ast::LogicalOperator::Or, .. } => "or",
            Conditional { .. } => "conditional",
            Paren(_) => "parentheses",
            Bad => "bad expression",
        };
        self.0.insert(kind);
    }
}

#[test]
fn the_random_scripts_make_every_kind_of_node() {
    let grammar = grammar();
    let mut kinds = Kinds::default();
    for seed in 0..2000 {
        kinds.file(&fluxmill::syntax::parse(&write(&grammar, seed).0).file);
    }
    let all = "attribute, package, import, import with a name, comment, expression statement, variable, option of a package, \
               option, return, builtin, testcase that extends, testcase, identifier, integer, float, string, interpolated, \
               duration, time, regexp, array, empty dictionary, dictionary, record with, record of names, record, parameter, \
               parameter with a default, pipe parameter, function, function with a block, call, pipe, member in brackets, \
               member, index, minus, plus, not, exists, +, -, *, /, %, ^, ==, !=, <, <=, >, >=, =~, !~, and, or, \
               conditional, parentheses";
    let all: BTreeSet<&str> = all.split(", ").collect();
    assert_eq!(kinds.0, all, "on the left what was made, on the right what there is");
}

#[test]
fn the_random_scripts_use_every_rule() {
    let grammar = grammar();
    let mut written = BTreeSet::from(["COMMENT".to_string()]);
    for seed in 0..2000 {
        written.extend(write(&grammar, seed).1);
    }
    // Keywords are what names are not; the rest is within the tokens that are picked as a whole.
    let apart = ["KEYWORD", "DATE", "OFFSET", "REGEXP_CHARACTER", "HEX"];
    let missing: Vec<&String> =
        grammar.keys().filter(|name| !written.contains(*name) && !apart.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "never written: {missing:?}");
}
