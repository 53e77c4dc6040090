//! `:plot`: numbers over time as lines in the terminal, a chart for each field, a colour for each series.
//!
//! Used by the REPL. Draws what fits and says what does not.

use std::collections::BTreeSet;
use std::fmt::Write;

use indexmap::IndexMap;
use rgb::RGB8;
use textplots::{Chart, ColorPlot, Plot, Shape};

use super::show::printable;
use crate::error::{Error, Result};
use crate::table::{Cell, Chunk, ColumnType, ColumnView, Name, Place};
use crate::time::rfc3339;

/// Charts of one plot.
const MOST_CHARTS: usize = 6;
/// Lines of one chart; as many colours as can be told apart.
const COLORS: [(u8, u8, u8); 8] = [
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (120, 140, 255),
    (160, 160, 160),
];

/// The points of one line: time in nanoseconds, value.
type Points = Vec<(i64, f64)>;

/// The lines of one chart, by what tells them apart.
type Lines = IndexMap<String, Points>;

/// The charts of results as text.
///
/// # Errors
/// Invalid if there is nothing to draw.
pub(super) fn draw(results: &[(Name, Vec<Chunk>)], width: usize, height: usize, colored: bool) -> Result<String> {
    let charts = charts(results);
    if charts.values().all(|lines| lines.values().all(Vec::is_empty)) {
        return Err(Error::invalid("there is nothing to plot")
            .with_hint("a plot needs tables with a column _time and a column of numbers"));
    }
    let mut text = String::new();
    for (field, lines) in charts.iter().take(MOST_CHARTS) {
        draw_chart(field, lines, width, height, colored, &mut text);
    }
    if charts.len() > MOST_CHARTS {
        let names: Vec<&str> = charts.keys().skip(MOST_CHARTS).map(String::as_str).collect();
        let _ = writeln!(text, "… not drawn: {}", names.join(", "));
    }
    Ok(text.trim_end().to_string())
}

/// The lines of all results by field: of the column `_value` by `_field`, of other numbers by their column.
fn charts(results: &[(Name, Vec<Chunk>)]) -> IndexMap<String, Lines> {
    let mut charts: IndexMap<String, Lines> = IndexMap::new();
    let named = results.len() > 1;
    for (result, chunks) in results {
        let telling = telling_columns(chunks);
        for chunk in chunks {
            add(chunk, named.then_some(&**result), &telling, &mut charts);
        }
    }
    for lines in charts.values_mut() {
        for points in lines.values_mut() {
            points.sort_by_key(|(time_ns, _)| *time_ns);
        }
    }
    charts
}

/// The key columns whose values differ between tables: they tell the lines apart.
fn telling_columns(chunks: &[Chunk]) -> BTreeSet<String> {
    let mut seen: IndexMap<&str, String> = IndexMap::new();
    let mut telling = BTreeSet::new();
    for chunk in chunks {
        for column in chunk.shape.key_columns() {
            let Place::Key(place) = column.place else { continue };
            let view = ColumnView::of(&chunk.keys.columns[place as usize]);
            for segment in &chunk.segments {
                let text = view.cell(segment.key_row as usize).to_string();
                let first = seen.entry(&*column.name).or_insert_with(|| text.clone());
                if *first != text {
                    telling.insert(column.name.to_string());
                }
            }
        }
    }
    telling
}

