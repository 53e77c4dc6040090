//! The nodes of a row program: what is computed, of which type, how often, and whether it can fail.
//!
//! Made by [`super::compile`], run by [`super::eval`]. Plain data.

use super::builtins::Floats;
use crate::diagnostic::Span;
use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::value::Function;
use crate::syntax::ast::{BinaryOperator, LogicalOperator, UnaryOperator};
use crate::table::{ColumnType, Name, Place};

/// What is known of a value before any row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A value of a column type, or null.
    Column(ColumnType),
    /// Always null, and of no type: a column that the table does not have.
    Null,
    /// A value that no column holds, or one whose type is known at run time only.
    Other,
}

impl ValueType {
    pub(super) const BOOL: ValueType = ValueType::Column(ColumnType::Bool);

    /// The type of a known value.
    pub(super) fn of(value: &Value) -> ValueType {
        match (value, super::cell_of(value)) {
            (Value::Null, _) => ValueType::Null,
            (_, Some(cell)) => cell.column_type().map_or(ValueType::Null, ValueType::Column),
            (_, None) => ValueType::Other,
        }
    }

    /// The column type, if it has one.
    pub fn column_type(self) -> Option<ColumnType> {
        match self {
            ValueType::Column(column_type) => Some(column_type),
            ValueType::Null | ValueType::Other => None,
        }
    }

    /// The type of a value that is one of these; a null adopts the other's type.
    pub(super) fn either(self, other: ValueType) -> ValueType {
        match (self, other) {
            (own, other) if own == other => own,
            (ValueType::Null, other) => other,
            (own, ValueType::Null) => own,
            _ => ValueType::Other,
        }
    }
}

/// How often a value may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// It is the same everywhere.
    Constant,
    /// It is the same for all rows of a table.
    Table,
    /// It may differ from row to row.
    Row,
}

/// A place that holds the value of a variable or parameter.
pub(super) type Slot = usize;

/// A part of a program.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    pub value_type: ValueType,
    pub rate: Rate,
    /// Whether it can fail, or does more than compute: it then runs only for the rows for which it counts.
    pub may_fail: bool,
    /// Its place in the script.
    pub span: Span,
}

/// The kinds of node.
#[derive(Debug)]
pub(super) enum Kind {
    /// A literal, or a value from outside of the function.
    Constant(Value),
    /// A column of the row.
    Column(Place),
    /// What has been put into a slot.
    Slot(Slot),
    /// `-a`, `+a`, `not a`, `exists a`.
    Unary(UnaryOperator, Box<Node>),
    /// Arithmetic, comparison, matching.
    Binary(BinaryOperator, Box<Node>, Box<Node>),
    /// `and`, `or`.
    Logical(LogicalOperator, Box<Node>, Box<Node>),
    /// `if`, `then`, `else`.
    If(Box<[Node; 3]>),
    /// Values for slots, in order, then a result.
    Block(Vec<(Slot, Node)>, Box<Node>),
    /// A call of the evaluator.
    Call(Function, Vec<(Name, Argument)>),
    /// A call of a builtin that only computes; `floats` is what it does to floats, and which arguments they are.
    Builtin { builtin: &'static Builtin, floats: Option<(Floats, Vec<usize>)>, arguments: Vec<(Name, Node)> },
}

/// An argument of a call.
#[derive(Debug)]
pub(super) enum Argument {
    /// A value.
    Value(Node),
    /// The row, or as many of its columns as are read.
    Row(Vec<(Name, Place)>),
    /// A record of values.
    Record(Vec<(Name, Argument)>),
}

impl Node {
    pub(super) fn constant(value: Value, span: Span) -> Node {
        let value_type = ValueType::of(&value);
        Node { kind: Kind::Constant(value), value_type, rate: Rate::Constant, may_fail: false, span }
    }

    pub(super) fn column(place: Place, column_type: ColumnType, span: Span) -> Node {
        let rate = match place {
            Place::Key(_) => Rate::Table,
            Place::Row(_) => Rate::Row,
        };
        Node { kind: Kind::Column(place), value_type: ValueType::Column(column_type), rate, may_fail: false, span }
    }

