//! `union`: the tables of several streams as one stream; tables with equal keys merge (flux-semantics 10).
//!
//! Tables come out in the order of their keys, the rows of a merged one in the order of the inputs and then of arrival.
//! Everything is held until all inputs have ended.

use super::by_shape::ByShape;
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::cluster::Cluster;
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::{Bounds, Chunk, TableId};

/// `union(tables)`.
#[derive(Clone, Copy, Debug)]
pub struct Union;

impl Transform for Union {
    fn name(&self) -> &'static str {
        "union"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(UnionOperator { inputs: input.iter().map(|_| Cluster::default()).collect(), open: input.len() }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        let bounds = input.iter().filter_map(|props| props.bounds).reduce(|left, right| Bounds {
            start_ns: left.start_ns.min(right.start_ns),
            stop_ns: left.stop_ns.max(right.stop_ns),
        });
        StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: false,
            unique_keys: true,
            one_shape: false,
            bounds,
        }
    }
}

struct UnionOperator {
    inputs: Vec<Cluster>,
    /// How many inputs have not ended.
    open: usize,
}

impl Operator for UnionOperator {
    fn push(&mut self, port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        self.inputs[port].push(chunk);
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        self.open = self.open.saturating_sub(1);
        if self.open > 0 {
            return Ok(());
        }
        let mut merger = Merger::new(TableOrder::KeySorted, Duplicates::Merge);
        let mut mappings: ByShape<MappingId> = ByShape::default();
        let mut next: TableId = 0;
        for input in std::mem::take(&mut self.inputs) {
            let mut last = None;
            for mut chunk in input.finish()? {
                // Tables of different inputs are different tables, whatever their ids there.
                for segment in &mut chunk.segments {
                    if last.replace(segment.table) != Some(segment.table) {
                        next += 1;
                    }
                    segment.table = next;
                }
                let mapping = *mappings.get(&chunk.shape, |shape| Ok(merger.mapping(Target::of_shape(shape))))?;
                merger.push(mapping, chunk).map_err(in_union)?;
            }
        }
        out.merge(merger.finish(0)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.inputs.iter().map(Cluster::memory).sum()
    }
}

fn in_union(error: Error) -> Error {
    error.context("union")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::props;
    use super::*;
    use crate::error::ErrorKind;
    use crate::table::check::check_stream;
    use crate::table::testing::{normal, show, tables};

    fn union(inputs: &[&str], ends: &[usize]) -> Result<String> {
        let props = vec![props(Parts::Clustered); inputs.len()];
        let mut operator = Union.operator(&props)?;
        let mut out = Out::default();
        for port in ends {
            for chunk in tables(inputs[*port]) {
                operator.push(*port, chunk, &mut out)?;
            }
            operator.finish(*port, &mut out)?;
        }
        let chunks = out.take_chunks()?;
        check_stream(&chunks, Parts::Clustered).unwrap();
        Ok(show(&chunks))
    }

    /// flux-semantics 16.6, and 10: rows in the order of the inputs, whichever ends first.
    #[test]
    fn tables_of_one_key_merge_in_the_order_of_the_inputs() {
        let inputs =
            ["h:string* v:int\nb 2\n\na 1\na 4\n\n= d\n", "h:string* w:int\na 9\n\nc 8\n", "h:string* v:int\na 7\n"];
        let expected = "h:string* v:int w:int\na 1 -\na 4 -\na - 9\na 7 -\n\nh:string* v:int\nb 2\n\nh:string* w:int\nc 8\n\n\
                        h:string* v:int\n= d\n";
        for ends in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            assert_eq!(union(&inputs, &ends).unwrap(), normal(expected));
        }
        assert_eq!(union(&["", ""], &[0, 1]).unwrap(), "");
    }

    #[test]
    fn a_column_of_two_types_is_refused() {
        let error = union(&["h:string* v:int\na 1\n", "h:string* v:float\na 1.5\n"], &[0, 1]).unwrap_err();
        assert_eq!(error.message(), "union: schema collision detected: column \"v\" is both of type int and float");
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        assert!(union(&["h:string* v:int\na 1\n", "h:string* v:float\nb 1.5\n"], &[0, 1]).is_ok());
    }
}
