//! Builtins that only compute, called for many rows: functions of floats over whole columns, the others directly, with one
//! list of arguments for all rows and once for each of the texts that come again and again.
//!
//! Called by [`super::eval`]. That a call fits its builtin has been seen when it was compiled.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};

use super::eval::{Run, at};
use super::node::{Node, Rate, ValueType};
use super::vector::{Cells, Selection, Tables, Vector};
use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::flux::scalar::{self, Binary, Unary};
use crate::table::{ColumnType, Name};

/// After so many rows it is seen whether texts come again.
const TRIAL_ROWS: usize = 256;

/// A function of floats.
#[derive(Clone, Copy, Debug)]
pub(super) enum Floats {
    One(Unary),
    Two(Binary),
}

impl Floats {
    /// The function of floats that a builtin is when it is called with these arguments, and the arguments in its order.
    pub(super) fn of(builtin: &Builtin, arguments: &[(Name, Node)]) -> Option<(Floats, Vec<usize>)> {
        if builtin.package != "math" {
            return None;
        }
        let place = |wanted: &str| {
            let at = arguments.iter().position(|(name, _)| &**name == wanted)?;
            matches!(arguments[at].1.value_type, ValueType::Column(ColumnType::Float)).then_some(at)
        };
        if let Some(function) = scalar::unary_function(builtin.name) {
            return Some((Floats::One(function), vec![place("x")?]));
        }
        let ([first, second], function) = scalar::binary_function(builtin.name)?;
        Some((Floats::Two(function), vec![place(first)?, place(second)?]))
    }
}

/// A float of a place: a column or a constant.
enum Numbers<'a> {
    Column(&'a Float64Array),
    Constant(f64),
}

impl<'a> Numbers<'a> {
    fn of(vector: &'a Vector) -> Option<Numbers<'a>> {
        match vector {
            Vector::Constant(Value::Float(number)) => Some(Numbers::Constant(*number)),
            Vector::Table(Cells::Array(array)) | Vector::Row(Cells::Array(array))
                if *array.data_type() == DataType::Float64 =>
            {
                Some(Numbers::Column(array.as_primitive::<Float64Type>()))
            }
            _ => None,
        }
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Numbers::Column(array) => array.nulls(),
            Numbers::Constant(_) => None,
        }
    }

    fn value(&self, at: usize) -> f64 {
        match self {
            Numbers::Column(array) => array.value(at),
            Numbers::Constant(number) => *number,
        }
    }
}

/// A function of floats over columns; `None` if the values are none. What stands under nulls is computed as well.
fn over_columns(floats: Floats, operands: &[Vector], len: usize) -> Option<ArrayRef> {
    let numbers: Option<Vec<Numbers<'_>>> = operands.iter().map(Numbers::of).collect();
    let (values, nulls) = match (floats, &numbers?[..]) {
        (Floats::One(function), [Numbers::Column(array)]) => {
            (array.values().iter().map(|value| function(*value)).collect::<Vec<f64>>(), array.nulls().cloned())
        }
        (Floats::Two(function), [left, right]) => {
            let values = (0..len).map(|at| function(left.value(at), right.value(at)));
            (values.collect(), NullBuffer::union(left.nulls(), right.nulls()))
        }
        _ => return None,
    };
    Some(Arc::new(Float64Array::new(values.into(), nulls)))
}

/// A conversion over a column, where no value can fail and none has to be written or read as text.
fn converted(builtin: &Builtin, vectors: &[Vector]) -> Option<ArrayRef> {
    let ([Vector::Table(Cells::Array(array)) | Vector::Row(Cells::Array(array))], PRELUDE) = (vectors, builtin.package)
    else {
        return None;
    };
    let array: ArrayRef = match (builtin.name, array.data_type()) {
        ("float", DataType::Float64)
        | ("int", DataType::Int64)
        | ("uint", DataType::UInt64)
        | ("bool", DataType::Boolean)
        | ("string", DataType::Utf8View)
        | ("time", DataType::Timestamp(_, _)) => Arc::clone(array),
        ("float", DataType::Int64) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, Float64Type>(|value| value as f64))
        }
        ("float", DataType::UInt64) => {
            Arc::new(array.as_primitive::<UInt64Type>().unary::<_, Float64Type>(|value| value as f64))
        }
        ("int", DataType::UInt64) => {
            Arc::new(array.as_primitive::<UInt64Type>().unary::<_, Int64Type>(|value| value as i64))
        }
        ("int", DataType::Timestamp(_, _)) => {
            Arc::new(array.as_primitive::<TimestampNanosecondType>().unary::<_, Int64Type>(|value| value))
        }
        ("uint", DataType::Int64) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, UInt64Type>(|value| value as u64))
        }
        ("time", DataType::Int64) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, TimestampNanosecondType>(|value| value))
        }
        _ => return None,
    };
    Some(array)
}

