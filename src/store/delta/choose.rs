//! Which files compaction takes: of one day, many of like size, closed under what may hold versions of their points.
//!
//! Pure: from a list of files to some of them. Compaction is right for any choice; this one is about cost. A row is written
//! again once per size class, and a scan meets few files.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data_file::DataFile;

/// Files of a day that are at most of a size class are compacted when there are so many.
const TOGETHER: usize = 8;

/// More live files than this of a table are brought down day by day, however large they are.
const MANY_FILES: usize = 200;

/// Files below this are of the least class; each class is four times the one before.
const LEAST_CLASS_BYTES: u64 = 64 << 10;

/// Compaction ends a file when it is about so large.
pub(crate) const LARGE_BYTES: u64 = 128 << 20;

/// Files from here on are compacted only where there are [`MANY_FILES`], or where somebody asks for it: half of a large
/// one, so that what compaction has made is not taken again and again.
const DONE_BYTES: u64 = LARGE_BYTES / 2;

/// The files that are due; none if none are.
pub(crate) fn due(files: &[Arc<DataFile>]) -> Option<Vec<Arc<DataFile>>> {
    let days = by_day(files);
    for of_day in days.values() {
        let mut small: Vec<&Arc<DataFile>> = of_day.iter().copied().filter(|file| file.size < DONE_BYTES).collect();
        small.sort_by_key(|file| class(file));
        for of_class in small.chunk_by(|left, right| class(left) == class(right)) {
            let greatest = class(of_class[0]);
            let end = small.partition_point(|file| class(file) <= greatest);
            if end >= TOGETHER {
                return Some(closed(small[..end].iter().map(|file| Arc::clone(file)).collect(), of_day));
            }
        }
    }
    if files.len() > MANY_FILES {
        let fullest = days.into_values().filter(|of_day| becomes_less(of_day)).max_by_key(Vec::len)?;
        return Some(fullest.into_iter().map(Arc::clone).collect());
    }
    None
}

/// Whether the files are surely less when they are compacted.
fn becomes_less(files: &[&Arc<DataFile>]) -> bool {
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    files.len() as u64 > 2 * (1 + bytes / (DONE_BYTES / 2))
}

/// All files of each day that is not one sorted group yet, or of which a file has rows that are deleted.
pub(crate) fn whole_days(files: &[Arc<DataFile>], has_deleted: impl Fn(&DataFile) -> bool) -> Vec<Vec<Arc<DataFile>>> {
    let unsorted = |of_day: &Vec<&Arc<DataFile>>| {
        of_day.iter().any(|file| !(file.is_compacted() || file.deletes) || has_deleted(file))
            || of_day.iter().filter(|file| file.size < DONE_BYTES).count() > 1
    };
    let days = by_day(files).into_values().filter(unsorted);
    days.map(|of_day| of_day.into_iter().map(Arc::clone).collect()).collect()
}

/// Adds every file of the day whose arrivals and times lie among those of the inputs: else the output would stand beside
/// it with versions of the same points on both sides.
fn closed(mut inputs: Vec<Arc<DataFile>>, of_day: &[&Arc<DataFile>]) -> Vec<Arc<DataFile>> {
    loop {
        let seqs = span(inputs.iter().map(|file| file.seqs));
        let times = span(inputs.iter().map(|file| file.times));
        let meets = |span: (i64, i64), other: (i64, i64)| span.0 <= other.1 && span.1 >= other.0;
        let is_input = |file: &DataFile| inputs.iter().any(|input| input.path == file.path);
        let more: Vec<Arc<DataFile>> = of_day
            .iter()
            .filter(|file| meets(seqs, file.seqs) && meets(times, file.times) && !is_input(file))
            .map(|file| Arc::clone(file))
            .collect();
        if more.is_empty() {
            return inputs;
        }
        inputs.extend(more);
    }
}

fn span(spans: impl Iterator<Item = (i64, i64)>) -> (i64, i64) {
    spans.fold((i64::MAX, i64::MIN), |(least, greatest), (low, high)| (least.min(low), greatest.max(high)))
}