fn add(chunk: &Chunk, result: Option<&str>, telling: &BTreeSet<String>, charts: &mut IndexMap<String, Lines>) {
    let time = ["_time", "_stop", "_start"]
        .into_iter()
        .find_map(|name| chunk.shape.column(name).filter(|column| column.column_type == ColumnType::Time));
    let Some(time) = time else { return };
    let view = |place: Place| match place {
        Place::Key(at) => (ColumnView::of(&chunk.keys.columns[at as usize]), true),
        Place::Row(at) => (ColumnView::of(&chunk.rows[at as usize]), false),
    };
    let times = view(time.place);
    let numbers: Vec<_> = chunk
        .shape
        .columns
        .iter()
        .filter(|column| matches!(column.place, Place::Row(_)))
        .filter(|column| {
            matches!(column.column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float | ColumnType::Bool)
        })
        .collect();
    for (segment, rows) in chunk.tables() {
        let key_row = segment.key_row as usize;
        let at = |(view, in_key): (ColumnView<'_>, bool), row: usize| {
            let row = if in_key { key_row } else { row };
            match view.cell(row) {
                Cell::Time(time_ns) => Some((time_ns, 0.0)),
                Cell::Int(number) => Some((0, number as f64)),
                Cell::UInt(number) => Some((0, number as f64)),
                Cell::Float(number) if number.is_finite() => Some((0, number)),
                Cell::Bool(truth) => Some((0, f64::from(u8::from(truth)))),
                _ => None,
            }
        };
        let text_of = |name: &str| {
            let column = chunk.shape.column(name)?;
            let Place::Key(place) = column.place else { return None };
            Some(ColumnView::of(&chunk.keys.columns[place as usize]).cell(key_row).to_string())
        };
        let label: Vec<String> = result
            .map(str::to_string)
            .into_iter()
            .chain(
                telling
                    .iter()
                    .filter(|name| !matches!(name.as_str(), "_field" | "_start" | "_stop"))
                    .filter_map(|name| Some(format!("{name}={}", text_of(name)?))),
            )
            .collect();
        for column in &numbers {
            let field = match &*column.name {
                "_value" => text_of("_field").unwrap_or_else(|| "_value".to_string()),
                name => name.to_string(),
            };
            let values = view(column.place);
            let points = charts.entry(field).or_default().entry(label.join(" ")).or_default();
            for row in rows.clone() {
                if let (Some((time_ns, _)), Some((_, value))) = (at(times, row), at(values, row)) {
                    points.push((time_ns, value));
                }
            }
        }
    }
}

fn draw_chart(field: &str, lines: &Lines, width: usize, height: usize, colored: bool, text: &mut String) {
    let drawn: Vec<(&String, &Points)> =
        lines.iter().filter(|(_, points)| !points.is_empty()).take(COLORS.len()).collect();
    if drawn.is_empty() {
        return;
    }
    let _ = writeln!(text, "{}", printable(field));
    // Without colours several lines could not be told apart: each has a chart of its own.
    match colored || drawn.len() == 1 {
        true => {
            for (number, (label, points)) in drawn.iter().enumerate().filter(|(_, (label, _))| !label.is_empty()) {
                let (red, green, blue) = COLORS[number];
                let mark = if colored {
                    format!("\u{1b}[38;2;{red};{green};{blue}m━━\u{1b}[0m")
                } else {
                    "━━".to_string()
                };
                let _ = writeln!(text, "{mark} {}{}", printable(label), last_value(points));
            }
            chart(&drawn.iter().map(|(_, points)| *points).collect::<Vec<_>>(), width, height, colored, text);
        }
        false => {
            for (label, points) in &drawn {
                let _ = writeln!(text, "━━ {}{}", printable(label), last_value(points));
                chart(&[*points], width, (height / 2).max(8), false, text);
            }
        }
    }
    let left = lines.values().filter(|points| !points.is_empty()).count() - drawn.len();
    if left > 0 {
        let _ = writeln!(text, "… {left} more series are not drawn");
    }
    text.push('\n');
}

fn last_value(points: &[(i64, f64)]) -> String {
    points.last().map_or(String::new(), |(_, value)| format!("  (last {})", number_text(*value)))
}

