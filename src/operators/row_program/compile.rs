//! From a row function and a shape to nodes.
//!
//! Called once per function and shape. Variables and functions of the script are looked up here and never again; calls of
//! functions that are written in Flux are inlined ([`super::inline`]). An expression that has no node becomes a call of
//! the evaluator on that expression, with the variables that it reads as arguments: compiling never fails.

use std::sync::Arc;

use super::ROW;
use super::node::{Argument, Kind, Node, Rate, Slot, ValueType};
use crate::diagnostic::Span;
use crate::flux::Value;
use crate::flux::eval::free_names_of;
use crate::flux::value::{Closure, Function, Scope};
use crate::syntax::ast::{
    Expr, ExprKind, FunctionBody, FunctionExpr, Identifier, Parameter, ParameterKind, Property, Statement,
};
use crate::syntax::visit;
use crate::table::{ColumnType, Name, Place, Shape};

/// One of the two rows that a function of a pair takes: the parameter's name, and the columns with where they stand.
pub type PairSide<'a> = (&'a str, &'a [(Name, ColumnType, Place)]);

/// What a name stands for within a function.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    /// The row.
    Row,
    /// A value that is known.
    Constant(Value),
    /// A value in a slot.
    Slot(Slot),
    /// A column.
    Column(Place, ColumnType),
    /// A record, property by property.
    Record(Arc<Vec<(Name, Bound)>>),
}

/// The names that a function binds, and the scope around it.
#[derive(Clone)]
pub(super) struct Env {
    pub names: Vec<(Name, Bound)>,
    pub scope: Arc<Scope>,
}

impl Env {
    fn bound(&self, name: &str) -> Option<&Bound> {
        self.names.iter().rev().find(|(own, _)| &**own == name).map(|(_, bound)| bound)
    }
}

/// What an expression becomes: one value, or a record whose properties are values.
pub(super) enum Compiled {
    Value(Node),
    Record(RecordNode),
}

/// A record: values for slots that come first, then its properties in order.
#[derive(Default)]
pub(super) struct RecordNode {
    pub slots: Vec<(Slot, Node)>,
    pub properties: Vec<(Name, Node)>,
    /// It is the row with changes: `{r with ...}`.
    pub extends_row: bool,
}

impl RecordNode {
    /// Sets a property: in place if it is there, else at the end.
    fn set(&mut self, name: &Name, node: Node) {
        match self.properties.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = node,
            None => self.properties.push((name.clone(), node)),
        }
    }
}