impl Run<'_> {
    /// A call of a builtin that only computes.
    pub(super) fn builtin(
        &mut self,
        node: &Node,
        (builtin, floats): (&'static Builtin, &Option<(Floats, Vec<usize>)>),
        arguments: &[(Name, Node)],
        rows: &Selection,
    ) -> Result<Vector> {
        let mut vectors = Vec::with_capacity(arguments.len());
        for (_, argument) in arguments {
            vectors.push(self.eval(argument, rows)?);
        }
        let rate = vectors.iter().map(Vector::rate).max().unwrap_or(Rate::Constant);
        if rate == Rate::Constant && rows.is_empty(self.tables) {
            return Ok(Vector::Constant(Value::Null));
        }
        if rate > Rate::Constant
            && let Some((floats, places)) = floats
        {
            let mut operands = Vec::with_capacity(places.len());
            for place in places {
                operands.push(vectors[*place].clone().at_rate(rate, self.tables)?);
            }
            if let Some(array) = over_columns(*floats, &operands, self.tables.len_at(rate)) {
                return Ok(at(rate, Cells::Array(array)));
            }
        }
        if let Some(array) = converted(builtin, &vectors) {
            return Ok(at(rate, Cells::Array(array)));
        }
        let own = arguments.iter().map(|(name, _)| (name.clone(), Value::Null)).collect();
        let mut call = Call { builtin, arguments: own, span: node.span, host: &mut *self.host };
        if rate == Rate::Constant {
            for ((_, value), vector) in call.arguments.iter_mut().zip(&vectors) {
                *value = vector.value(0);
            }
            return Ok(Vector::Constant((builtin.body)(&mut call)?));
        }
        let values = match single_text(&vectors, rate) {
            Some((place, texts)) => per_text(&mut call, &vectors, (place, texts), (rate, self.tables), rows)?,
            None => per_place(&mut call, &vectors, (rate, self.tables), rows)?,
        };
        Ok(at(rate, Cells::collect(super::eval::column_type(node.value_type), values)?))
    }
}

/// The value of an argument for a place at a rate.
fn argument(vector: &Vector, rate: Rate, at: usize, tables: &Tables) -> Value {
    match (vector, rate) {
        (Vector::Table(cells), Rate::Row) => cells.value(tables.of_rows().value(at) as usize),
        _ => vector.value(at),
    }
}

fn per_place(
    call: &mut Call<'_>,
    vectors: &[Vector],
    (rate, tables): (Rate, &Tables),
    rows: &Selection,
) -> Result<Vec<Value>> {
    let len = tables.len_at(rate);
    let mut values = Vec::with_capacity(len);
    for at in 0..len {
        if !rows.has(at, rate, tables) {
            values.push(Value::Null);
            continue;
        }
        for ((_, value), vector) in call.arguments.iter_mut().zip(vectors) {
            *value = argument(vector, rate, at, tables);
        }
        values.push((call.builtin.body)(call)?);
    }
    Ok(values)
}

/// The one argument that is not the same everywhere, if it is a column of texts.
fn single_text(vectors: &[Vector], rate: Rate) -> Option<(usize, &StringViewArray)> {
    let mut varying = vectors.iter().enumerate().filter(|(_, vector)| vector.rate() > Rate::Constant);
    let (place, vector) = varying.next()?;
    if varying.next().is_some() || vector.rate() != rate {
        return None;
    }
    match vector {
        Vector::Table(Cells::Array(array)) | Vector::Row(Cells::Array(array)) => {
            Some((place, array.as_string_view_opt()?))
        }
        _ => None,
    }
}

fn per_text(
    call: &mut Call<'_>,
    vectors: &[Vector],
    (place, texts): (usize, &StringViewArray),
    (rate, tables): (Rate, &Tables),
    rows: &Selection,
) -> Result<Vec<Value>> {
    for ((_, value), vector) in call.arguments.iter_mut().zip(vectors) {
        if let Vector::Constant(constant) = vector {
            *value = constant.clone();
        }
    }
    let mut known: HashMap<&str, Value> = HashMap::new();
    let mut remembers = true;
    let mut values = Vec::with_capacity(texts.len());
    for at in 0..texts.len() {
        if !rows.has(at, rate, tables) {
            values.push(Value::Null);
            continue;
        }
        let text = texts.is_valid(at).then(|| texts.value(at));
        if let Some(value) = text.filter(|_| remembers).and_then(|text| known.get(text)) {
            values.push(value.clone());
            continue;
        }
        call.arguments[place].1 = text.map_or(Value::Null, Value::string);
        let value = (call.builtin.body)(call)?;
        if let Some(text) = text.filter(|_| remembers) {
            known.insert(text, value.clone());
            // Texts of which hardly one comes again are not worth a look-up.
            if at == TRIAL_ROWS && known.len() > TRIAL_ROWS / 2 {
                remembers = false;
                known = HashMap::new();
            }
        }
        values.push(value);
    }
    Ok(values)
}
