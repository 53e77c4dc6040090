//! The abstract syntax tree of Flux: every node knows its place in the text, every expression has an id.
//!
//! Built by the parser, read by the checker, the evaluator, row programs and the formatter. Never changed after parsing;
//! side tables are keyed by [`ExprId`].

use std::sync::Arc;

use crate::diagnostic::Span;
use crate::time::Duration;

/// The number of an expression within its file, dense from 0: the key of side tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

/// One source file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// `@edition("2022.1")` and the like: parsed and ignored.
    pub attributes: Vec<Attribute>,
    /// `package name`.
    pub package: Option<Identifier>,
    /// The imports, in order.
    pub imports: Vec<Import>,
    /// The statements, in order.
    pub body: Vec<Statement>,
    /// All comments of the file with their places, in order.
    pub comments: Vec<Comment>,
    /// One more than the largest [`ExprId`] in the file.
    pub expr_count: u32,
}

/// An attribute of the file: `@name(parameters)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The name after `@`.
    pub name: Identifier,
    /// The arguments, if there are any.
    pub parameters: Vec<Expr>,
    /// From `@` to the end.
    pub span: Span,
}

/// A `//` comment.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// The text after `//`, without the line end.
    pub text: Arc<str>,
    /// From `//` to the end of the line.
    pub span: Span,
}

/// `import "path"` or `import name "path"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The name it is bound to, if given.
    pub alias: Option<Identifier>,
    /// The path, as `influxdata/influxdb/tasks`.
    pub path: Arc<str>,
    /// The place of the path's string literal.
    pub path_span: Span,
    /// The whole clause.
    pub span: Span,
}

impl Import {
    /// The name by which the script reaches the package: the alias, or the last part of the path.
    pub fn name(&self) -> &str {
        match &self.alias {
            Some(alias) => &alias.name,
            None => self.path.rsplit('/').next().unwrap_or(&self.path),
        }
    }
}

/// A name in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Identifier {
    /// The name.
    pub name: Arc<str>,
    /// Its place.
    pub span: Span,
}

/// A statement of a file or block.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// An expression on its own.
    Expression(Expr),
    /// `name = value`.
    Variable(Assignment),
    /// `option name = value`, `option package.name = value`.
    Option(OptionStatement),
    /// `return value` (only in blocks).
    Return {
        /// The value.
        value: Expr,
        /// From `return` to the end.
        span: Span,
    },
    /// `builtin name : type`: parses, and the checker refuses it in a user's script.
    Builtin {
        /// The name.
        name: Identifier,
        /// From `builtin` to the end of the type.
        span: Span,
    },
    /// `testcase name extends "path" { statements }`.
    TestCase(TestCase),
    /// Text that is no statement; a diagnostic tells what was wrong.
    Bad(Span),
}

impl Statement {
    /// The place of the whole statement.
    pub fn span(&self) -> Span {
        match self {
            Statement::Expression(expr) => expr.span,
            Statement::Variable(assignment) => assignment.span,
            Statement::Option(option) => option.span,
            Statement::Return { span, .. } | Statement::Builtin { span, .. } | Statement::Bad(span) => *span,
            Statement::TestCase(case) => case.span,
        }
    }
}

/// `name = value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The name on the left.
    pub name: Identifier,
    /// The value on the right.
    pub value: Expr,
    /// All of it.
    pub span: Span,
}

/// `option name = value` or `option package.name = value`.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionStatement {
    /// The package whose option is set, if any.
    pub package: Option<Identifier>,
    /// The option's name.
    pub name: Identifier,
    /// Its value.
    pub value: Expr,
    /// All of it.
    pub span: Span,
}

