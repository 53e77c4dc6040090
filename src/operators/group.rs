//! `group`: tables by other columns (flux-semantics 6.3).
//!
//! Rows keep their order, input table after input table; columns stay as they are. Tables come out in the order in which
//! they got their first rows.

use super::by_shape::ByShape;
use super::in_order::in_order;
use super::{Operator, Out, Split, Transform};
use crate::error::{Error, Result};
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, PushOp, StreamProps, TableOrder};
use crate::table::{Chunk, Name, Shape};

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

impl Group {
    fn targets(&self, shape: &Shape) -> Vec<Target> {
        let mut targets = Target::of_shape(shape);
        for target in &mut targets {
            let listed = self.columns.contains(&target.name);
            target.in_key = match self.mode {
                GroupMode::By => listed,
                GroupMode::Except => !listed,
                GroupMode::Extend => target.in_key || listed,
            };
        }
        targets
    }
}

impl Transform for Group {
    fn name(&self) -> &'static str {
        "group"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let running = GroupOperator {
            group: self.clone(),
            merger: Merger::new(TableOrder::Arrival, Duplicates::Merge),
            mappings: ByShape::default(),
            one_shape: input[0].one_shape,
        };
        Ok(in_order(&input[0], running))
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

struct GroupOperator {
    group: Group,
    merger: Merger,
    mappings: ByShape<MappingId>,
    one_shape: bool,
}

impl Operator for GroupOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
