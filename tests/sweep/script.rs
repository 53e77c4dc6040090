//! A generated script: its stages, its text, and how it is made smaller while it still shows a problem.

use std::collections::BTreeSet;
use std::fmt;

/// A stage of a pipeline: its kind, for counting, and its text without the pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub kind: &'static str,
    pub text: String,
}

impl Stage {
    pub fn new(kind: &'static str, text: impl Into<String>) -> Stage {
        Stage { kind, text: text.into() }
    }
}

/// Stages one after the other.
pub type Stages = Vec<Stage>;

/// A pipeline that goes on with what all share, or has a read of its own.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    pub read: Option<String>,
    pub stages: Stages,
}

/// What becomes of the source.
#[derive(Clone, Debug)]
pub enum Form {
    /// One pipeline.
    One,
    /// Several results.
    Yields(Vec<Branch>),
    /// Two branches come together by a call, which names them `left` and `right`; more stages follow.
    Together { kind: &'static str, call: String, branches: [Branch; 2], then: Stages },
    /// The stream is read during evaluation, and a table is made of the values of a column.
    Found(&'static str),
}

/// A script: what it reads, the stages that all of it shares, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Script {
    pub read: String,
    pub shared: Stages,
    pub form: Form,
}

impl Script {
    /// The kinds of stages in it, and the kind of its form.
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        let mut kinds: BTreeSet<&'static str> = self.lists().into_iter().flatten().map(|stage| stage.kind).collect();
        match &self.form {
            Form::One => {}
            Form::Yields(_) => {
                kinds.insert("yields");
            }
            Form::Together { kind, .. } => {
                kinds.insert(kind);
            }
            Form::Found(_) => {
                kinds.insert("findColumn");
            }
        }
        kinds
    }

    fn lists(&self) -> Vec<&Stages> {
        let mut lists = vec![&self.shared];
        match &self.form {
            Form::One | Form::Found(_) => {}
            Form::Yields(branches) => lists.extend(branches.iter().map(|branch| &branch.stages)),
            Form::Together { branches, then, .. } => {
                lists.extend(branches.iter().map(|branch| &branch.stages));
                lists.push(then);
            }
        }
        lists
    }

    fn lists_mut(&mut self) -> Vec<&mut Stages> {
        let mut lists = vec![&mut self.shared];
        match &mut self.form {
            Form::One | Form::Found(_) => {}
            Form::Yields(branches) => lists.extend(branches.iter_mut().map(|branch| &mut branch.stages)),
            Form::Together { branches, then, .. } => {
                lists.extend(branches.iter_mut().map(|branch| &mut branch.stages));
                lists.push(then);
            }
        }
        lists
    }

    /// Scripts that are a step smaller: one branch instead of all, one stage less.
    pub fn smaller(&self) -> Vec<Script> {
        let mut smaller = Vec::new();
        let alone = |branch: &Branch, then: &[Stage]| {
            let (read, shared) = match &branch.read {
                Some(read) => (read.clone(), Vec::new()),
                None => (self.read.clone(), self.shared.clone()),
            };
            Script { read, shared: [&shared, &branch.stages, then].concat(), form: Form::One }
        };
        match &self.form {
            Form::One => {}
            Form::Yields(branches) => smaller.extend(branches.iter().map(|branch| alone(branch, &[]))),
            Form::Together { branches, then, .. } => {
                smaller.extend(branches.iter().map(|branch| alone(branch, &[])));
                smaller.extend(branches.iter().map(|branch| alone(branch, then)));
            }
            Form::Found(_) => smaller.push(alone(&Branch::default(), &[])),
        }
        for list in 0..self.lists().len() {
            for stage in 0..self.lists()[list].len() {
                let mut without = self.clone();
                without.lists_mut()[list].remove(stage);
                smaller.push(without);
            }
        }
        smaller
    }
}

/// Packages that a script imports if it uses them.
const PACKAGES: [(&str, &str); 7] = [
    ("array.", "array"),
    ("interpolate.", "interpolate"),
    ("schema.", "influxdata/influxdb/schema"),
    ("v1.", "influxdata/influxdb/v1"),
    ("join.", "join"),
    ("timezone.", "timezone"),
    ("math.", "math"),
];

fn piped(stages: &Stages) -> String {
    stages.iter().map(|stage| format!("\n    |> {}", stage.text)).collect()
}

fn begun(branch: &Branch) -> String {
    format!("{}{}", branch.read.as_deref().unwrap_or("data"), piped(&branch.stages))
}

impl fmt::Display for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = format!("{}{}", self.read, piped(&self.shared));
        let body = match &self.form {
            Form::One => format!("{shared}\n"),
            Form::Yields(branches) => {
                let branch = |(number, branch): (usize, &Branch)| {
                    format!("{}\n    |> yield(name: \"r{number}\")\n", begun(branch))
                };
                let branches: String = branches.iter().enumerate().map(branch).collect();
                format!("data = {shared}\n{branches}")
            }
            Form::Together { call, branches: [left, right], then, .. } => {
                let (left, right, then) = (begun(left), begun(right), piped(then));
                format!("data = {shared}\nleft = {left}\nright = {right}\n{call}{then}\n")
            }
            Form::Found(column) => format!(
                "found = {shared}\n    |> findColumn(fn: (key) => true, column: {column:?})\n\
                 first = if length(arr: found) > 0 then display(v: found[0]) else \"none\"\n\
                 array.from(rows: [{{n: length(arr: found), first: first}}])\n"
            ),
        };
        for (word, package) in PACKAGES {
            if body.contains(word) {
                writeln!(formatter, "import {package:?}")?;
            }
        }
        formatter.write_str(&body)
    }
}
