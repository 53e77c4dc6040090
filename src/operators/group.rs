//! `group`: tables by other columns (flux-semantics 6.3).
//!
//! Rows keep their order, input table after input table; columns stay as they are. Tables come out in the order in which
//! they got their first rows.

use std::sync::Arc;

use arrow::array::Int64Array;

use super::by_shape::ByShape;
use super::in_order::in_order;
use super::{Operator, Out, Split, Transform};
use crate::error::{Error, Result};
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, PushOp, StreamProps, TableOrder};
use crate::table::{Chunk, ColumnType, Name, Place, Shape};

/// Whether the columns are those of the new key or those that are left out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMode {
    /// The key has the columns that are listed, as far as a table has them.
    By,
    /// The key has all columns but those listed.
    Except,
    /// The key has the columns that it had and those that are listed, as far as a table has them.
    Extend,
}

impl GroupMode {
    /// The mode of that name.
    ///
    /// # Errors
    /// Invalid for another name.
    pub fn parse(name: &str) -> Result<GroupMode> {
        match name {
            "by" => Ok(GroupMode::By),
            "except" => Ok(GroupMode::Except),
            _ => Err(Error::invalid("invalid group mode: must be \"by\" or \"except\"")),
        }
    }
}

/// `group(mode, columns)`.
#[derive(Clone, Debug)]
pub struct Group {
    /// What the columns mean.
    pub mode: GroupMode,
    /// The columns.
    pub columns: Vec<Name>,
}

/// A `group` behind which only the rows of a column are counted: what is in it makes no difference, and tables in which it
/// has several types may come together.
#[derive(Clone, Debug)]
struct GroupToCount {
    group: Group,
    /// Never one by which is grouped.
    counted: Name,
}

impl Group {
    fn in_key(&self, column: &Name, was: bool) -> bool {
        let listed = self.columns.contains(column);
        match self.mode {
            GroupMode::By => listed,
            GroupMode::Except => !listed,
            GroupMode::Extend => was || listed,
        }
    }

    fn running(&self, input: &[StreamProps], counted: Option<Name>) -> Box<dyn Operator> {
        let running = GroupOperator {
            group: self.clone(),
            counted,
            plain: ByShape::default(),
            merger: Merger::new(TableOrder::Arrival, Duplicates::Merge),
            mappings: ByShape::default(),
            one_shape: input[0].one_shape,
        };
        in_order(&input[0], running)
    }

    fn targets(&self, shape: &Shape) -> Vec<Target> {
        let mut targets = Target::of_shape(shape);
        for target in &mut targets {
            target.in_key = self.in_key(&target.name, target.in_key);
        }
        targets
    }
}

impl Transform for Group {
    fn name(&self) -> &'static str {
        "group"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(self.running(input, None))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        // Where all tables have one shape the groups stream; else their columns are known at the end only.
        let parts = if input[0].one_shape { Parts::Scattered } else { Parts::Clustered };
        StreamProps { parts, tables: TableOrder::Arrival, rows_by_time: false, unique_keys: true, ..input[0] }
    }

    fn split(&self) -> Option<Split> {
        let push = (self.mode == GroupMode::By).then(|| PushOp::GroupKeys(self.columns.clone()))?;
        Some(Split { push, rest: None })
    }

    fn before(&self, next: &dyn Transform) -> Option<Arc<dyn Transform>> {
        let counted = next.counts()?;
        let group = || GroupToCount { group: self.clone(), counted: counted.clone() };
        // A column that was in the key and is in it no more has one value a table, of one type or another.
        (!self.in_key(counted, false)).then(|| Arc::new(group()) as Arc<dyn Transform>)
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| format!("{name:?}")).collect();
        let mode = match self.mode {
            GroupMode::By => "",
            GroupMode::Except => "mode: \"except\", ",
            GroupMode::Extend => "mode: \"extend\", ",
        };
        format!("{mode}columns: [{}]", columns.join(", "))
    }
}

