//! Rows that have gone to disk because memory is short: files of an operator, pieces of columns in them.
//!
//! Written by operators, each for itself; read by them, points also by whoever writes them down. A file has no name, so that it is gone with whoever had it
//! open, also after `kill -9`; what may be on disk has a bound. A piece is an Arrow IPC stream of one batch: it comes back
//! bit for bit.

use std::fs::File;
use std::io::{self, Cursor, ErrorKind as IoErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::gather::compact;
use super::pool::{Pool, Reservation, TAKES_LESS};
use crate::error::{Error, Result};

/// Where rows of a run may go, and how many bytes of them.
#[derive(Clone, Debug)]
pub struct SpillSpace {
    folder: PathBuf,
    disk: Arc<Pool>,
    piece_bytes: usize,
}

impl SpillSpace {
    /// Files in a folder, which is made when the first one is. Pieces are to be of about `piece_bytes`.
    pub fn new(folder: &Path, disk: Arc<Pool>, piece_bytes: usize) -> SpillSpace {
        SpillSpace { folder: folder.to_path_buf(), disk, piece_bytes }
    }

    /// How many bytes of rows a piece should hold: several are in memory at once when they are read.
    pub fn piece_bytes(&self) -> usize {
        self.piece_bytes
    }

    /// A file with nothing in it.
    ///
    /// # Errors
    /// Unavailable if the folder cannot be written to.
    pub fn file(&self) -> Result<SpillFile> {
        let refused = |error| refused(&self.folder, error);
        std::fs::create_dir_all(&self.folder).map_err(refused)?;
        let file = tempfile::tempfile_in(&self.folder).map_err(refused)?;
        Ok(SpillFile { file, folder: self.folder.clone(), disk: self.disk.reservation() })
    }
}

/// Removes what a process that ended early has left in a folder of spilled rows.
///
/// # Errors
/// Unavailable if the folder is there and cannot be emptied.
pub fn sweep(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != IoErrorKind::NotFound => Err(refused(folder, error)),
        _ => Ok(()),
    }
}

/// Pieces of rows on disk. What is written stays until [`SpillFile::clear`] or the end.
#[derive(Debug)]
pub struct SpillFile {
    file: File,
    folder: PathBuf,
    /// As much as is in the file.
    disk: Reservation,
}

/// Where a piece is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    offset: u64,
    bytes: usize,
}

