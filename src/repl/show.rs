//! Results as text for a terminal: one grid for all tables of a shape, names over types over rows, cut to the width.
//!
//! Used by the REPL. What does not fit is said: rows, tables and columns that are left out. For eyes only.

use std::collections::HashMap;
use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::table::{Cell, Chunk, ColumnType, ColumnView, Name, Place, Shape, TableId};

/// A line under the header, two spaces between columns.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction(' '))
    .content_lines(ContentLineStyle::none().junction(' '));

/// A cell is not made narrower than this to let a grid fit.
const NARROW: usize = 12;
/// What a column costs beside its text.
const PADDING: usize = 3;

/// How results are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The width of the terminal; `None` for lines as long as they are.
    pub width: Option<usize>,
    /// How many rows are shown at most.
    pub rows: usize,
}

/// One table with its rows as text.
struct ShownTable {
    rows: Vec<Vec<String>>,
    /// Rows that it has beyond these.
    more: u64,
}

/// Tables that follow one another and have one shape.
struct Grid {
    shape: std::sync::Arc<Shape>,
    tables: Vec<ShownTable>,
}

/// The tables of all results as text. `cut` has the rows that were left out, by number of the table over all results.
pub(super) fn results(results: &[(Name, Vec<Chunk>)], cut: &HashMap<usize, u64>, layout: Layout) -> String {
    let mut text = String::new();
    let named = results.len() > 1 || results.iter().any(|(name, _)| &**name != "_result");
    let mut number = 0;
    let tables = results.iter().flat_map(|(_, chunks)| chunks).flat_map(|chunk| &chunk.segments);
    let tables = tables.filter(|segment| segment.done).count();
    let rows: usize = results.iter().flat_map(|(_, chunks)| chunks).map(|chunk| chunk.len).sum();
    let share = if rows <= layout.rows { layout.rows } else { share(layout.rows, tables) };
    for (name, chunks) in results {
        if named {
            let _ = writeln!(text, "result {}", printable(name));
        }
        let mut shown = 0;
        let mut left_out = (0, 0);
        for mut grid in grids(chunks, cut, &mut number) {
            for table in &mut grid.tables {
                if table.rows.len() > share {
                    table.more += (table.rows.len() - share) as u64;
                    table.rows.truncate(share);
                }
                // Of very many tables the last ones are only counted.
                if shown >= layout.rows {
                    left_out = (left_out.0 + 1, left_out.1 + table.more + table.rows.len() as u64);
                    table.rows.clear();
                    table.more = 0;
                    continue;
                }
                shown += table.rows.len().max(1);
            }
            let whole = grid.tables.len();
            grid.tables.retain(|table| !table.rows.is_empty() || table.more > 0 || whole == 1);
            if !grid.tables.is_empty() {
                write_grid(&grid, layout.width, &mut text);
            }
        }
        if left_out.0 > 0 {
            let _ = writeln!(text, "… {} more tables with {} rows", left_out.0, left_out.1);
        }
    }
    text
}

/// How many rows of each table are shown.
fn share(rows: usize, tables: usize) -> usize {
    if tables <= 1 { rows } else { (rows / tables).max(3).min(rows) }
}

fn grids(chunks: &[Chunk], cut: &HashMap<usize, u64>, number: &mut usize) -> Vec<Grid> {
    let mut grids: Vec<Grid> = Vec::new();
    let mut open: Option<TableId> = None;
    for chunk in chunks {
        for (segment, rows) in chunk.tables() {
            let texts = rows.map(|row| texts(chunk, segment.key_row as usize, row));
            match (open == Some(segment.table), grids.last_mut()) {
                (true, Some(grid)) => {
                    if let Some(table) = grid.tables.last_mut() {
                        table.rows.extend(texts);
                    }
                }
                (_, Some(grid)) if *grid.shape == *chunk.shape => {
                    grid.tables.push(ShownTable { rows: texts.collect(), more: 0 });
                }
                _ => {
                    let tables = vec![ShownTable { rows: texts.collect(), more: 0 }];
                    grids.push(Grid { shape: std::sync::Arc::clone(&chunk.shape), tables });
                }
            }
            open = Some(segment.table);
            if segment.done {
                if let (Some(more), Some(table)) =
                    (cut.get(number), grids.last_mut().and_then(|grid| grid.tables.last_mut()))
                {
                    table.more = *more;
                }
                *number += 1;
                open = None;
            }
        }
    }
    grids
}