impl Transform for GroupToCount {
    fn name(&self) -> &'static str {
        self.group.name()
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(self.group.running(input, Some(self.counted.clone())))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        self.group.gives(input)
    }

    fn explain(&self) -> String {
        self.group.explain()
    }
}

struct GroupOperator {
    group: Group,
    /// The column of which only the rows are counted.
    counted: Option<Name>,
    /// Shapes in which that is an integer; `None` where it is left as it is.
    plain: ByShape<Option<(usize, Arc<Shape>)>>,
    merger: Merger,
    mappings: ByShape<MappingId>,
    one_shape: bool,
}

impl Operator for GroupOperator {
    fn push(&mut self, _port: usize, mut chunk: Chunk, out: &mut Out) -> Result<()> {
        if let Some(counted) = &self.counted
            && let Some((column, shape)) = self.plain.get(&chunk.shape, |shape| Ok(with_plain(shape, counted)))?
        {
            chunk.rows[*column] = Arc::new(Int64Array::from_value(0, chunk.len));
            chunk.shape = Arc::clone(shape);
        }
        let (group, merger) = (&self.group, &mut self.merger);
        let mapping = *self.mappings.get(&chunk.shape, |shape| Ok(merger.mapping(group.targets(shape))))?;
        self.merger.push(mapping, chunk)?;
        if self.one_shape && self.merger.keeps_tables_whole() {
            out.chunks.extend(self.merger.drain()?);
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let merger = std::mem::replace(&mut self.merger, Merger::new(TableOrder::Arrival, Duplicates::Merge));
        out.merge(merger.finish(0)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.merger.memory()
    }
}

/// A shape in which a column of rows, of a type that can be counted, is an integer.
fn with_plain(shape: &Shape, counted: &Name) -> Option<(usize, Arc<Shape>)> {
    let column = shape.column(counted)?;
    let Place::Row(place) = column.place else { return None };
    if matches!(column.column_type, ColumnType::Time) {
        return None;
    }
    let columns = shape.columns.iter().map(|column| {
        let column_type = if column.name == *counted { ColumnType::Int } else { column.column_type };
        (column.name.clone(), column_type, matches!(column.place, Place::Key(_)))
    });
    Some((place as usize, Shape::new(columns)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::accumulator::AggregateKind;
    use super::super::aggregate::Aggregate;
    use super::super::testing::*;
    use super::*;
    use crate::table::testing::{normal, show};

    fn by(columns: &[&str]) -> Group {
        Group { mode: GroupMode::By, columns: columns.iter().map(|name| Name::from(*name)).collect() }
    }

    fn except(columns: &[&str]) -> Group {
        Group { mode: GroupMode::Except, ..by(columns) }
    }

    /// The input of the example in flux-semantics 6.3.
    const TWO_HOSTS: &str = "host:string* _value:int\na 1\na 2\n\nhost:string* dc:string _value:int\nb z 3\n";

    /// flux-semantics 6.3, `group()`.
    #[test]
    fn no_columns_make_one_table_with_the_columns_of_all() {
        expect(&by(&[]), TWO_HOSTS, "host:string _value:int dc:string\na 1 -\na 2 -\nb 3 z\n");
    }

    /// flux-semantics 6.3, `group(columns: ["dc"])`.
    #[test]
    fn a_table_without_the_column_has_a_key_without_it() {
        let expected = "host:string _value:int\na 1\na 2\n\nhost:string dc:string* _value:int\nb z 3\n";
        expect(&by(&["dc"]), TWO_HOSTS, expected);
    }

    /// flux-semantics 16.4.
    #[test]
    fn except_keeps_all_other_columns_in_the_key() {
        let input = "host:string* cpu:int* _value:int\na 0 1\n\na 1 2\n";
        expect(&except(&["_value"]), input, input);
        expect(&except(&["_value", "cpu"]), input, "host:string* cpu:int _value:int\na 0 1\na 1 2\n");
    }

    #[test]
    fn extend_adds_to_the_key() {
        let extend = Group { mode: GroupMode::Extend, ..by(&["k", "absent", "h"]) };
        let input = "h:string* k:string v:int\na y 1\na x 2\na y 3\n\nb x 4\n";
        expect(&extend, input, "h:string* k:string* v:int\na x 2\n\na y 1\na y 3\n\nb x 4\n");
    }

    #[test]
    fn rows_part_by_a_column_of_theirs_and_keep_their_order() {
        let input = "h:string* k:string v:int\na y 1\na x 2\na y 3\n\nb x 4\nb - 5\n";
        let expected = "h:string k:string* v:int\na x 2\nb x 4\n\na y 1\na y 3\n\nb - 5\n";
        // Tables that begin in one input table are in the order of their keys: x before y, null first.
        expect(&by(&["k"]), input, expected);
    }

    #[test]
    fn empty_tables_live_on_where_their_key_says_enough() {
        let input = "h:string* v:int\n= a\n\n= b\n\nc 1\n";
        expect(&by(&["h"]), input, input);
        expect(&by(&[]), input, "h:string v:int\nc 1\n");
        expect(&by(&["v"]), input, "h:string v:int*\nc 1\n");
        expect(&by(&[]), "h:string* v:int\n= a\n", "h:string v:int\n=\n");
        expect(&by(&["h"]), "", "");
    }

    /// flux-semantics 18, 12: what is only counted may be of several types, unless it is what is grouped by.
    #[test]
    fn a_column_of_two_types_can_be_counted() {
        let count = |column: &str| Aggregate { kind: AggregateKind::Count, column: column.into() };
        let before = |group: Group, column: &str| group.before(&count(column));
        let input = "h:string* v:int\na 1\na -\n\nh:string* v:string\nb x\n\nh:string* v:float\nc 1.5\n";
        let rows = "h:string v:int\na 0\na 0\nb 0\nc 0\n";
        expect(before(by(&[]), "v").unwrap().as_ref(), input, rows);
        expect(before(except(&["h", "v"]), "v").unwrap().as_ref(), input, rows);
        assert!(before(by(&["v"]), "v").is_none() && before(except(&["h"]), "v").is_none());
        assert!(by(&[]).before(&Aggregate { kind: AggregateKind::Sum, column: "v".into() }).is_none());
        // Times cannot be counted: they stay what they are.
        let times = "h:string* v:time\na T1\n";
        expect(before(by(&[]), "v").unwrap().as_ref(), times, "h:string v:time\na T1\n");
    }

    #[test]
    fn one_column_of_two_types_is_refused() {
        let input = "h:string* v:int\na 1\n\nh:string* v:float\nb 1.0\n";
        let error = expect_error(&by(&[]), input);
        assert_eq!(error.message(), "schema collision detected: column \"v\" is both of type int and float");
        expect(&by(&["h"]), input, input);
    }

    #[test]
    fn tables_of_one_shape_stream() {
        let input = "h:string* r:string* v:int\na x 1\na x 2\n\nb y 3\n\nc x 4\n\n= d x\n";
        let expected = "h:string r:string* v:int\na x 1\na x 2\nc x 4\n\nb y 3\n";
        let group = by(&["r"]);
        let props = StreamProps { one_shape: true, ..props(Parts::Clustered) };
        let out = answer(&group, props, input).unwrap();
        assert_eq!(show(&out.chunks), normal(expected));
        let mut operator = group.operator(&[props]).unwrap();
        let mut out = Out::default();
        for chunk in crate::table::testing::tables(input) {
            operator.push(0, chunk, &mut out).unwrap();
        }
        assert_eq!(out.chunks.iter().map(|chunk| chunk.len).sum::<usize>(), 4, "rows are given before the end");
    }

    #[test]
    fn the_store_may_take_over_by_only() {
        assert!(matches!(by(&["a"]).split().unwrap().push, PushOp::GroupKeys(keys) if keys == [Name::from("a")]));
        assert!(except(&["a"]).split().is_none());
        assert_eq!(except(&["a"]).explain(), "mode: \"except\", columns: [\"a\"]");
        assert_eq!(GroupMode::parse("x").unwrap_err().message(), "invalid group mode: must be \"by\" or \"except\"");
    }
}