fn class(file: &DataFile) -> u32 {
    (file.size / LEAST_CLASS_BYTES).checked_ilog(4).map_or(0, |class| class + 1)
}

/// Files by day; deletes are a group of their own.
fn by_day(files: &[Arc<DataFile>]) -> BTreeMap<(&str, bool), Vec<&Arc<DataFile>>> {
    let mut days: BTreeMap<(&str, bool), Vec<&Arc<DataFile>>> = BTreeMap::new();
    // A file without a day was put there by others: it is read, and left as it is.
    for file in files.iter().filter(|file| !file.day().is_empty()) {
        days.entry((file.day(), file.deletes)).or_default().push(file);
    }
    days
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(day: &str, name: &str, size: u64, seqs: (i64, i64), micros: (i64, i64)) -> Arc<DataFile> {
        let time = |micros: i64| chrono::DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339();
        let stats = serde_json::json!({
            "numRecords": 1,
            "minValues": {"time": time(micros.0), "_seq": seqs.0},
            "maxValues": {"time": time(micros.1), "_seq": seqs.1},
        });
        Arc::new(DataFile::new(format!("day={day}/{name}.parquet"), size, Some(&stats.to_string())))
    }

    fn names(files: &[Arc<DataFile>]) -> Vec<&str> {
        let mut names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn small_files_wait_until_they_are_many() {
        let small = |i: i64| file("2026-11-01", &format!("in-order-{i:02}"), 1_000, (i, i), (i * 5_000, i * 5_000));
        let mut files: Vec<_> = (0..TOGETHER as i64 - 1).map(small).collect();
        files.push(file("2026-11-02", "in-order-a", 1_000, (90, 90), (0, 0)));
        assert!(due(&files).is_none());
        files.push(small(15));
        let chosen = due(&files).unwrap();
        assert_eq!(chosen.len(), TOGETHER, "those of the other day stay");
    }

    #[test]
    fn a_large_file_is_taken_only_where_its_rows_lie_among_those_of_the_small() {
        let small = |i: i64| file("2026-11-01", &format!("in-order-{i:02}"), 1_000, (i, i), (i * 5_000, i * 5_000));
        let files: Vec<_> = (20..36)
            .map(small)
            .chain([
                file("2026-11-01", "compact-older", 20 << 20, (0, 19), (0, 99_000)),
                file("2026-11-01", "compact-among", 20 << 20, (25, 26), (101_000, 102_000)),
                file("2026-11-01", "compact-elsewhere", 20 << 20, (25, 26), (900_000, 902_000)),
            ])
            .collect();
        let chosen = due(&files).unwrap();
        assert_eq!(chosen.len(), 17);
        assert!(names(&chosen).contains(&"day=2026-11-01/compact-among.parquet"));
    }

    #[test]
    fn many_files_become_less_and_large_ones_are_not_taken_again() {
        let day = |number: i64| format!("{:04}-01-01", number + 1_000);
        let of = |number: i64, size: u64| {
            file(&day(number), &format!("compact-{size}"), size, (number, number), (number * 9_000, number * 9_000))
        };
        let mut files: Vec<_> = (0..150).flat_map(|number| [of(number, 1_000), of(number, 90 << 20)]).collect();
        assert!(due(&files).is_none(), "two of a day, one of them large");
        files.extend([of(7, 2_000), of(7, 3_000), of(7, 4_000), of(7, 5_000), of(7, 6_000), of(7, 7_000)]);
        assert_eq!(due(&files).unwrap().len(), 8);
    }

    #[test]
    fn a_day_of_one_sorted_file_is_whole() {
        let files = [
            file("2026-11-01", "compact-a", 1_000, (0, 1), (0, 1)),
            file("2026-11-02", "in-order-b", 1_000, (2, 2), (2, 2)),
        ];
        assert_eq!(
            whole_days(&files, |_| false).iter().map(|day| names(day)).collect::<Vec<_>>(),
            [["day=2026-11-02/in-order-b.parquet"]]
        );
    }
}