/// Compiles functions for a shape.
pub(super) struct Compiler<'a> {
    pub(super) shape: &'a Shape,
    /// The type and rate of what is in each slot.
    pub(super) slots: Vec<(ValueType, Rate)>,
    /// Functions inlined within each other.
    pub(super) depth: u32,
    /// Calls inlined so far.
    pub(super) inlined: u32,
    /// Whether nothing but values is computed: no call that may act on the world.
    pub(super) pure: bool,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(shape: &'a Shape) -> Self {
        Compiler { shape, slots: Vec::new(), depth: 0, inlined: 0, pure: true }
    }

    /// The environment of a row function's body; `None` if it does not take the row as its one required parameter.
    pub(super) fn row_env(&mut self, closure: &Closure) -> Option<(Env, Vec<(Slot, Node)>)> {
        self.env_of(closure, &[(ROW, Bound::Row)])
    }

    /// The environment of a function's body; `None` if these are not the parameters that it has to be given.
    pub(super) fn env_of(&mut self, closure: &Closure, bound: &[(&str, Bound)]) -> Option<(Env, Vec<(Slot, Node)>)> {
        let mut env = Env { names: Vec::new(), scope: Arc::clone(&closure.scope) };
        let mut slots = Vec::new();
        let mut given = 0;
        for parameter in &closure.function.parameters {
            let name = &parameter.name.name;
            match (bound.iter().find(|(own, _)| *own == &**name), &parameter.kind) {
                (Some((_, bound)), _) => {
                    env.names.push((name.clone(), bound.clone()));
                    given += 1;
                }
                (None, ParameterKind::Optional(default)) => {
                    // Defaults do not see the parameters.
                    let outside = Env { names: Vec::new(), scope: Arc::clone(&closure.scope) };
                    let bound = self.bind_expr(default, &outside, &mut slots);
                    env.names.push((name.clone(), bound));
                }
                (None, ParameterKind::Required | ParameterKind::Pipe) => return None,
            }
        }
        (given == bound.len()).then_some((env, slots))
    }

    /// The environment of the body of a function of two rows, whose columns stand side by side in one chunk: each parameter
    /// with the columns of its row. `None` if it does not take the two.
    pub(super) fn pair_env(
        &mut self,
        closure: &Closure,
        sides: &[PairSide<'_>; 2],
    ) -> Option<(Env, Vec<(Slot, Node)>)> {
        let mut env = Env { names: Vec::new(), scope: Arc::clone(&closure.scope) };
        let mut slots = Vec::new();
        let mut found = 0;
        for parameter in &closure.function.parameters {
            let name = &parameter.name.name;
            if let Some((_, columns)) = sides.iter().find(|(own, _)| *own == &**name) {
                let column = |(name, column_type, place): &(Name, ColumnType, Place)| {
                    (name.clone(), Bound::Column(*place, *column_type))
                };
                let columns = columns.iter().map(column).collect();
                env.names.push((name.clone(), Bound::Record(Arc::new(columns))));
                found += 1;
                continue;
            }
            let ParameterKind::Optional(default) = &parameter.kind else { return None };
            let outside = Env { names: Vec::new(), scope: Arc::clone(&closure.scope) };
            let bound = self.bind_expr(default, &outside, &mut slots);
            env.names.push((name.clone(), bound));
        }
        (found == 2).then_some((env, slots))
    }

    /// The body of a function in its environment.
    pub(super) fn body(&mut self, function: &FunctionExpr, env: &mut Env) -> Compiled {
        match &function.body {
            FunctionBody::Expression(body) => self.compile(body, env),
            FunctionBody::Block(statements) => self.block(statements, function.span, env),
        }
    }

    fn block(&mut self, statements: &[Statement], span: Span, env: &mut Env) -> Compiled {
        let mut slots = Vec::new();
        for statement in statements {
            match statement {
                Statement::Variable(assignment) => {
                    let bound = self.bind_expr(&assignment.value, env, &mut slots);
                    env.names.push((assignment.name.name.clone(), bound));
                }
                Statement::Expression(expr) => {
                    self.bind_expr(expr, env, &mut slots);
                }
                Statement::Return { value, .. } => return prefixed(slots, self.compile(value, env)),
                _ => break,
            }
        }
        // The checker refuses such a block before.
        let bad = Expr { id: crate::syntax::ast::ExprId(0), kind: ExprKind::Bad, span };
        prefixed(slots, Compiled::Value(self.interpret(&bad, env)))
    }

    /// Puts a value into slots, so that it is evaluated here and once, however often it is read.
    pub(super) fn bind(&mut self, compiled: Compiled, slots: &mut Vec<(Slot, Node)>) -> Bound {
        match compiled {
            Compiled::Value(node) => self.bind_value(node, slots),
            Compiled::Record(record) => {
                slots.extend(record.slots);
                let properties = record.properties.into_iter();
                Bound::Record(Arc::new(properties.map(|(name, node)| (name, self.bind_value(node, slots))).collect()))
            }
        }
    }

    fn bind_value(&mut self, node: Node, slots: &mut Vec<(Slot, Node)>) -> Bound {
        if let Kind::Constant(value) = node.kind {
            return Bound::Constant(value);
        }
        let slot = self.slot(&node);
        slots.push((slot, node));
        Bound::Slot(slot)
    }

    /// Binds the value of an expression; the row stays the row.
    pub(super) fn bind_expr(&mut self, expr: &Expr, env: &Env, slots: &mut Vec<(Slot, Node)>) -> Bound {
        if let ExprKind::Identifier(name) = &without_parens(expr).kind
            && let Some(bound) = env.bound(name)
        {
            return bound.clone();
        }
        let compiled = self.compile(expr, env);
        self.bind(compiled, slots)
    }

    fn slot(&mut self, node: &Node) -> Slot {
        self.slots.push((node.value_type, node.rate));
        self.slots.len() - 1
    }

    fn read(&self, slot: Slot, span: Span) -> Node {
        let (value_type, rate) = self.slots[slot];
        Node { kind: Kind::Slot(slot), value_type, rate, may_fail: false, span }
    }

    /// A column of the row; one that the table does not have is null.
    fn column(&self, name: &str, span: Span) -> Node {
        match self.shape.column(name) {
            Some(column) => Node::column(column.place, column.column_type, span),
            None => Node::constant(Value::Null, span),
        }
    }

    /// An expression as one value.
    pub(super) fn value(&mut self, expr: &Expr, env: &Env) -> Node {
        match self.compile(expr, env) {
            Compiled::Value(node) => node,
            // A record as a value is nothing that a column holds.
            Compiled::Record(_) => self.interpret(expr, env),
        }
    }

    /// An expression.
    pub(super) fn compile(&mut self, expr: &Expr, env: &Env) -> Compiled {
        let span = expr.span;
        Compiled::Value(match &expr.kind {
            ExprKind::Paren(inner) => return self.compile(inner, env),
            ExprKind::Identifier(name) => match env.bound(name) {
                Some(bound) => return self.bound(&bound.clone(), span),
                None => match env.scope.get(name) {
                    Some(Value::Record(record)) => return Compiled::Record(constants(&record.properties, span)),
                    Some(value) => Node::constant(value.clone(), span),
                    None => self.interpret(expr, env),
                },
            },
            ExprKind::Integer(value) => Node::constant(Value::Int(*value), span),
            ExprKind::Float(value) => Node::constant(Value::Float(*value), span),
            ExprKind::String(value) => Node::constant(Value::String(Arc::clone(value)), span),
            ExprKind::Duration(value) => Node::constant(Value::Duration(*value), span),
            ExprKind::Time(value) => Node::constant(Value::Time(*value), span),
            ExprKind::Regexp(pattern) => match regex::Regex::new(pattern) {
                Ok(pattern) => Node::constant(Value::Regexp(Arc::new(pattern)), span),
                Err(_) => self.interpret(expr, env),
            },
            ExprKind::Unary { operator, operand } => Node::unary(*operator, self.value(operand, env), span),
            ExprKind::Binary { operator, left, right } => {
                Node::binary(*operator, self.value(left, env), self.value(right, env), span)
            }
            ExprKind::Logical { operator, left, right } => {
                Node::logical(*operator, self.value(left, env), self.value(right, env), span)
            }
            ExprKind::Conditional { test, consequent, alternate } => {
                let test = self.value(test, env);
                let branches = (self.compile(consequent, env), self.compile(alternate, env));
                match branches {
                    (Compiled::Value(consequent), Compiled::Value(alternate)) => {
                        Node::conditional(test, consequent, alternate, span)
                    }
                    (Compiled::Record(consequent), Compiled::Record(alternate)) => {
                        return Compiled::Record(self.either(test, consequent, alternate, span));
                    }
                    _ => self.interpret(expr, env),
                }
            }
            ExprKind::Member { object, property, .. } => return self.member(expr, object, property, env),
            ExprKind::Record { with, properties } => return self.record(expr, with.as_ref(), properties, env),
            ExprKind::Call(call) => return self.call(expr, call, None, env),
            ExprKind::Pipe { argument, call, .. } => return self.call(expr, call, Some(argument), env),
            ExprKind::Function(function) if !reads_bound(expr, env) => {
                let closure = Closure { function: Arc::clone(function), scope: Arc::clone(&env.scope) };
                Node::constant(Value::Function(Function::Closure(Arc::new(closure))), span)
            }
            ExprKind::Interpolated(_) => {
                Node { value_type: ValueType::Column(ColumnType::String), ..self.interpret(expr, env) }
            }
            _ => self.interpret(expr, env),
        })
    }

    /// What a name is bound to.
    fn bound(&self, bound: &Bound, span: Span) -> Compiled {
        match bound {
            Bound::Constant(value) => Compiled::Value(Node::constant(value.clone(), span)),
            Bound::Slot(slot) => Compiled::Value(self.read(*slot, span)),
            Bound::Column(place, column_type) => Compiled::Value(Node::column(*place, *column_type, span)),
            Bound::Row => Compiled::Record(self.row(span)),
            Bound::Record(properties) => {
                let mut record = RecordNode::default();
                for (name, bound) in properties.iter() {
                    if let Compiled::Value(node) = self.bound(bound, span) {
                        record.set(name, node);
                    }
                }
                Compiled::Record(record)
            }
        }
    }

    /// The row with all of its columns.
    fn row(&self, span: Span) -> RecordNode {
        let columns = self.shape.columns.iter();
        let column = |column: &crate::table::Column| Node::column(column.place, column.column_type, span);
        let properties = columns.map(|own| (own.name.clone(), column(own))).collect();
        RecordNode { slots: Vec::new(), properties, extends_row: true }
    }

    fn member(&mut self, expr: &Expr, object: &Expr, property: &Identifier, env: &Env) -> Compiled {
        let name = &property.name;
        if let ExprKind::Identifier(object) = &without_parens(object).kind {
            match (env.bound(object), env.scope.get(object)) {
                (Some(Bound::Row), _) => return Compiled::Value(self.column(name, expr.span)),
                (None, Some(Value::Record(record))) => {
                    let value = record.get(name).cloned().unwrap_or(Value::Null);
                    return match value {
                        Value::Record(inner) => Compiled::Record(constants(&inner.properties, expr.span)),
                        value => Compiled::Value(Node::constant(value, expr.span)),
                    };
                }
                _ => {}
            }
        }
        match self.compile(object, env) {
            Compiled::Record(mut record) => {
                let at = record.properties.iter().position(|(own, _)| own == name);
                let node = at.map(|at| record.properties.remove(at).1);
                let mut slots = record.slots;
                // The other properties are evaluated as well: what fails there fails.
                for (_, other) in record.properties.into_iter().filter(|(_, node)| node.may_fail) {
                    let slot = self.slot(&other);
                    slots.push((slot, other));
                }
                let node = node.unwrap_or_else(|| Node::constant(Value::Null, expr.span));
                Compiled::Value(Node::block(slots, node))
            }
            Compiled::Value(_) => Compiled::Value(self.interpret(expr, env)),
        }
    }

    fn record(&mut self, expr: &Expr, with: Option<&Identifier>, properties: &[Property], env: &Env) -> Compiled {
        let mut record = match with {
            None => RecordNode::default(),
            Some(with) => match (env.bound(&with.name), env.scope.get(&with.name)) {
                (Some(bound), _) => match self.bound(&bound.clone(), with.span) {
                    Compiled::Record(record) => record,
                    Compiled::Value(_) => return Compiled::Value(self.interpret(expr, env)),
                },
                (None, Some(Value::Record(record))) => constants(&record.properties, with.span),
                _ => return Compiled::Value(self.interpret(expr, env)),
            },
        };
        for property in properties {
            let node = self.value(&property.value, env);
            record.set(&property.name.name, node);
        }
        Compiled::Record(record)
    }

    /// `if` between two records: property by property, the test evaluated once. A property that one of them lacks is null
    /// there.
    fn either(&mut self, test: Node, yes: RecordNode, no: RecordNode, span: Span) -> RecordNode {
        let slot = self.slot(&test);
        let extends_row = yes.extends_row && no.extends_row;
        let mut record = RecordNode { slots: vec![(slot, test)], properties: Vec::new(), extends_row };
        let null = || Node::constant(Value::Null, span);
        for (own, node) in yes.slots {
            let node = Node::conditional(self.read(slot, span), node, null(), span);
            record.slots.push((own, node));
        }
        for (own, node) in no.slots {
            let node = Node::conditional(self.read(slot, span), null(), node, span);
            record.slots.push((own, node));
        }
        let mut others = no.properties;
        for (name, yes) in yes.properties {
            let at = others.iter().position(|(own, _)| *own == name);
            let no = at.map_or_else(null, |at| others.remove(at).1);
            record.set(&name, Node::conditional(self.read(slot, span), yes, no, span));
        }
        for (name, no) in others {
            record.set(&name, Node::conditional(self.read(slot, span), null(), no, span));
        }
        record
    }

    /// A call of the evaluator on an expression.
    pub(super) fn interpret(&mut self, expr: &Expr, env: &Env) -> Node {
        visit::expr(expr, &mut |part| {
            self.pure &= !matches!(part.kind, ExprKind::Call(_) | ExprKind::Pipe { .. });
            true
        });
        let mut arguments = Vec::new();
        for name in free_names_of(expr) {
            if let Some(bound) = env.bound(&name) {
                let argument = self.argument(&bound.clone(), &name, expr);
                arguments.push((name, argument));
            }
        }
        let parameter = |name: &Name| Parameter {
            name: Identifier { name: name.clone(), span: expr.span },
            kind: ParameterKind::Required,
        };
        let function = FunctionExpr {
            parameters: arguments.iter().map(|(name, _)| parameter(name)).collect(),
            body: FunctionBody::Expression(expr.clone()),
            span: expr.span,
        };
        let closure = Closure { function: Arc::new(function), scope: Arc::clone(&env.scope) };
        let kind = Kind::Call(Function::Closure(Arc::new(closure)), arguments);
        Node { kind, value_type: ValueType::Other, rate: Rate::Row, may_fail: true, span: expr.span }
    }

    fn argument(&self, bound: &Bound, name: &Name, expr: &Expr) -> Argument {
        match bound {
            Bound::Constant(value) => Argument::Value(Node::constant(value.clone(), expr.span)),
            Bound::Slot(slot) => Argument::Value(self.read(*slot, expr.span)),
            Bound::Column(place, column_type) => Argument::Value(Node::column(*place, *column_type, expr.span)),
            Bound::Row => {
                let read = members_read(expr, name);
                let columns = self.shape.columns.iter();
                let read = columns.filter(|column| read.as_ref().is_none_or(|read| read.contains(&column.name)));
                Argument::Row(read.map(|column| (column.name.clone(), column.place)).collect())
            }
            Bound::Record(properties) => {
                let properties = properties.iter();
                Argument::Record(properties.map(|(name, own)| (name.clone(), self.argument(own, name, expr))).collect())
            }
        }
    }
}