fn write_grid(grid: &Grid, width: Option<usize>, text: &mut String) {
    let columns = &grid.shape.columns;
    let rows = || grid.tables.iter().flat_map(|table| &table.rows);
    if columns.is_empty() {
        return;
    }
    let types: Vec<String> = columns
        .iter()
        .map(|column| {
            let mark = if matches!(column.place, Place::Key(_)) { " key" } else { "" };
            format!("{}{mark}", column.column_type.flux_name())
        })
        .collect();
    let natural: Vec<usize> = (0..columns.len())
        .map(|at| {
            let head = columns[at].name.width().max(types[at].width());
            rows().map(|row| row[at].width()).max().unwrap_or(0).max(head)
        })
        .collect();
    let fit = fit(grid, &natural, width);
    if !fit.heading.is_empty() {
        let heading: Vec<String> = fit
            .heading
            .iter()
            .map(|at| format!("{}={}", columns[*at].name, rows().next().map_or("", |row| &row[*at])))
            .collect();
        let _ = writeln!(text, "{}", cut_to(&heading.join("  "), width.unwrap_or(usize::MAX)));
    }
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    let head = |at: usize| {
        format!("{}\n{}", cut_to(&printable(&columns[at].name), fit.widths[at]), cut_to(&types[at], fit.widths[at]))
    };
    table.set_header(fit.shown.iter().map(|at| head(*at)));
    // Tables of several rows are told apart by an empty line.
    let apart = grid.tables.iter().any(|one| one.rows.len() + usize::from(one.more > 0) > 1);
    for (index, one) in grid.tables.iter().enumerate() {
        if apart && index > 0 {
            table.add_row(fit.shown.iter().map(|_| String::new()));
        }
        for row in &one.rows {
            table.add_row(fit.shown.iter().map(|at| cut_to(&row[*at], fit.widths[*at])));
        }
        if one.more > 0 {
            let note = format!("… {} more rows", one.more);
            table.add_row(
                fit.shown.iter().enumerate().map(|(place, _)| if place == 0 { note.clone() } else { String::new() }),
            );
        }
    }
    for (place, at) in fit.shown.iter().enumerate() {
        let numeric = matches!(columns[*at].column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float);
        if let (true, Some(column)) = (numeric, table.column_mut(place)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        let _ = writeln!(text, "{}", cut_to(line.trim_end(), width.unwrap_or(usize::MAX)));
    }
    if !fit.dropped.is_empty() {
        let names: Vec<&str> = fit.dropped.iter().map(|at| &*columns[*at].name).collect();
        let note = format!("… {} more columns: {}", names.len(), names.join(", "));
        let _ = writeln!(text, "{}", cut_to(&note, width.unwrap_or(usize::MAX)));
    }
    text.push('\n');
}

/// Which columns of a grid stand where.
struct Fit {
    /// The columns of the grid.
    shown: Vec<usize>,
    /// The widths of all columns.
    widths: Vec<usize>,
    /// Columns of one value for all rows, which stand above the grid.
    heading: Vec<usize>,
    /// Columns that do not fit.
    dropped: Vec<usize>,
}

/// Lets a grid fit into a width: columns with one value go above it, then long cells are cut, then columns are left out
/// from the middle.
fn fit(grid: &Grid, natural: &[usize], width: Option<usize>) -> Fit {
    let mut fit =
        Fit { shown: (0..natural.len()).collect(), widths: natural.to_vec(), heading: Vec::new(), dropped: Vec::new() };
    let Some(width) = width else { return fit };
    let needs = |shown: &[usize], widths: &[usize]| shown.iter().map(|at| widths[*at] + PADDING).sum::<usize>();
    let rows: Vec<&Vec<String>> = grid.tables.iter().flat_map(|table| &table.rows).collect();
    let constant = |at: usize| rows.len() > 1 && rows.iter().all(|row| row[at] == rows[0][at]);
    let columns = &grid.shape.columns;
    // What tells least goes first: the bounds of the range, then other parts of the key, then the rest.
    let worth = |at: &usize| match &*columns[*at].name {
        "_start" | "_stop" => 0,
        _ if matches!(columns[*at].place, Place::Key(_)) => 1,
        _ => 2,
    };
    let mut movable: Vec<usize> = fit.shown.iter().copied().filter(|at| constant(*at)).collect();
    movable.sort_by_key(worth);
    for at in movable {
        if needs(&fit.shown, &fit.widths) <= width || fit.shown.len() == 1 {
            break;
        }
        fit.shown.retain(|shown| *shown != at);
        fit.heading.push(at);
    }
    fit.heading.sort_unstable();
    while needs(&fit.shown, &fit.widths) > width {
        let widest = fit.shown.iter().copied().max_by_key(|at| (fit.widths[*at], *at));
        match widest {
            Some(at) if fit.widths[at] > NARROW => {
                let over = needs(&fit.shown, &fit.widths) - width;
                // Not below the next widest at once: all long columns give alike.
                let next = fit.shown.iter().filter(|other| **other != at).map(|other| fit.widths[*other]).max();
                let floor = next.unwrap_or(NARROW).clamp(NARROW, fit.widths[at] - 1);
                fit.widths[at] = fit.widths[at].saturating_sub(over).max(floor);
            }
            _ if fit.shown.len() > 1 => fit.dropped.push(fit.shown.remove(fit.shown.len() / 2)),
            _ => break,
        }
    }
    fit.dropped.sort_unstable();
    fit
}

/// The text in at most `width` columns.
fn cut_to(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let mut shown = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        shown.push(character);
    }
    shown.push('…');
    shown
}

