//! The language against its facts: each production, each strength of operator, each literal; and texts that nobody would
//! write. Expected trees are written out by hand from the language's documents, never taken from our own output.

#![allow(clippy::unwrap_used)]

mod hostile;
pub(in crate::syntax) mod show;

use super::*;
use show::{show_expr, show_file};

/// The tree of one expression, fully bracketed. The text must have no problem.
fn tree(text: &str) -> String {
    let parsed = parse(text);
    assert_eq!(parsed.diagnostics, vec![], "{text}");
    match parsed.file.body.as_slice() {
        [ast::Statement::Expression(expr)] => show_expr(expr),
        other => panic!("not one expression: {text}: {other:?}"),
    }
}

/// The tree of a file, a statement a line. The text must have no problem.
fn trees(text: &str) -> String {
    let parsed = parse(text);
    assert_eq!(parsed.diagnostics, vec![], "{text}");
    show_file(&parsed.file)
}

/// The codes of all problems, in order.
fn codes(text: &str) -> Vec<&'static str> {
    parse(text).diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn operators_bind_by_their_strength() {
    // Left: a script. Right: how it is read, from the language's table of operators, tightest first: call, index and
    // member; unary minus and plus; pipe; power; product; sum; comparison; not and exists; and; or; if.
    let cases = [
        ("a.b(c: 1)[2]", "(index (call (. a b) c:1) 2)"),
        ("-a.b", "(- (. a b))"),
        ("- -a", "(- (- a))"),
        ("-a[0]", "(- (index a 0))"),
        ("-2 ^ 2", "(^ (- 2) 2)"),
        ("-a |> f()", "(|> (- a) (f))"),
        ("a |> f() ^ 2", "(^ (|> a (f)) 2)"),
        ("2 ^ a |> f()", "(^ 2 (|> a (f)))"),
        ("1 + 2 |> f()", "(+ 1 (|> 2 (f)))"),
        ("a |> f() |> g(x: 1)", "(|> (|> a (f)) (g x:1))"),
        ("a |> b.f()", "(|> a ((. b f)))"),
        ("a |> b[\"f\"](x: 1)(y: 2)", "(|> a ((call ([.] b f) x:1) y:2))"),
        ("2 ^ 3 ^ 2", "(^ (^ 2 3) 2)"),
        ("2 * 3 ^ 2", "(* 2 (^ 3 2))"),
        ("a * b / c % d", "(% (/ (* a b) c) d)"),
        ("a + b * c - d", "(- (+ a (* b c)) d)"),
        ("a - b - c", "(- (- a b) c)"),
        ("a + b == c - d", "(== (+ a b) (- c d))"),
        ("a < b == c", "(== (< a b) c)"),
        ("a == b < c", "(< (== a b) c)"),
        ("a =~ /x/ and b !~ /y/", "(and (=~ a /x/) (!~ b /y/))"),
        ("a <= b and c >= d", "(and (<= a b) (>= c d))"),
        ("a != b or c > d", "(or (!= a b) (> c d))"),
        ("not a == b", "(not (== a b))"),
        ("exists r.a == true", "(exists (== (. r a) true))"),
        ("not a and b", "(and (not a) b)"),
        ("not not a or b", "(or (not (not a)) b)"),
        ("not exists r.a", "(not (exists (. r a)))"),
        ("exists a and exists b", "(and (exists a) (exists b))"),
        ("a or b and c", "(or a (and b c))"),
        ("a and b or c and d", "(or (and a b) (and c d))"),
        ("a or b or c", "(or (or a b) c)"),
        ("(a or b) and c", "(and (paren (or a b)) c)"),
        ("if a or b then c + d else e |> f()", "(if (or a b) (+ c d) (|> e (f)))"),
        ("if a then b else if c then d else e", "(if a b (if c d e))"),
        ("if if a then b else c then d else e", "(if (if a b c) d e)"),
        ("(x) => x + 1 == 2 and true", "(fn (x) (and (== (+ x 1) 2) true))"),
        ("(x) => (y) => x + y", "(fn (x) (fn (y) (+ x y)))"),
        ("a - -b", "(- a (- b))"),
        ("a + +b", "(+ a (+ b))"),
        ("a -b", "(- a b)"),
        ("a / b / c", "(/ (/ a b) c)"),
    ];
    for (text, expected) in cases {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn line_ends_separate_nothing() {
    // A line that can go on with the expression before it does; else a new statement starts, wherever it stands.
    assert_eq!(trees("x = 1\n-2"), "(= x (- 1 2))");
    assert_eq!(trees("x = f\n(a: 1)"), "(= x (call f a:1))");
    assert_eq!(trees("x = a\n[0]"), "(= x (index a 0))");
    assert_eq!(trees("x = a\n.b"), "(= x (. a b))");
    assert_eq!(trees("x = a\n\n\n|>\n\n\nf()"), "(= x (|> a (f)))");
    assert_eq!(trees("x = 1 y = 2"), "(= x 1)\n(= y 2)");
    assert_eq!(trees("x = 1\r\n\r\ny = 2\r\n"), "(= x 1)\n(= y 2)");
    assert_eq!(trees("x\n= 1\ny =\n2"), "(= x 1)\n(= y 2)");
    assert_eq!(trees(""), "");
    assert_eq!(trees("\u{feff}// only a comment"), "");
}

#[test]
fn literals_have_their_values() {
    let cases = [
        ("0", "0"),
        ("9223372036854775807", "9223372036854775807"),
        ("1.5", "1.5f"),
        ("1.", "1.0f"),
        (".5", "0.5f"),
        ("007.50", "7.5f"),
        ("1ns", "duration 0mo 1ns"),
        ("1us", "duration 0mo 1000ns"),
        ("1µs", "duration 0mo 1000ns"),
        ("1ms", "duration 0mo 1000000ns"),
        ("1s", "duration 0mo 1000000000ns"),
        ("1m", "duration 0mo 60000000000ns"),
        ("1h", "duration 0mo 3600000000000ns"),
        ("1d", "duration 0mo 86400000000000ns"),
        ("1w", "duration 0mo 604800000000000ns"),
        ("1mo", "duration 1mo 0ns"),
        ("1y", "duration 12mo 0ns"),
        ("1h0m0s", "duration 0mo 3600000000000ns"),
        ("1m0s", "duration 0mo 60000000000ns"),
        ("1y2mo3d4h5m6s7ms8us9ns", "duration 14mo 273906007008009ns"),
        ("5d1mo", "duration 1mo 432000000000000ns"),
        ("1h1h", "duration 0mo 7200000000000ns"),
        ("01h05m", "duration 0mo 3900000000000ns"),
        // 2020-01-01 is 18,262 days after the epoch.
        ("2020-01-01", "time 1577836800000000000"),
        ("2020-01-01T00:00:00Z", "time 1577836800000000000"),
        ("2020-01-01T01:00:00+01:00", "time 1577836800000000000"),
        ("2019-12-31T19:30:00.5-04:30", "time 1577836800500000000"),
        ("2020-01-01T00:00:00.123456789Z", "time 1577836800123456789"),
        ("/a\\/b\\d+/", "/a/b\\d+/"),
        ("/[\\/]\\\\/", "/[/]\\\\/"),
        ("\"\"", "\"\""),
        (r#""a\n\r\t\"\\\${b}\x41$ $""#, r#""a\n\r\t\"\\${b}A$ $""#),
        (r#""\xe6\x97\xa5""#, "\"日\""),
        ("\"日本\n語\"", "\"日本\\n語\""),
        ("\"a // b\"", "\"a // b\""),
    ];
    for (text, expected) in cases {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn strings_hold_expressions() {
    assert_eq!(tree(r#""a ${b} c""#), r#"(string "a " b " c")"#);
    assert_eq!(tree(r#""${a}${b}""#), r#"(string a b)"#);
    assert_eq!(tree(r#""${a + "x ${b} y"}""#), r#"(string (+ a (string "x " b " y")))"#);
    assert_eq!(tree(r#""${{a: "}"}.a}!""#), r#"(string (. (record a:"}") a) "!")"#);
    assert_eq!(tree(r#""$${a}$""#), r#"(string "$" a "$")"#);
    assert_eq!(tree(r#""${a |> f(x: (r) => { return r })}""#), r#"(string (|> a (f x:(fn (r) {(return r)}))))"#);
    assert_eq!(tree("\"\\t${\n a\n}\\n\""), r#"(string "\t" a "\n")"#);
}

#[test]
fn a_slash_divides_after_an_operand_and_opens_a_regular_expression_elsewhere() {
    assert_eq!(tree("a / b / c"), "(/ (/ a b) c)");
    assert_eq!(tree("f(a: 1) / 2 / x[0] / \"s\" / 3"), "(/ (/ (/ (/ (call f a:1) 2) (index x 0)) \"s\") 3)");
    assert_eq!(tree("[/a/, /b/]"), "[/a/ /b/]");
    assert_eq!(tree("f(a: /x/, b: (r) => /y/)"), "(call f a:/x/ b:(fn (r) /y/))");
    assert_eq!(tree("if a then /x/ else /y/"), "(if a /x/ /y/)");
    assert_eq!(tree("a =~ /x/ or not /y/ == b"), "(or (=~ a /x/) (not (== /y/ b)))");
    assert_eq!(tree("(a) / 2"), "(/ (paren a) 2)");
}

#[test]
fn collections_and_members() {
    let cases = [
        ("[]", "[]"),
        ("[1]", "[1]"),
        ("[1, 2,]", "[1 2]"),
        ("[:]", "[:]"),
        ("[ : ]", "[:]"),
        ("[\"k\": 1]", "[\"k\":1]"),
        ("[a: 1, b + c: 2,]", "[a:1 (+ b c):2]"),
        ("{}", "(record)"),
        ("{a: 1}", "(record a:1)"),
        ("{a: 1, \"b c\": 2,}", "(record a:1 b c:2)"),
        ("{a, b}", "(record a b)"),
        ("{a}", "(record a)"),
        ("{r with a: 1}", "(record r with a:1)"),
        ("{r with a: 1, b: {r with c: 2},}", "(record r with a:1 b:(record r with c:2))"),
        ("{r with a, b}", "(record r with a b)"),
        ("{with: 1}", "(record with:1)"),
        ("{with with with: with}", "(record with with with:with)"),
        ("r[\"a b\"]", "([.] r a b)"),
        ("r.a[\"b\"].c", "(. ([.] (. r a) b) c)"),
        ("a[i + 1][0]", "(index (index a (+ i 1)) 0)"),
        ("a[\"x ${y}\"]", "(index a (string \"x \" y))"),
        ("{a: 1}.a", "(. (record a:1) a)"),
        ("[1, 2][0]", "(index [1 2] 0)"),
        ("\"a\".b", "(. \"a\" b)"),
        ("extends.stream.where", "(. (. extends stream) where)"),
        ("größe.名前_1", "(. größe 名前_1)"),
        ("_", "_"),
    ];
    for (text, expected) in cases {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn functions_and_calls() {
    let cases = [
        ("() => 1", "(fn () 1)"),
        ("(a, b=1, t=<-,) => a", "(fn (a b=1 t=<-) a)"),
        ("(a\n,\nb = (c) => c)\n=>\na", "(fn (a b=(fn (c) c)) a)"),
        ("() => ({a: 1})", "(fn () (paren (record a:1)))"),
        ("() => {return 1}", "(fn () {(return 1)})"),
        ("(a) => {\nb = a\nc(x: b)\nreturn b\n}", "(fn (a) {(= b a) (call c x:b) (return b)})"),
        ("f()", "(call f)"),
        ("f(a: 1, \"b\": 2,)", "(call f a:1 b:2)"),
        ("f(a, b)", "(call f a b)"),
        ("f(a: 1)(b: 2)", "(call (call f a:1) b:2)"),
        ("(f)(a: 1)", "(call (paren f) a:1)"),
        ("((x) => x)(x: 1)", "(call (paren (fn (x) x)) x:1)"),
        ("f(fn: (r) => r.a, x: 1)", "(call f fn:(fn (r) (. r a)) x:1)"),
        ("f(a: (b), c: (d) => e)", "(call f a:(paren b) c:(fn (d) e))"),
    ];
    for (text, expected) in cases {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn statements_and_clauses() {
    let text = r#"
@edition("2022.1")
@other
@third(1, [2], x,)
package plant // the package

import "date"
import t "influxdata/influxdb/tasks"

option now = () => 2020-01-01T00:00:00Z
option t.lastSuccessTime = 2020-01-01
a = 1
a |> f()
"#;
    assert_eq!(
        trees(text),
        "(@ edition \"2022.1\")\n(@ other)\n(@ third 1 [2] x)\n(package plant)\n(import date)\n\
         (import t influxdata/influxdb/tasks)\n(option now (fn () time 1577836800000000000))\n\
         (option t.lastSuccessTime time 1577836800000000000)\n(= a 1)\n(|> a (f))"
    );
    let file = parse(text).file;
    assert_eq!(file.imports[0].name(), "date");
    assert_eq!(file.imports[1].name(), "t");
    assert_eq!(file.comments.len(), 1);
    assert_eq!(&*file.comments[0].text, " the package");
}

#[test]
fn test_cases_hold_statements_of_a_file() {
    assert_eq!(
        trees("testcase a {\n option now = () => x\n got = y\n testing.diff(got, want)\n}"),
        "(testcase a {(option now (fn () x)) (= got y) (call (. testing diff) got want)})"
    );
    assert_eq!(trees("testcase b extends \"m/p.a\" { super() }"), "(testcase b extends m/p.a {(call super)})");
    assert_eq!(trees("testcase c {\noption x = 1\n}"), "(testcase c {(option x 1)})");
}

#[test]
fn builtins_have_types() {
    for text in [
        "builtin a : int",
        "builtin b : A",
        "builtin c : [A]",
        "builtin d : [string: [B]]",
        "builtin e : {a: int, \"b c\": string}",
        "builtin f : {A with a: int}",
        "builtin g : {}",
        "builtin h : () => int",
        "builtin i : (a: int, ?b: float, <-tables: stream[A],) => stream[B] where A: Record, B: Record + Comparable",
        "builtin j : (<-: [A], fn: (r: A) => bool) => vector[A]",
        "builtin k : (x: dynamic) => (y: time) => regexp",
        "builtin l : stream",
    ] {
        let name = &text[8..9];
        assert_eq!(trees(text), format!("(builtin {name})"), "{text}");
        assert_eq!(trees(&format!("{text}\nx = 1")), format!("(builtin {name})\n(= x 1)"), "{text}");
    }
    for text in
        ["builtin", "builtin a", "builtin a :", "builtin a : [", "builtin a : (x int) => y", "builtin a : (x: int)"]
    {
        assert!(parse(text).has_errors(), "{text}");
    }
}

#[test]
fn every_node_knows_its_place() {
    let text = "x = (a + f(b: \"ü\")) |> g()";
    let parsed = parse(text);
    let ast::Statement::Variable(assignment) = &parsed.file.body[0] else { panic!() };
    let at = |expr: &ast::Expr| &text[expr.span.range()];
    assert_eq!(&text[assignment.span.range()], text);
    let ast::ExprKind::Pipe { argument, call_span, .. } = &assignment.value.kind else { panic!() };
    assert_eq!(at(&assignment.value), "(a + f(b: \"ü\")) |> g()");
    assert_eq!(&text[call_span.range()], "g()");
    assert_eq!(at(argument), "(a + f(b: \"ü\"))");
    let ast::ExprKind::Paren(inner) = &argument.kind else { panic!() };
    assert_eq!(at(inner), "a + f(b: \"ü\")");
    let ast::ExprKind::Binary { left, right, .. } = &inner.kind else { panic!() };
    assert_eq!((at(left), at(right)), ("a", "f(b: \"ü\")"));
    let ast::ExprKind::Call(call) = &right.kind else { panic!() };
    assert_eq!(&text[call.arguments[0].name.span.range()], "b");
    assert_eq!(at(&call.arguments[0].value), "\"ü\"");
}

#[test]
fn ids_are_unique_and_below_their_count() {
    let text = "a = (x=1) => { y = [x, {z: -x}, \"${x}\"] return y[0] |> f(a: if b then c else d) }\nb = a(x: [1: 2])";
    let parsed = parse(text);
    let mut ids = show::ids(&parsed.file);
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
    // The call on the right of a pipe has had a number of its own before the pipe took it over.
    assert_eq!(parsed.file.expr_count as usize, count + 1);
    assert!(ids.iter().all(|id| *id < parsed.file.expr_count));
}

#[test]
fn what_can_be_read_is_read_although_something_is_broken() {
    // Three statements are broken in three ways; the others stand in the tree.
    let parsed = parse("a = 1\nb = )\nc = f(x: , y: 2) |> g()\nd = (((\ne = 5\n");
    assert_eq!(show_file(&parsed.file), "(= a 1)\n(bad)\n(= c (|> (call f) (g)))\n(bad)\n(= e 5)");
    assert_eq!(parsed.diagnostics.len(), 3, "{:?}", parsed.diagnostics);
    // A broken statement in a block does not take the block with it.
    let parsed = parse("f = (x) => {\n y = = 2\n z = x\n return z\n}\ng = 1");
    assert_eq!(show_file(&parsed.file), "(= f (fn (x) {(bad) (= z x) (return z)}))\n(= g 1)");
    assert_eq!(parsed.diagnostics.len(), 1);
}

#[test]
fn what_is_meant_is_read_where_it_is_plain() {
    let cases = [
        ("a && b || !c", "(or (and a b) (not c))"),
        ("a AND b OR NOT c", "(or (and a b) (not c))"),
        ("a <> b", "(!= a b)"),
        ("f(a = 1)", "(call f a:1)"),
        ("{a = 1}", "(record a:1)"),
        ("f(x: (r) => r.a = 1 and b = 2)", "(call f x:(fn (r) (and (== (. r a) 1) (== b 2))))"),
        ("f(a: 1 b: 2)", "(call f a:1 b:2)"),
        ("[1 2]", "[1 2]"),
        ("r => r.a", "(fn (r) (. r a))"),
        ("(r) => {r with a: 1}", "(fn (r) (record r with a:1))"),
        ("a |> f", "(|> a (f))"),
        ("a | f()", "(|> a (f))"),
        ("return 1", "1"),
        ("(a: 1) => a", "(fn (a=1) a)"),
        ("(t<-) => t", "(fn (t=<-) t)"),
    ];
    for (text, expected) in cases {
        let parsed = parse(text);
        assert!(parsed.has_errors(), "{text}");
        assert_eq!(show_file(&parsed.file), expected, "{text}");
    }
}

#[test]
fn valid_scripts_that_look_odd_have_no_errors() {
    for text in [
        "and1 = 1 or_ = 2",
        "AND = 1\nOR = AND\nNOT = f(x: AND)",
        "select = 1\nx = select",
        "from = 1",
        "let = (x) => x\nlet(x: 1)",
        "for = 1\nfor",
        "x = a < b and c > d",
        "x = a <\n-1",
        "is = 1\nin = 2\nlike = is",
        "f = (with, extends, stream) => with",
        "x = {a: 1}\n\n{b: 2}",
        "x = 1 // é # ' ` ; $ &&",
    ] {
        assert!(!parse(text).has_errors(), "{text}: {:?}", parse(text).diagnostics);
    }
}

#[test]
fn what_is_not_flux_is_refused() {
    // Each is an error of the reference too (its documents, and observation of its parser), but for the exponents and
    // suffixes of numbers, where it reads two statements of which the second names nothing.
    for text in [
        "x = ;",
        "x = 0123",
        "x = 9223372036854775808",
        "x = 1.5h",
        "x = 1e3",
        "x = 10u",
        "x = \"\\q\"",
        "x = \"\\u00e9\"",
        "x = 2020-01-01T00:00:00",
        "x = 2020-02-30",
        "x = /(/",
        "x = if a then b",
        "x = 1 + if a then b else c",
        "f(1)",
        "f(\"a\")",
        "x = {a, b: 1}",
        "x = {r with }",
        "x = {1 with a: 2}",
        "x |> y",
        "x |> 1 + 2",
        "return 1",
        "f = () => { a = 1 }",
        "f = () => { return 1 a = 2 }",
        "f = () => { }",
        "x = 1\nimport \"a\"",
        "option x",
        "option a.b.c = 1",
        "x = a.1",
        "x = a.if",
        "x = a == not b",
        "import a",
        "package",
        "x = [1: 2, 3]",
        "x = [1, 2: 3]",
        "x = {\"a\"}",
        "x = [,]",
        "x = f(,)",
        "x = f(a:)",
        "(a, 1) => a",
        "x = )",
        "x = \"a",
        "x = \"${a\"",
        "x = \"${}\"",
        "testcase",
        "testcase x",
        "testcase a {",
        "@",
        "x = a =",
        "x = 1 =",
        "x = .a",
        "x = ?a",
        "x = //",
        "x = {a: 1",
        "x = a[",
        "x = a[]",
        "x = a[1, 2]",
        "builtin x",
        "x = not",
        "x = exists",
        "x = -",
        "x = a |>",
        "x = a and",
        "x = 'a'",
    ] {
        assert!(parse(text).has_errors(), "{text}");
    }
}

#[test]
fn problems_are_counted_beyond_a_hundred() {
    let parsed = parse(&"x = )\n".repeat(1000));
    assert_eq!(parsed.diagnostics.len(), 101);
    assert_eq!(parsed.diagnostics[100].message, "900 more problems are not shown");
    assert!(parsed.has_errors());
    // So many warnings are no error.
    let parsed = parse(&"a b\n".repeat(1000));
    assert_eq!(parsed.diagnostics.len(), 101);
    assert!(!parsed.has_errors());
}

#[test]
fn too_deep_is_a_problem_and_no_crash() {
    assert_eq!(codes(&format!("x = {}1{}", "(".repeat(190), ")".repeat(190))), Vec::<&str>::new());
    assert_eq!(codes(&format!("x = {}1{}", "(".repeat(300), ")".repeat(300))), vec!["nested-too-deep"]);
    assert_eq!(codes(&format!("x = 1{}", " + 1".repeat(190))), Vec::<&str>::new());
    assert_eq!(codes(&format!("x = 1{}", " + 1".repeat(300))), vec!["nested-too-deep"]);
    assert_eq!(codes(&"(".repeat(1 << 20)), vec!["nested-too-deep"]);
    assert_eq!(codes(&format!("x = a{}\ny = 1", " |> f()".repeat(300))), vec!["nested-too-deep"]);
}