    /// The constant that it is.
    pub(super) fn as_constant(&self) -> Option<&Value> {
        match &self.kind {
            Kind::Constant(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn unary(operator: UnaryOperator, operand: Node, span: Span) -> Node {
        if let Some(value) = operand.as_constant()
            && let Ok(value) = crate::flux::scalar::unary(operator, value)
        {
            return Node::constant(value, span);
        }
        let (value_type, can_fail) = unary_type(operator, operand.value_type);
        let (rate, may_fail) = (operand.rate, operand.may_fail || can_fail);
        Node { kind: Kind::Unary(operator, Box::new(operand)), value_type, rate, may_fail, span }
    }

    pub(super) fn binary(operator: BinaryOperator, left: Node, right: Node, span: Span) -> Node {
        if let (Some(left), Some(right)) = (left.as_constant(), right.as_constant())
            && let Ok(value) = crate::flux::scalar::binary(operator, left, right)
        {
            let (value_type, _) = binary_type(operator, ValueType::of(left), ValueType::of(right));
            return Node { value_type, ..Node::constant(value, span) };
        }
        let (value_type, mut can_fail) = binary_type(operator, left.value_type, right.value_type);
        if let (BinaryOperator::Matches | BinaryOperator::NotMatches, Some(Value::Regexp(_))) =
            (operator, right.as_constant())
        {
            can_fail = !matches!(left.value_type, ValueType::Column(ColumnType::String) | ValueType::Null);
        }
        let (rate, may_fail) = (left.rate.max(right.rate), left.may_fail || right.may_fail || can_fail);
        Node { kind: Kind::Binary(operator, Box::new(left), Box::new(right)), value_type, rate, may_fail, span }
    }

    pub(super) fn logical(operator: LogicalOperator, left: Node, right: Node, span: Span) -> Node {
        let (rate, may_fail) = (left.rate.max(right.rate), !left.is_truth() || !right.is_truth());
        let may_fail = may_fail || left.may_fail || right.may_fail;
        Node {
            kind: Kind::Logical(operator, Box::new(left), Box::new(right)),
            value_type: ValueType::BOOL,
            rate,
            may_fail,
            span,
        }
    }

    pub(super) fn conditional(test: Node, consequent: Node, alternate: Node, span: Span) -> Node {
        let value_type = consequent.value_type.either(alternate.value_type);
        let rate = test.rate.max(consequent.rate).max(alternate.rate);
        let may_fail = !test.is_truth() || test.may_fail || consequent.may_fail || alternate.may_fail;
        let kind = Kind::If(Box::new([test, consequent, alternate]));
        Node { kind, value_type, rate, may_fail, span }
    }

    pub(super) fn block(slots: Vec<(Slot, Node)>, result: Node) -> Node {
        if slots.is_empty() {
            return result;
        }
        let (value_type, rate, span) = (result.value_type, result.rate, result.span);
        let may_fail = result.may_fail || slots.iter().any(|(_, node)| node.may_fail);
        Node { kind: Kind::Block(slots, Box::new(result)), value_type, rate, may_fail, span }
    }

    fn is_truth(&self) -> bool {
        matches!(self.value_type, ValueType::BOOL | ValueType::Null)
    }
}

/// The type of `operator a`, and whether it can fail.
fn unary_type(operator: UnaryOperator, operand: ValueType) -> (ValueType, bool) {
    use ColumnType::{Bool, Float, Int, UInt};
    match (operator, operand) {
        (UnaryOperator::Exists, _) => (ValueType::BOOL, false),
        (UnaryOperator::Not, ValueType::Column(Bool) | ValueType::Null) => (ValueType::BOOL, false),
        (UnaryOperator::Not, _) => (ValueType::BOOL, true),
        (UnaryOperator::Minus | UnaryOperator::Plus, ValueType::Column(Int | Float) | ValueType::Null)
        | (UnaryOperator::Plus, ValueType::Column(UInt)) => (operand, false),
        (UnaryOperator::Minus | UnaryOperator::Plus, _) => (operand, true),
    }
}

/// The type of `a operator b`, and whether it can fail. A side that is always null adopts the other side's type.
fn binary_type(operator: BinaryOperator, left: ValueType, right: ValueType) -> (ValueType, bool) {
    use BinaryOperator::*;
    use ColumnType::{Float, Int, String, UInt};
    use ValueType::{Column, Null, Other};
    let fits = match (operator, left, right) {
        (_, Null, _) | (_, _, Null) => true,
        (Add, Column(String), Column(String)) => true,
        (Divide | Modulo, Column(Float), Column(Float)) => true,
        (Add | Subtract | Multiply | Power, Column(left), Column(right)) => {
            left == right && matches!(left, Int | UInt | Float)
        }
        (Less | LessEqual | Greater | GreaterEqual, Column(left), Column(right)) => comparable(left, right, false),
        (Equal | NotEqual, Column(left), Column(right)) => comparable(left, right, true),
        _ => false,
    };
    let value_type = match (operator, left, right) {
        (Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual | Matches | NotMatches, _, _) => ValueType::BOOL,
        (Power, Null, Null) => Null,
        (Power, _, _) => Column(Float),
        (_, Other, _) | (_, _, Other) => Other,
        (_, Null, right) => right,
        (_, left, _) => left,
    };
    (value_type, !fits)
}

/// Numbers compare with numbers, everything else with its own type only; booleans are equal or not.
fn comparable(left: ColumnType, right: ColumnType, equality: bool) -> bool {
    let number = |column_type| matches!(column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float);
    (number(left) && number(right)) || (left == right && (equality || left != ColumnType::Bool))
}
