//! A table as a Parquet file: one INT64 column each, read and written a row group at a time.

use super::DataError;
use super::stream::{Column, Stream};
use parquet::basic::{Compression, Repetition, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::data_type::Int64Type;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a row group: what is held in memory of a file.
const GROUP_ROWS: usize = 1 << 16;

/// Rows of a file, read in their order.
pub struct Rows {
    reader: SerializedFileReader<File>,
    path: PathBuf,
    columns: usize,
    next_group: usize,
    group: Vec<Vec<i64>>,
    at: usize,
    row: Vec<i64>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rows of {}", self.path.display())
    }
}

impl Rows {
    /// Of an open file, which must have the columns of `stream` and so many rows.
    ///
    /// # Errors
    /// A file of another form.
    pub fn read(file: File, path: &Path, stream: Stream, rows: u64) -> Result<Self, DataError> {
        let reader =
            SerializedFileReader::new(file).map_err(|error| DataError::table(path, error))?;
        let about = reader.metadata().file_metadata();
        let fields = about.schema().get_fields();
        let wanted = stream.columns();
        let is_same = |(field, column): (&Arc<Type>, &Column)| {
            let is_whole = field.is_primitive() && field.get_physical_type() == Physical::INT64;
            field.name() == column.name && is_whole && !field.is_optional()
        };
        if fields.len() != wanted.len() || !fields.iter().zip(wanted).all(is_same) {
            let names: Vec<&str> = wanted.iter().map(|column| column.name).collect();
            let what = format!("not a table of {}: {}", stream.name(), names.join(", "));
            return Err(DataError::table(path, what));
        }
        if u64::try_from(about.num_rows()) != Ok(rows) {
            let what = format!("{} rows, and {rows} are listed", about.num_rows());
            return Err(DataError::table(path, what));
        }
        Ok(Self {
            reader,
            path: path.to_path_buf(),
            columns: wanted.len(),
            next_group: 0,
            group: vec![Vec::new(); wanted.len()],
            at: 0,
            row: vec![0; wanted.len()],
        })
    }

    /// The next row, in the order of the stream's columns; `None` at the end.
    ///
    /// # Errors
    /// A damaged file.
    pub fn next_row(&mut self) -> Result<Option<&[i64]>, DataError> {
        while self.at == self.group[0].len() {
            if self.next_group == self.reader.num_row_groups() {
                return Ok(None);
            }
            self.load().map_err(|error| DataError::table(&self.path, error))?;
        }
        for (cell, column) in self.row.iter_mut().zip(&self.group) {
            *cell = column[self.at];
        }
        self.at += 1;
        Ok(Some(&self.row))
    }

    fn load(&mut self) -> Result<(), parquet::errors::ParquetError> {
        let group = self.reader.get_row_group(self.next_group)?;
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        for (place, cells) in self.group.iter_mut().enumerate().take(self.columns) {
            cells.clear();
            let ColumnReader::Int64ColumnReader(mut column) = group.get_column_reader(place)?
            else {
                return Err(parquet::errors::ParquetError::General("not whole numbers".into()));
            };
            while cells.len() < rows {
                let (read, _, _) = column.read_records(rows - cells.len(), None, None, cells)?;
                if read == 0 {
                    return Err(parquet::errors::ParquetError::EOF("a column is short".into()));
                }
            }
        }
        self.next_group += 1;
        self.at = 0;
        Ok(())
    }
}

/// Writes a table.
pub struct TableWriter {
    writer: SerializedFileWriter<File>,
    path: PathBuf,
    group: Vec<Vec<i64>>,
    rows: u64,
}

impl TableWriter {
    /// To a new file.
    ///
    /// # Errors
    /// A file that is there already or cannot be made.
    pub fn create(path: &Path, stream: Stream) -> Result<Self, DataError> {
        let file = File::create_new(path).map_err(DataError::io(path))?;
        let field = |column: &Column| {
            let whole = Type::primitive_type_builder(column.name, Physical::INT64);
            whole.with_repetition(Repetition::REQUIRED).build().map(Arc::new)
        };
        let fields: Result<Vec<_>, _> = stream.columns().iter().map(field).collect();
        let schema = fields
            .and_then(|fields| Type::group_type_builder(stream.name()).with_fields(fields).build());
        // The writer's version would otherwise be part of the bytes, and of the hash.
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_dictionary_enabled(false)
            .set_created_by("peregrine".to_owned())
            .build();
        let writer = schema.and_then(|schema| {
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
        });
        let writer = writer.map_err(|error| DataError::table(path, error))?;
        let group = vec![Vec::new(); stream.columns().len()];
        Ok(Self { writer, path: path.to_path_buf(), group, rows: 0 })
    }

    /// Adds a row of the stream's columns.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn push(&mut self, row: &[i64]) -> Result<(), DataError> {
        for (column, cell) in self.group.iter_mut().zip(row) {
            column.push(*cell);
        }
        self.rows += 1;
        if self.group[0].len() == GROUP_ROWS { self.flush() } else { Ok(()) }
    }

    /// Ends the file; the number of its rows.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<u64, DataError> {
        if !self.group[0].is_empty() {
            self.flush()?;
        }
        self.writer.close().map_err(|error| DataError::table(&self.path, error))?;
        Ok(self.rows)
    }

    fn flush(&mut self) -> Result<(), DataError> {
        self.write_group().map_err(|error| DataError::table(&self.path, error))
    }

    fn write_group(&mut self) -> Result<(), parquet::errors::ParquetError> {
        let mut group = self.writer.next_row_group()?;
        let mut columns = self.group.iter_mut();
        while let (Some(mut writer), Some(cells)) = (group.next_column()?, columns.next()) {
            writer.typed::<Int64Type>().write_batch(cells, None, None)?;
            writer.close()?;
            cells.clear();
        }
        group.close()?;
        Ok(())
    }
}
