//! What a person sees who made a mistake: every script in `fixtures/diagnostics` against the exact text beside it.
//!
//! `BLESS=1 cargo test --test it diagnostics` writes the texts anew; read the difference before it is kept.

use std::fs;
use std::path::{Path, PathBuf};

use fluxmill::diagnostic::render::{to_json, to_text, to_text_colored};
use fluxmill::diagnostic::{Diagnostic, Severity, Source};

/// All problems of a script.
fn check_text(source: &Source) -> Vec<Diagnostic> {
    fluxmill::flux::check::parse_and_check(&source.text, fluxmill::functions::library()).diagnostics
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/diagnostics");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "flux"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 30, "only {} cases were found", cases.len());
    cases
}

fn source_of(path: &Path) -> Source {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Source::new(name, fs::read_to_string(path).unwrap())
}

#[test]
fn every_mistake_is_told_as_its_fixture_says() {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for path in cases() {
        let source = source_of(&path);
        let shown = to_text(&source, &check_text(&source));
        let expected_path = path.with_extension("txt");
        if bless {
            fs::write(&expected_path, &shown).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if shown != expected {
            wrong.push(format!("{}\n--- expected\n{expected}\n--- shown\n{shown}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_has_a_problem_and_every_message_keeps_the_house_style() {
    for path in cases() {
        let source = source_of(&path);
        let diagnostics = check_text(&source);
        assert!(!diagnostics.is_empty(), "{}: nothing was found", path.display());
        for diagnostic in diagnostics {
            let mut texts = vec![diagnostic.message.as_str(), diagnostic.label.as_str()];
            texts.extend(diagnostic.help.as_deref());
            texts.extend(diagnostic.labels.iter().map(|label| label.text.as_str()));
            for text in texts {
                let place = format!("{}: {text}", path.display());
                // The one phrase that everybody knows.
                let text = text.replace("did you mean", "meant");
                let first = text.chars().next().unwrap_or('a');
                assert!(!first.is_ascii_uppercase(), "starts with a capital letter: {place}");
                assert!(!text.ends_with('.') || text.ends_with("..."), "ends with a full stop: {place}");
                assert!(!text.split(|c: char| !c.is_alphabetic()).any(|word| word == "you"), "says you: {place}");
            }
        }
    }
}

#[test]
fn every_text_beside_a_script_belongs_to_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/diagnostics");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            assert!(path.with_extension("flux").exists(), "{} has no script", path.display());
        }
    }
}

/// Codes of the warnings about a script that has no errors.
fn warnings(text: &str) -> Vec<&'static str> {
    let found = check_text(&Source::new("t.flux", text));
    assert!(found.iter().all(|one| one.severity == Severity::Warning), "{text}: {found:?}");
    found.iter().map(|one| one.code).collect()
}

#[test]
fn what_is_meant_well_is_not_warned_of() {
    let read = "from(bucket: \"b\") |> range(start: -1h)";
    let cases = [
        // Fields or types are chosen before something is computed, or by something that the rule cannot look into.
        format!("{read} |> filter(fn: (r) => r[\"_field\"] == \"f\") |> mean()"),
        format!("{read} |> filter(fn: (r) => r._value > 0.0) |> mean()"),
        format!("import \"types\"\n{read} |> filter(fn: (r) => types.isType(v: r._value, type: \"float\")) |> mean()"),
        format!("only = (r) => r.a == \"b\"\n{read} |> filter(fn: only) |> mean()"),
        format!("{read} |> map(fn: (r) => ({{r with _value: float(v: r._value)}})) |> mean()"),
        format!("{read} |> mean(column: \"pressure\")"),
        format!("f = (tables=<-) => tables\n{read} |> f() |> mean()"),
        format!("mean = (tables=<-) => tables\n{read} |> mean()"),
        format!("{read} |> count()"),
        // Ranges that reach as far back as the last run, and those that do not depend on it.
        format!("option task = {{name: \"a\", every: 1h}}\n{read} |> count()"),
        "option task = {name: \"a\", every: 1h}\nfrom(bucket: \"b\") |> range(start: -task.every) |> count()".into(),
        "option task = {name: \"a\", every: 1h}\nfrom(bucket: \"b\") |> range(start: -2h, stop: -1h) |> count()".into(),
        "option task = {name: \"a\", cron: \"0 * * * *\"}\nfrom(bucket: \"b\") |> range(start: -1m) |> count()".into(),
        // In order of time, or each group a series.
        format!("{read} |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\") |> group() |> sort(columns: [\"_time\"]) |> last(column: \"f\")"),
        format!("{read} |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\") |> group(columns: [\"t\"]) |> last(column: \"f\")"),
        // Own rows are told apart.
        "option task = {name: \"a\", every: 1h}\nfrom(bucket: \"b\") |> range(start: -1h) |> filter(fn: (r) => r._measurement == \"m\") |> set(key: \"_measurement\", value: \"n\") |> to(bucket: \"b\")".into(),
        "from(bucket: \"b\") |> range(start: -1h) |> to(bucket: \"b\")".into(),
        // All is used.
        "import \"date\"\nx = date.hour(t: now())\nfrom(bucket: \"b\") |> range(start: -1h) |> set(key: \"h\", value: \"${x}\")".into(),
        "import \"influxdata/influxdb/tasks\"\noption tasks.lastSuccessTime = 2020-01-01\nfrom(bucket: \"b\") |> range(start: -1h)".into(),
        format!("x = {read} |> to(bucket: \"c\")"),
        format!("data = {read}\ndata |> count() |> yield(name: \"a\")\ndata |> first() |> yield(name: \"b\")"),
        format!("r = {read} |> findRecord(fn: (key) => true, idx: 0)"),
        format!("{read} |> filter(fn: (r) => r.a =~ /x.*/)"),
    ];
    for text in cases {
        assert_eq!(warnings(&text), Vec::<&str>::new(), "{text}");
    }
    // Through a name, once.
    let text = format!("data = {read}\ndata |> mean() |> yield(name: \"a\")\ndata |> count() |> yield(name: \"b\")");
    assert_eq!(warnings(&text), ["any-field"]);
    assert_eq!(warnings(&format!("data = {read} |> mean()\ndata |> yield()")), ["any-field"]);
}

#[test]
fn json_tells_line_column_and_end_in_characters() {
    // `ü` is two bytes: columns count characters. The parameter `row` is the sixth to eighth character of its line.
    let source = Source::new("t.flux", "x = 1\nü = (row => 1)\n");
    let problems: serde_json::Value = serde_json::from_str(&to_json(&source, &check_text(&source))).unwrap();
    let problem = &problems[0];
    assert_eq!(problem["file"], "t.flux");
    assert_eq!(problem["line"], 2);
    assert_eq!(problem["column"], 6);
    assert_eq!(problem["end_line"], 2);
    assert_eq!(problem["end_column"], 9);
    assert_eq!(problem["severity"], "error");
    assert_eq!(problem["code"], "bare-parameter");
    assert!(problem["message"].is_string() && problem["help"].is_string());
}

#[test]
fn no_problem_is_no_text_and_an_empty_array() {
    let source = Source::new("t.flux", "x = 1\n");
    assert_eq!(check_text(&source), vec![]);
    assert_eq!(to_text(&source, &[]), "");
    assert_eq!(to_json(&source, &[]), "[]");
}

#[test]
fn a_terminal_gets_colours_and_a_file_does_not() {
    let source = Source::new("t.flux", "x = )\n");
    let diagnostics = check_text(&source);
    assert!(to_text_colored(&source, &diagnostics).contains("\u{1b}["));
    assert!(!to_text(&source, &diagnostics).contains('\u{1b}'));
}

#[test]
fn escape_sequences_of_a_script_do_not_reach_the_terminal() {
    let source = Source::new("t\u{1b}[2J.flux", "x = \"\u{1b}[2J\" y(\"\u{1b}]0;title\u{7}\")\u{9b}\n");
    let text = to_text(&source, &check_text(&source));
    assert!(text.contains("t?[2J.flux"), "{text}");
    assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
}

#[test]
fn an_overlong_line_is_shown_in_part() {
    let source = Source::new("t.flux", format!("x = [{}1 = 2, {}]\n", "1, ".repeat(100_000), "2, ".repeat(100_000)));
    let text = to_text(&source, &check_text(&source));
    assert!(text.contains("t.flux:1:300008"), "{text}");
    assert!(text.len() < 4000, "{} bytes", text.len());
}

#[test]
fn spans_outside_of_the_text_are_shown_at_its_end() {
    let source = Source::new("t.flux", "a = \"ü\"");
    for (start, end) in [(7, 8), (6, 7), (8, 8), (100, 200), (5, 3)] {
        let diagnostic = Diagnostic::error("test", "message", fluxmill::diagnostic::Span::new(start, end));
        assert!(to_text(&source, &[diagnostic]).contains("t.flux:1:"));
    }
    let nothing = Source::new("t.flux", "");
    let diagnostic = Diagnostic::error("test", "message", fluxmill::diagnostic::Span::new(0, 0));
    assert!(to_text(&nothing, &[diagnostic]).contains("message"));
}