/// A number in as few digits as tell it.
fn number_text(number: f64) -> String {
    let size = number.abs();
    match size {
        _ if number == 0.0 => "0".to_string(),
        _ if !(1e-4..1e7).contains(&size) => format!("{number:.3e}"),
        _ if size >= 1000.0 => format!("{number:.0}"),
        _ => {
            let text = format!("{number:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
    }
}

/// One chart of several lines.
fn chart(lines: &[&Points], width: usize, height: usize, colored: bool, text: &mut String) {
    let all = || lines.iter().flat_map(|points| points.iter());
    let first_ns = all().map(|(time_ns, _)| *time_ns).min().unwrap_or(0);
    let last_ns = all().map(|(time_ns, _)| *time_ns).max().unwrap_or(0);
    let low = all().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let high = all().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    // A flat line needs room above and below it.
    let room = if high > low { 0.0 } else { high.abs().max(1.0) * 0.1 };
    let (low, high) = (low - room, high + room);
    // The chart counts in single precision: offsets from the first time and shares of the range keep their digits.
    let span_ns = (i128::from(last_ns) - i128::from(first_ns)).max(1) as f64;
    let share = |(time_ns, value): &(i64, f64)| {
        let across = (i128::from(*time_ns) - i128::from(first_ns)) as f64 / span_ns;
        let up = if (high - low).is_finite() { (value - low) / (high - low) } else { value / high / 2.0 + 0.5 };
        (across as f32, up as f32)
    };
    let shares: Vec<Vec<(f32, f32)>> = lines
        .iter()
        .map(|points| match points.as_slice() {
            // One point is a short line, or it would not be seen.
            [only] => vec![share(only), (share(only).0 + 0.01, share(only).1)],
            many => many.iter().map(share).collect(),
        })
        .collect();
    let shapes: Vec<Shape<'_>> = shares.iter().map(|points| Shape::Lines(points)).collect();
    // A cell of the terminal has two by four dots; labels stand to the right.
    let label = number_text(high).len().max(number_text(low).len()) + 2;
    let columns = width.saturating_sub(label).max(32);
    let mut chart = Chart::new_with_y_range(columns as u32 * 2, (height * 4).max(32) as u32, 0.0, 1.0, 0.0, 1.0);
    let frame = {
        let mut drawn = &mut chart;
        for (number, shape) in shapes.iter().enumerate() {
            let (red, green, blue) = COLORS[number % COLORS.len()];
            drawn = match colored {
                true => drawn.linecolorplot(shape, RGB8::new(red, green, blue)),
                false => drawn.lineplot(shape),
            };
        }
        drawn.borders();
        drawn.figures();
        drawn.frame()
    };
    let rows: Vec<&str> = frame.lines().filter(|row| !row.trim().is_empty()).collect();
    for (at, row) in rows.iter().enumerate() {
        let mark = match at {
            0 => number_text(high),
            at if at + 1 == rows.len() => number_text(low),
            _ => String::new(),
        };
        let _ = writeln!(text, "{}", format!("{row} {mark}").trim_end());
    }
    let (from, to) = (rfc3339::to_short_text(first_ns), rfc3339::to_short_text(last_ns));
    let gap = columns.saturating_sub(from.len() + to.len()).max(1);
    let _ = writeln!(text, "{from}{}{to}", " ".repeat(gap));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::csv;

    const TWO_FIELDS: &str = "#datatype,string,long,string,string,dateTime:RFC3339,double\n\
        #group,false,false,true,true,false,false\n#default,_result,,,,,\n\
        ,result,table,_field,machine,_time,_value\n\
        ,,0,bar,p1,2024-01-01T00:00:00Z,1\n,,0,bar,p1,2024-01-01T01:00:00Z,5\n\
        ,,1,bar,p2,2024-01-01T00:00:00Z,2\n,,1,bar,p2,2024-01-01T01:00:00Z,\n\
        ,,2,temp,p1,2024-01-01T00:00:00Z,60\n,,2,temp,p1,2024-01-01T01:00:00Z,70\n";

    fn drawn(text: &str, colored: bool) -> String {
        draw(&csv::read(text.as_bytes()).unwrap(), 60, 10, colored).unwrap()
    }

    #[test]
    fn every_field_has_a_chart_and_every_series_a_line() {
        let text = drawn(TWO_FIELDS, true);
        for part in ["bar\n", "temp\n", "machine=p1", "machine=p2", "(last 5)", "2024-01-01T01:00:00Z", "\u{1b}["] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        let plain = drawn(TWO_FIELDS, false);
        assert!(!plain.contains('\u{1b}') && plain.contains("machine=p2"), "{plain}");
        assert!(plain.lines().all(|line| line.chars().count() <= 60), "{plain}");
        assert!(plain.chars().any(|one| ('\u{2801}'..='\u{28ff}').contains(&one)), "{plain}");
    }

    #[test]
    fn pivoted_tables_and_odd_values_are_drawn() {
        let wide = "#datatype,string,long,dateTime:RFC3339,long,double\n#group,false,false,false,false,false\n\
            #default,_result,,,,\n,result,table,_time,a,b\n,,0,2024-01-01T00:00:00Z,1,\n,,0,2024-01-01T00:00:01Z,1,+Inf\n\
            ,,0,2024-01-01T00:00:02Z,1,1e300\n,,0,2024-01-01T00:00:03Z,1,-1e300\n,,0,2024-01-01T00:00:04Z,1,1.7e308\n\
            ,,0,2024-01-01T00:00:05Z,1,-1.7e308\n";
        let text = drawn(wide, false);
        assert!(text.starts_with("a\n") && text.contains("\nb\n"), "{text}");
    }

    #[test]
    fn nothing_to_draw_is_said() {
        let none =
            "#datatype,string,long,string\n#group,false,false,false\n#default,_result,,\n,result,table,a\n,,0,x\n";
        assert!(draw(&csv::read(none.as_bytes()).unwrap(), 60, 10, false).is_err());
        assert!(draw(&[], 60, 10, false).is_err());
    }
}