/// The cells of a row, in the user's order.
fn texts(chunk: &Chunk, key_row: usize, row: usize) -> Vec<String> {
    let cell = |place: Place| match place {
        Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]).cell(key_row),
        Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]).cell(row),
    };
    let text = |cell: Cell<'_>| match cell {
        Cell::String(value) => printable(value),
        other => other.to_string(),
    };
    chunk.shape.columns.iter().map(|column| text(cell(column.place))).collect()
}

/// The text without what a terminal would obey: devices send the strings.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::csv;

    fn show(text: &str, width: Option<usize>, rows: usize) -> String {
        results(&csv::read(text.as_bytes()).unwrap(), &HashMap::new(), Layout { width, rows })
    }

    const TABLES: &str = "#datatype,string,long,string,dateTime:RFC3339,string,double\n\
        #group,false,false,true,true,true,false\n#default,_result,,,,,\n\
        ,result,table,host,_start,_field,_value\n\
        ,,0,a,2024-01-01T00:00:00Z,bar,5\n,,0,a,2024-01-01T00:00:00Z,bar,1.25\n,,1,b,2024-01-01T00:00:00Z,bar,7\n";

    #[test]
    fn tables_of_a_shape_are_one_grid() {
        let expected = [
            " host         _start                 _field       _value",
            " string key   time key               string key    float",
            "──────────── ────────────────────── ──────────── ────────",
            " a            2024-01-01T00:00:00Z   bar               5",
            " a            2024-01-01T00:00:00Z   bar            1.25",
            "",
            " b            2024-01-01T00:00:00Z   bar               7",
            "",
            "",
        ];
        assert_eq!(show(TABLES, None, 100), expected.join("\n"));
    }

    #[test]
    fn what_is_the_same_everywhere_goes_above_a_grid_that_is_too_wide() {
        let shown = show(TABLES, Some(50), 100);
        assert!(shown.starts_with("_start=2024-01-01T00:00:00Z\n"), "{shown}");
        assert!(shown.lines().all(|line| line.width() <= 50), "{shown}");
        let shown = show(TABLES, Some(24), 100);
        assert!(shown.lines().all(|line| line.width() <= 24), "{shown}");
    }

    #[test]
    fn what_is_left_out_is_said() {
        let mut long = TABLES.to_string();
        for value in 0..20 {
            long.push_str(&format!(",,1,b,2024-01-01T00:00:00Z,bar,{value}\n"));
        }
        let shown = show(&long, None, 6);
        assert!(shown.contains("… 18 more rows"), "{shown}");
        for table in 2..40 {
            long.push_str(&format!(",,{table},h{table},2024-01-01T00:00:00Z,bar,1\n"));
        }
        let shown = show(&long, None, 6);
        assert!(shown.contains("more tables with"), "{shown}");
        let wide = "#datatype,string,long,string,string,string\n#group,false,false,false,false,false\n#default,r,,,,\n\
            ,result,table,a,b,c\n,,0,1234567890123,2234567890123,3234567890123\n";
        let shown = show(wide, Some(35), 100);
        assert!(shown.contains("… 1 more columns: b"), "{shown}");
        assert!(shown.starts_with("result r\n"), "{shown}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        let evil = "#datatype,string,long,string\n#group,false,false,false\n#default,_result,,\n,result,table,a\n\
            ,,0,x\u{1b}[2J\n";
        assert!(show(evil, Some(40), 10).contains("\\u{1b}"));
    }
}