/// Slots that are filled before.
pub(super) fn prefixed(mut slots: Vec<(Slot, Node)>, compiled: Compiled) -> Compiled {
    match compiled {
        Compiled::Value(node) => Compiled::Value(Node::block(slots, node)),
        Compiled::Record(mut record) => {
            slots.append(&mut record.slots);
            Compiled::Record(RecordNode { slots, ..record })
        }
    }
}

fn constants(properties: &[(Name, Value)], span: Span) -> RecordNode {
    let properties = properties.iter().map(|(name, value)| (name.clone(), Node::constant(value.clone(), span)));
    RecordNode { properties: properties.collect(), ..RecordNode::default() }
}

fn without_parens(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

/// Whether an expression reads a name that the function binds.
fn reads_bound(expr: &Expr, env: &Env) -> bool {
    free_names_of(expr).iter().any(|name| env.bound(name).is_some())
}

/// The properties of a name that an expression reads; `None` if it uses the record as a whole.
fn members_read(expr: &Expr, name: &str) -> Option<Vec<Name>> {
    let mut members = Vec::new();
    let mut whole = false;
    visit::expr(expr, &mut |part| {
        match &part.kind {
            ExprKind::Member { object, property, .. } => {
                if matches!(&without_parens(object).kind, ExprKind::Identifier(own) if &**own == name) {
                    members.push(property.name.clone());
                    return false;
                }
            }
            ExprKind::Identifier(own) => whole |= &**own == name,
            ExprKind::Record { with: Some(with), .. } => whole |= &*with.name == name,
            _ => {}
        }
        true
    });
    (!whole).then_some(members)
}