impl SpillFile {
    /// Writes columns of `len` rows.
    ///
    /// # Errors
    /// ResourceExhausted if the disk is full or as much is on it as may be, Unavailable if it fails otherwise.
    pub fn write(&mut self, columns: &[ArrayRef], len: usize) -> Result<Piece> {
        let columns = columns.iter().map(compact).collect::<Result<Vec<_>>>()?;
        let field =
            |(number, column): (usize, &ArrayRef)| Field::new(number.to_string(), column.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        writer.write(&batch)?;
        let text = writer.into_inner()?;
        let (before, bytes) = (self.disk.bytes(), text.len());
        self.disk.set(before + bytes).map_err(|full| {
            let (limit, others, wanted) = (full.limit, full.others, before + bytes);
            Error::resource_exhausted(format!(
                "rows that do not fit in memory want {wanted} bytes on disk, and others have {others} of the {limit} there are"
            ))
            .with_hint(format!("{TAKES_LESS}, or raise disk in [query] of the configuration"))
        })?;
        let offset = before as u64;
        self.file.write_all_at(&text, offset).map_err(|error| refused(&self.folder, error))?;
        Ok(Piece { offset, bytes })
    }

    /// The columns of a piece, as they were written.
    ///
    /// # Errors
    /// Unavailable if the disk fails.
    pub fn read(&self, piece: Piece) -> Result<Vec<ArrayRef>> {
        let mut text = vec![0; piece.bytes];
        self.file.read_exact_at(&mut text, piece.offset).map_err(|error| refused(&self.folder, error))?;
        let mut reader = StreamReader::try_new(Cursor::new(text), None)?;
        let batch = reader.next().ok_or_else(|| Error::internal("a piece of spilled rows without rows"))??;
        Ok(batch.columns().to_vec())
    }

    /// Lets go of all pieces.
    ///
    /// # Errors
    /// Unavailable if the disk fails.
    pub fn clear(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(|error| refused(&self.folder, error))?;
        // A reservation always shrinks.
        let _ = self.disk.set(0);
        Ok(())
    }

    /// How many bytes are on disk.
    pub fn bytes(&self) -> usize {
        self.disk.bytes()
    }
}

fn refused(folder: &Path, error: io::Error) -> Error {
    let folder = folder.display();
    match error.kind() {
        IoErrorKind::StorageFull | IoErrorKind::QuotaExceeded => Error::resource_exhausted(format!(
            "no space is left in {folder} for rows that do not fit in memory: {error}"
        ))
        .with_hint(format!("{TAKES_LESS}, or make room on that disk")),
        _ => Error::unavailable(format!("rows that do not fit in memory cannot be kept in {folder}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Array, AsArray, BooleanArray, Float64Array, StringViewArray, TimestampNanosecondArray};
    use arrow::datatypes::Float64Type;

    use super::*;
    use crate::error::ErrorKind;

    fn space(disk: &Arc<Pool>, folder: &tempfile::TempDir) -> SpillSpace {
        SpillSpace::new(&folder.path().join("staging"), Arc::clone(disk), 1 << 20)
    }

    #[test]
    fn pieces_come_back_bit_for_bit() {
        let (disk, folder) = (Pool::new(1 << 20), tempfile::tempdir().unwrap());
        let odd = f64::from_bits(0xfff8_0000_dead_beef);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(vec![Some(odd), None, Some(-0.0), Some(0.0)])),
            Arc::new(StringViewArray::from(vec![Some("a"), None, Some(""), Some("longer than twelve bytes")])),
            Arc::new(BooleanArray::from(vec![None, Some(true), Some(false), None])),
            Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, -1, 0, i64::MAX])),
        ];
        let mut file = space(&disk, &folder).file().unwrap();
        let whole = file.write(&columns, 4).unwrap();
        let sliced: Vec<ArrayRef> = columns.iter().map(|column| column.slice(2, 2)).collect();
        let part = file.write(&sliced, 2).unwrap();
        let none = file.write(&[], 7).unwrap();
        assert_eq!(&file.read(part).unwrap(), &sliced);
        let back = file.read(whole).unwrap();
        assert_eq!(&back[1..], &columns[1..]);
        let bits = |column: &ArrayRef| -> Vec<Option<u64>> {
            column.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
        };
        assert_eq!(bits(&back[0]), bits(&columns[0]));
        assert!(file.read(none).unwrap().is_empty());
        assert_eq!(disk.taken(), file.bytes());
        drop(file);
        assert_eq!(disk.taken(), 0);
    }

    /// Of strings that many rows were taken from only those of the piece are written.
    #[test]
    fn a_piece_is_no_larger_than_its_rows() {
        let (disk, folder) = (Pool::new(1 << 20), tempfile::tempdir().unwrap());
        let long = "x".repeat(1_000);
        let many: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..500).map(|_| long.as_str())));
        let mut file = space(&disk, &folder).file().unwrap();
        file.write(&[many.slice(100, 1)], 1).unwrap();
        assert!(file.bytes() < 4_000, "{}", file.bytes());
    }

    #[test]
    fn what_may_be_on_disk_has_a_bound() {
        let (disk, folder) = (Pool::new(2_000), tempfile::tempdir().unwrap());
        let column: ArrayRef = Arc::new(Float64Array::from(vec![1.0; 1_000]));
        let mut file = space(&disk, &folder).file().unwrap();
        let error = file.write(&[column], 1_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert!(error.message().ends_with("bytes on disk, and others have 0 of the 2000 there are"), "{error}");
        assert!(error.hint().unwrap().contains("raise disk in [query]"), "{error:?}");
        assert_eq!(disk.taken(), 0);
    }

    #[test]
    fn a_cleared_file_takes_no_space() {
        let (disk, folder) = (Pool::new(1 << 20), tempfile::tempdir().unwrap());
        let column: ArrayRef = Arc::new(Float64Array::from(vec![1.0; 10]));
        let mut file = space(&disk, &folder).file().unwrap();
        file.write(&[Arc::clone(&column)], 10).unwrap();
        file.clear().unwrap();
        assert_eq!((disk.taken(), file.file.metadata().unwrap().len()), (0, 0));
        let again = file.write(&[Arc::clone(&column)], 10).unwrap();
        assert_eq!(file.read(again).unwrap()[0].as_ref(), column.as_ref() as &dyn Array);
    }

    /// `ENOSPC` is what a disk says when it is full.
    #[test]
    fn a_full_disk_is_a_clear_error() {
        let error = refused(Path::new("/data/staging"), io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        let words = "no space is left in /data/staging for rows that do not fit in memory";
        assert!(error.message().starts_with(words), "{error}");
        assert!(error.hint().unwrap().contains("make room"), "{error:?}");
    }

    #[test]
    fn a_sweep_empties_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let staging = folder.path().join("staging");
        sweep(&staging).unwrap();
        std::fs::create_dir(&staging).unwrap();
        std::fs::write(staging.join("left"), "rows").unwrap();
        sweep(&staging).unwrap();
        assert!(!staging.exists());
    }
}
