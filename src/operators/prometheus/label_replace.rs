//! `label_replace`: a label of the key made of another one by a pattern.
//!
//! The output has the key and `_value`. A label that becomes empty is none.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};

use super::{floats, gives, key_place};
use crate::error::Result;
use crate::operators::by_shape::ByShape;
use crate::operators::in_order::in_order;
use crate::operators::{Operator, Out, Transform};
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::select::keep_ranges;
use crate::table::{Chunk, ColumnType, KeyBlock, Name, Place, Segment, Shape};

/// Sets `destination` to `replacement` where the whole of `source` matches the pattern.
#[derive(Clone, Debug)]
pub struct LabelReplace {
    /// The label that is read; one that a table lacks is empty.
    pub source: Name,
    /// The label that is set.
    pub destination: Name,
    /// The pattern, anchored at both ends.
    pub pattern: Arc<regex::Regex>,
    /// With `$1` and `${name}` for groups of the match.
    pub replacement: Name,
}

impl Transform for LabelReplace {
    fn name(&self) -> &'static str {
        "labelReplace"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = LabelReplaceOperator {
            replace: self.clone(),
            merger: Merger::new(TableOrder::KeySorted, Duplicates::Refuse("labelReplace")),
            mappings: ByShape::default(),
        };
        Ok(in_order(&input[0], operator))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { one_shape: false, ..gives(input) }
    }
}

/// What becomes of a table's key.
#[derive(Clone, PartialEq)]
enum Fate {
    Same,
    Set(String),
    Removed,
}

struct LabelReplaceOperator {
    replace: LabelReplace,
    merger: Merger,
    /// Of each shape the mapping of tables whose key stays, of those with the new label, of those without it.
    mappings: ByShape<[MappingId; 3]>,
}

impl Operator for LabelReplaceOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        floats(&chunk, "labelReplace", "_value")?;
        let fates: Vec<Fate> = chunk.segments.iter().map(|segment| self.replace.fate(&chunk, segment)).collect();
        let (merger, replace) = (&mut self.merger, &self.replace);
        let mappings = *self.mappings.get(&chunk.shape, |shape| {
            Ok([
                merger.mapping(replace.targets(shape, true, None)),
                merger.mapping(replace.targets(shape, false, Some(shape.key.len() as u32))),
                merger.mapping(replace.targets(shape, false, None)),
            ])
        })?;
        // The new label stands behind the key's own.
        let mut labels = StringViewBuilder::with_capacity(fates.len());
        let rows = arrow::array::UInt32Array::from_iter_values(chunk.segments.iter().map(|segment| segment.key_row));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(chunk.keys.columns.len() + 1);
        for column in &chunk.keys.columns {
            columns.push(arrow::compute::take(column, &rows, None)?);
        }
        for fate in &fates {
            match fate {
                Fate::Set(label) => labels.append_value(label),
                Fate::Same | Fate::Removed => labels.append_null(),
            }
        }
        columns.push(Arc::new(labels.finish()));
        let keys = Arc::new(KeyBlock { columns });
        let tables: Vec<_> = chunk.tables().enumerate().collect();
        let with_keys = Chunk { keys, ..chunk };
        for (kind, mapping) in mappings.into_iter().enumerate() {
            let of_kind = |fate: &Fate| match fate {
                Fate::Same => kind == 0,
                Fate::Set(_) => kind == 1,
                Fate::Removed => kind == 2,
            };
            let kept: Vec<_> = tables
                .iter()
                .filter(|(number, _)| of_kind(&fates[*number]))
                .map(|(number, (segment, rows))| (Segment { key_row: *number as u32, ..*segment }, rows.clone()))
                .collect();
            if !kept.is_empty() {
                self.merger.push(mapping, keep_ranges(with_keys.clone(), &kept)?)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let merger = std::mem::replace(&mut self.merger, Merger::new(TableOrder::KeySorted, Duplicates::Merge));
        out.merge(merger.finish(0)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.merger.memory()
    }
}

impl LabelReplace {
    fn fate(&self, chunk: &Chunk, segment: &Segment) -> Fate {
        let place = key_place(&chunk.shape, &self.source);
        let array = place.and_then(|place| chunk.keys.columns[place].as_string_view_opt());
        let row = segment.key_row as usize;
        let source = array.filter(|array| array.is_valid(row)).map_or("", |array| array.value(row));
        let Some(captures) = self.pattern.captures(source) else { return Fate::Same };
        let mut label = String::new();
        captures.expand(&self.replacement, &mut label);
        if label.is_empty() { Fate::Removed } else { Fate::Set(label) }
    }

    /// The key (with or without its own `destination`), the new label if there is one, and `_value`.
    fn targets(&self, shape: &Shape, whole: bool, label: Option<u32>) -> Vec<Target> {
        let own = Target::of_shape(shape).into_iter();
        let mut targets: Vec<Target> =
            own.filter(|target| target.in_key && (whole || target.name != self.destination)).collect();
        targets.extend(label.map(|index| Target {
            name: self.destination.clone(),
            column_type: ColumnType::String,
            in_key: true,
            from: Place::Key(index),
        }));
        targets.extend(Target::of_shape(shape).into_iter().filter(|target| &*target.name == "_value"));
        targets
    }
}