/// `testcase name extends "path" { statements }`.
#[derive(Clone, Debug, PartialEq)]
pub struct TestCase {
    /// The name.
    pub name: Identifier,
    /// The path of the test case that it extends.
    pub extends: Option<Arc<str>>,
    /// The statements.
    pub body: Vec<Statement>,
    /// All of it.
    pub span: Span,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Its number in the file.
    pub id: ExprId,
    /// What it is.
    pub kind: ExprKind,
    /// Its place, without surrounding parentheses.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A name.
    Identifier(Arc<str>),
    /// `42`.
    Integer(i64),
    /// `4.2`.
    Float(f64),
    /// A string without interpolation, unescaped.
    String(Arc<str>),
    /// A string with `${...}` parts.
    Interpolated(Vec<StringPart>),
    /// `1h30m`.
    Duration(Duration),
    /// `2020-01-01T00:00:00Z`, in nanoseconds since the epoch.
    Time(i64),
    /// `/pattern/`, `\/` unescaped, validated as a regular expression by the parser.
    Regexp(Arc<str>),
    /// `[a, b]`.
    Array(Vec<Expr>),
    /// `[k: v]`, `[:]`.
    Dict(Vec<(Expr, Expr)>),
    /// `{a: 1}`, `{a, b}`, `{r with a: 1}`.
    Record {
        /// The record that is extended.
        with: Option<Identifier>,
        /// The properties, in order; a shorthand `a` has an identifier expression as its value.
        properties: Vec<Property>,
    },
    /// `(a, b=1, t=<-) => body`. Shared, so that a closure need not copy it.
    Function(Arc<FunctionExpr>),
    /// `callee(name: value, ...)`.
    Call(Box<CallExpr>),
    /// `argument |> callee(...)`.
    Pipe {
        /// The left side.
        argument: Box<Expr>,
        /// The call on the right, without the piped argument.
        call: Box<CallExpr>,
        /// The place of the call.
        call_span: Span,
    },
    /// `object.property` or `object["property"]`.
    Member {
        /// The left side.
        object: Box<Expr>,
        /// The property.
        property: Identifier,
        /// Written with brackets.
        bracketed: bool,
    },
    /// `array[index]`.
    Index {
        /// The left side.
        array: Box<Expr>,
        /// What stands between the brackets.
        index: Box<Expr>,
    },
    /// `-a`, `+a`, `not a`, `exists a`.
    Unary {
        /// The operator.
        operator: UnaryOperator,
        /// The operand.
        operand: Box<Expr>,
    },
    /// Arithmetic and comparison.
    Binary {
        /// The operator.
        operator: BinaryOperator,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `and`, `or`.
    Logical {
        /// The operator.
        operator: LogicalOperator,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `if test then consequent else alternate`.
    Conditional {
        /// The condition.
        test: Box<Expr>,
        /// If it is true.
        consequent: Box<Expr>,
        /// If it is false or null.
        alternate: Box<Expr>,
    },
    /// `(inner)`: kept so that the formatter can print it.
    Paren(Box<Expr>),
    /// Text that is no expression; a diagnostic tells what was wrong.
    Bad,
}

/// A part of an interpolated string.
#[derive(Clone, Debug, PartialEq)]
pub enum StringPart {
    /// Literal text, unescaped.
    Text(Arc<str>),
    /// `${expression}`.
    Expr(Expr),
}

/// `name: value` in a record or an argument list.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// The name (a quoted name is unquoted here).
    pub name: Identifier,
    /// The value; for the shorthand `a`, an identifier expression of that name and place.
    pub value: Expr,
    /// Written as a shorthand.
    pub shorthand: bool,
}

/// A call: callee and named arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct CallExpr {
    /// What is called.
    pub callee: Expr,
    /// The arguments, in order.
    pub arguments: Vec<Property>,
}

/// A function literal.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionExpr {
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
    /// The body.
    pub body: FunctionBody,
    /// All of it.
    pub span: Span,
}

/// A parameter of a function literal.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The name.
    pub name: Identifier,
    /// `<-`, a default value, or neither.
    pub kind: ParameterKind,
}

/// How a parameter gets its value when it is not named in a call.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterKind {
    /// It must be given.
    Required,
    /// `name=default`.
    Optional(Expr),
    /// `name=<-`: from the left side of a pipe.
    Pipe,
}

/// The body of a function literal.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionBody {
    /// `=> expression`.
    Expression(Expr),
    /// `=> { statements; return value }`.
    Block(Vec<Statement>),
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    /// `-`.
    Minus,
    /// `+`.
    Plus,
    /// `not`.
    Not,
    /// `exists`.
    Exists,
}

/// Arithmetic and comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
    /// `^`.
    Power,
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
    /// `=~`.
    Matches,
    /// `!~`.
    NotMatches,
}

impl BinaryOperator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOperator::Add => "+",
            BinaryOperator::Subtract => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::Power => "^",
            BinaryOperator::Equal => "==",
            BinaryOperator::NotEqual => "!=",
            BinaryOperator::Less => "<",
            BinaryOperator::LessEqual => "<=",
            BinaryOperator::Greater => ">",
            BinaryOperator::GreaterEqual => ">=",
            BinaryOperator::Matches => "=~",
            BinaryOperator::NotMatches => "!~",
        }
    }
}

/// Logical operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogicalOperator {
    /// `and`.
    And,
    /// `or`.
    Or,
}
